"""S21: of all secrets that a gateway is told none is in a log, an error, an entry that is sent, or a repr."""

from __future__ import annotations

import json
import logging

import pytest

from plugmw import ConfigError, Gateway, cli
from plugmw.configuration.plan import read_plan
from tests.security.secrets_planted import Planted
from tests.support.wsgi import environ_of, serve


class Records:
    """Everything that was logged, as a file would have it, with tracebacks and arguments."""

    _FORMAT = logging.Formatter("%(name)s %(levelname)s %(message)s")

    def __init__(self, caplog):
        self._caplog = caplog

    def __iter__(self):
        # Of pytest's own handler: one of ours on the root logger was gone in some orders of the tests.
        return (f"{self._FORMAT.format(record)} {record.args!r}" for record in self._caplog.records)


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.DEBUG)
    return Records(caplog)


@pytest.fixture
def planted(monkeypatch):
    made = Planted()
    monkeypatch.setenv("PLANTED_FROM_ENV", made["from-env"])
    monkeypatch.setenv("PLANTED_FROM_ENV_REFERENCE", made["from-env-reference"])
    return made


def app_of(planted):
    def app(environ, start_response):
        if "HTTP_X_APP" in environ:
            raise RuntimeError("the app's own")
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", f"session={planted['set-cookie']}")]
        )
        return [b"hello"]

    return app


def written(tmp_path, made):
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


# -- what people read: commands, and messages about what is wrong ----------------------------------


def printed(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    return status, "".join(capsys.readouterr())


@pytest.mark.slow
def test_s21_the_schema_and_the_plugins_are_of_no_configuration(capsys, planted):
    for command in ("plugins", "schema"):
        status, text = printed(capsys, command)
        assert (status, planted.found_in(text)) == (0, set())


S = "planted-wrong-0123456789"
URL = f"http://user:{S}@h.example"


def credentials(**fields):
    return {"consumers": [{"username": "alice", **fields}]}


def entry(name, **config):
    return {"plugins": [{"name": name, "config": config}]}


TWICE = [
    {"username": "a", "keyauth_credentials": [{"key": S}]},
    {"username": "b", "keyauth_credentials": [{"key": S}]},
]
#: Documents with a secret where it is wrong.
BAD = {
    "key of another type": credentials(keyauth_credentials=[{"key": [S]}]),
    "key in an object": credentials(keyauth_credentials=[{"key": {"value": S}}]),
    "key twice": {"consumers": TWICE},
    "password that is no hash": credentials(
        basicauth_credentials=[{"username": "a", "password": f"scrypt:1$x${S}"}]
    ),
    "password of another type": credentials(basicauth_credentials=[{"username": "a", "password": {"x": S}}]),
    "public key that is none": credentials(
        jwt_secrets=[{"key": "a", "algorithm": "RS256", "rsa_public_key": S}]
    ),
    "public key without end": credentials(
        jwt_secrets=[
            {"key": "a", "algorithm": "RS256", "rsa_public_key": f"-----BEGIN PRIVATE KEY-----\n{S}"}
        ]
    ),
    "JWT secret beside an unknown field": credentials(jwt_secrets=[{"key": "a", "secret": S, "secrett": S}]),
    "JWT secret and unknown algorithm": credentials(
        jwt_secrets=[{"key": "a", "secret": S, "algorithm": "none"}]
    ),
    "HMAC secret of another type": credentials(hmacauth_credentials=[{"username": "a", "secret": [S]}]),
    "client secret that is no digest": credentials(
        oauth2_credentials=[{"name": "a", "client_id": "a", "client_secret": f"$pbkdf2-{S}"}]
    ),
    "reference to nothing": credentials(keyauth_credentials=[{"key": "{env://PLANTED_NOT_THERE}"}]),
    "store of no kind": {"store": f"radish://:{S}@h"},
    "store with a wrong port": {"store": f"redis://:{S}@h:port/0"},
    "store with a wrong database": {"store": f"redis://user:{S}@h/zero"},
    "store with an unknown option": {"store": f"redis://user:{S}@h/0?x=1"},
    "store with a hash": {"store": f"redis://user:{S}#@h/0"},
    "store of another type": {"store": [f"redis://:{S}@h"]},
    "consumer store of no kind": {"consumer_store": f"mysql://user:{S}@h/db"},
    "service with user info": {"services": [{"name": "a", "url": URL}]},
    "service with user info and a wrong port": {"services": [{"name": "a", "url": f"{URL}:port"}]},
    "certificate key that is none": {
        "certificates": [{"cert": "x", "key": f"-----BEGIN PRIVATE KEY-----\n{S}"}]
    },
    "certificate key that is a file": {"certificates": [{"cert": "x", "key": f"/{S}"}]},
    "log endpoint of no kind": entry("http-log", http_endpoint=f"ftp://user:{S}@h"),
    "log endpoint with a wrong port": entry("http-log", http_endpoint=f"{URL}:port"),
    "log headers": entry("http-log", http_endpoint="http://h", headers={"Authorization": f"{S}\n"}),
    "log headers of another type": entry(
        "http-log", http_endpoint="http://h", headers={"Authorization": [S]}
    ),
    "log headers that are a text": entry("http-log", http_endpoint="http://h", headers=S),
    "spans with user info": entry("zipkin", http_endpoint=URL),
    "loggly token": entry("loggly", key=f"{S}]"),
    "loggly token of another type": entry("loggly", key=[S]),
    "galileo token of another type": entry("galileo", host="h", service_token={"x": S}),
    "azure key with a line": entry("azure-functions", appname="a", functionname="f", apikey=f"{S}\n"),
    "aws key alone": entry("aws-lambda", function_name="f", aws_key=S),
    "aws proxy": entry("aws-lambda", function_name="f", proxy_url=f"https://user:{S}@h"),
    "aws proxy of no kind": entry("aws-lambda", function_name="f", proxy_url=f"socks://user:{S}@h"),
    "provision key of another type": entry("oauth2", enable_implicit_grant=True, provision_key=[S]),
    "Redis password of another type": entry("rate-limiting", minute=1, redis={"host": "h", "password": [S]}),
    "Redis password beside an unknown field": entry(
        "rate-limiting", minute=1, redis={"host": "h", "password": S, "pasword": S}
    ),
    "URL where a number should be": {"max_request_body": URL, "unrouted": f"postgres://a:p@{S}@h"},
    "value from the environment": entry("rate-limiting", minute="${PLANTED_FROM_ENV}"),
    "name from the environment": {"plugins": [{"name": "${PLANTED_FROM_ENV}"}]},
    "route from the environment": {"plugins": [{"name": "cors", "route": "${PLANTED_FROM_ENV}"}]},
}
#: Texts that are no document, with a secret near where they break.
BROKEN = {
    "JSON cut": ("json", '{"consumers": [{"keyauth_credentials": [{"key": "SECRET"'),
    "JSON with a comma": ("json", '{"store": "redis://:SECRET@h",}'),
    "JSON with a name twice": ("json", '{"store": "redis://:SECRET@h", "store": "redis://:SECRET@i"}'),
    "YAML with a tab": ("yaml", "consumers:\n- keyauth_credentials:\n\t- key: SECRET\n"),
    "YAML with an open quote": ("yaml", 'store: "redis://:SECRET@h\nplugins: []\n'),
    "YAML with a colon": ("yaml", "store: SECRET: SECRET\n"),
    "YAML with a tag": ("yaml", "store: !SECRET x\n"),
    "YAML with an alias": ("yaml", "store: *SECRET\n"),
    "TOML": ("toml", 'store = "redis://:SECRET@h\n'),
    "TOML without quotes": ("toml", "store = SECRET\n"),
    "environment in half": ("yaml", 'store: "${SECRET"\n'),
}


def problems(path, capsys, records, planted):
    """Return everything that is said about a document that is wrong."""
    with pytest.raises(ConfigError) as raised:
        read_plan(str(path))
    texts = [str(raised.value), repr(raised.value), repr(getattr(raised.value, "errors", ""))]
    error = raised.value
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for more in ([], ["--json"]):
        status, text = printed(capsys, "check", path, *more)
        assert status != 0
        texts.append(text)
    return "\n".join([*texts, *records])


@pytest.mark.slow
@pytest.mark.parametrize("made", BAD.values(), ids=BAD)
def test_s21_a_bad_configuration_is_told_without_its_secrets(tmp_path, planted, capsys, records, made):
    planted["wrong"] = S
    assert planted.found_in(problems(written(tmp_path, made), capsys, records, planted)) == set()


@pytest.mark.parametrize(("kind", "text"), BROKEN.values(), ids=BROKEN)
def test_s21_a_file_that_cannot_be_read_is_told_without_its_secrets(
    tmp_path, planted, capsys, records, kind, text
):
    planted["wrong"] = S
    path = tmp_path / f"gateway.{kind}"
    path.write_text(text.replace("SECRET", S), encoding="utf-8")
    assert planted.found_in(problems(path, capsys, records, planted)) == set()


@pytest.mark.slow
def test_s21_a_reload_that_is_refused_says_why_without_secrets(tmp_path, planted, records):
    planted["wrong"] = S
    path = written(tmp_path, {"store": "memory://"})
    gateway = Gateway(app_of(planted), str(path), reload=False)
    assert serve(gateway, environ_of()).status == "200 OK"
    for made in BAD.values():
        written(tmp_path, made)
        assert gateway.reload() is False
    gateway.stop()
    assert sum("reload refused" in line for line in records) == len(BAD)
    assert planted.found_in("\n".join(records)) == set()
