"""S21: of all secrets that a gateway is told none is in a log, an error, an entry that is sent, or a repr."""

from __future__ import annotations

import gc
import hmac
import json
import logging
import socket
import threading
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from io import BytesIO
from urllib.parse import unquote

import pytest

from plugmw import ConfigError, Gateway, cli
from plugmw.configuration.plan import read_plan
from tests.security.secrets_planted import Planted, document, requests
from tests.support.certificates import certificates
from tests.support.sinks import closed_port, tcp_sink, udp_sink, unix_sink
from tests.support.stub import Told, stub
from tests.support.waiting import until
from tests.support.wsgi import environ_of, serve


def signed(secret):
    date = formatdate(usegmt=True)
    text = f"date: {date}\n@request-target: get /hmac-auth".encode()
    made = b64encode(hmac.digest(secret.encode(), text, "sha256")).decode()
    value = (
        f'hmac username="alice", algorithm="hmac-sha256", headers="date @request-target", signature="{made}"'
    )
    return {"Date": date, "Authorization": value}


@contextmanager
def rude_redis():
    """A server that answers every command with an error that repeats it, as for commands it does not know."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = threading.Event()

    def answer(client):
        with client:
            while data := client.recv(65536):
                words = data.decode("latin-1").replace("\r\n", " ")
                client.sendall(f"-ERR unknown command, with args beginning with: {words}\r\n".encode())

    def accept():
        listener.settimeout(0.05)
        while not running.is_set():
            try:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
            except TimeoutError:
                pass

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        running.set()
        thread.join()
        listener.close()


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


@pytest.fixture
def sinks(tmp_path, planted):
    """Sinks that answer errors, which repeat what they were sent, and keep what they got."""

    def rude(asked):
        repeated = json.dumps([asked.headers, asked.body.decode("latin-1")[:40_000]])
        return Told(500, [("X-Told", repeated[:4000])], repeated.encode())

    with ExitStack() as stack:
        made = {name: stack.enter_context(stub(rude)) for name in ("http-log", "galileo", "zipkin", "error")}
        made["tcp"] = stack.enter_context(tcp_sink())
        made["udp"] = stack.enter_context(udp_sink())
        made["syslog"] = stack.enter_context(unix_sink(tmp_path / "log"))
        files = certificates(tmp_path)
        key = files.key.read_text(encoding="utf-8")
        planted["tls-key"] = key.splitlines()[1][8:40]
        yield (
            made,
            {
                "certificate": files.certificate.read_text(encoding="utf-8"),
                "key": key,
                **{name: sink.port for name, sink in made.items() if name != "syslog"},
                "syslog": tmp_path / "log",
                "redis": stack.enter_context(rude_redis()),
                "closed": closed_port(),
            },
        )


def got_by(sink):
    return [item.body for item in sink.asked] if hasattr(sink, "asked") else sink.got


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


def ask(gateway, method, target, headers, body):
    path, _, query = target.partition("?")
    made = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    kind = made.pop("HTTP_CONTENT_TYPE", "")
    return serve(
        gateway,
        environ_of(
            unquote(path),
            method,
            **{**made, "QUERY_STRING": query, "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body))},
            **{"wsgi.input": BytesIO(body), "wsgi.url_scheme": "https", "RAW_URI": target},
        ),
    )


def told(sink, name, planted):
    """Return what a sink got as text, without the token that belongs to the sink itself."""
    own = {"galileo": planted["galileo-token"], "udp": planted["loggly-token"]}.get(name, "\0")
    return b"\n".join(got_by(sink)).decode("latin-1").replace(own, "")


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_s21_a_run_of_good_and_failing_requests_tells_no_secret(tmp_path, planted, sinks, records, store):
    got, ports = sinks
    url = (
        "memory://"
        if store == "memory"
        else f"redis://:{planted['store-password']}@127.0.0.1:{ports['redis']}/0"
    )
    path = written(tmp_path, document(planted, ports, tmp_path, url))
    gateway = Gateway(app_of(planted), str(path), reload=False)
    statuses, bodies = [], []
    for method, target, headers, body in requests(planted, signed):
        answer = ask(gateway, method, target, headers, body)
        code = int(answer.status[:3] or 0)
        statuses.append(code)
        if "access_token" in answer.body.decode("latin-1"):
            # Given to who may have it; a secret from now on.
            made = json.loads(answer.body)
            planted |= {
                f"{len(planted)}-{name}": made[name]
                for name in ("access_token", "refresh_token")
                if name in made
            }
            for access in ({"Authorization": f"Bearer {made['access_token']}"}, {}):
                query = "" if access else f"?access_token={made['access_token']}"
                statuses.append(int(ask(gateway, "GET", f"/oauth2{query}", access, b"").status[:3]))
        elif b"redirect_uri" not in answer.body and not (target.startswith(("/azure", "/lambda"))):
            bodies.append(answer.body.decode("latin-1"))
            bodies += [f"{n}: {v}" for n, v in answer.headers if n.lower() not in ("set-cookie",)]
    gateway.reload()
    entries = (tmp_path / "requests.log").read_text(encoding="utf-8")
    count = len(entries.splitlines())
    until(lambda: len(got["http-log"].asked) >= count // 2)
    shown = show_all(gateway)
    gateway.stop()
    # The run was one: it had answers of every kind, and every sink got entries.
    assert {200, 401, 403, 500, 503} <= set(statuses), statuses
    assert count >= len(statuses) - 5
    assert all(got_by(sink) for sink in got.values()), {name: len(got_by(sink)) for name, sink in got.items()}
    places = {"log": "\n".join(records), "answers": "\n".join(bodies), "file-log": entries, "repr": shown}
    places |= {name: told(sink, name, planted) for name, sink in got.items() if name != "error"}
    assert len(planted) >= 30
    assert {name: planted.found_in(text) for name, text in places.items() if planted.found_in(text)} == {}


def show_all(gateway):
    """Return the reprs of everything of plugmw that the gateway is made of."""
    seen, line, texts = set(), [gateway, gateway.plan, *gateway.entries, *gateway.plan.routes], []
    while line:
        item = line.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        ours = type(item).__module__.partition(".")[0] == "plugmw"
        if ours:
            texts += [repr(item), str(item)]
        if ours or isinstance(item, (dict, list, tuple, set, frozenset)):
            line += [one for one in gc.get_referents(item) if not callable(one) or hasattr(one, "__dict__")]
    return "\n".join(texts)


# -- what people read: commands, and messages about what is wrong ----------------------------------


def printed(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    return status, "".join(capsys.readouterr())


def test_s21_the_commands_print_no_secret(tmp_path, planted, sinks, capsys, records):
    _, ports = sinks
    url = f"redis://:{planted['store-password']}@127.0.0.1:{ports['redis']}/0"
    path = written(tmp_path, document(planted, ports, tmp_path, url))
    texts = {}
    for arguments in (
        ["check"],
        ["check", "--json"],
        ["show"],
        ["show", "--json"],
        ["show", "--route", "limited"],
    ):
        status, texts[" ".join(arguments)] = printed(capsys, arguments[0], path, *arguments[1:])
        assert status == 0, texts
    secret = planted["key-header"]
    for target, *more in (
        ("/key-auth", "-H", f"apikey: {secret}"),
        ("/acl", "--json", "-H", f"apikey: {secret}"),
        (f"/key-auth?apikey={planted['key-query']}", "--json"),
        ("/lambda", "-H", f"Authorization: Bearer {secret}"),
        ("/limited", "--json"),
    ):
        status, text = printed(capsys, "explain", path, "GET", target, *more)
        # What was asked for is repeated to whoever asked.
        texts[f"explain {target}"] = text.replace(target, "")
        assert status == 0, text
    texts["log"] = "\n".join(records)
    assert {name: planted.found_in(text) for name, text in texts.items() if planted.found_in(text)} == {}


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
