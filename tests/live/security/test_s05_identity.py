"""S5: who somebody is, the gateway says; no spelling of a client's headers gets through in its place."""

from __future__ import annotations

import json

import pytest

from plugmw.kernel.identity import IDENTITY_KEYS
from tests.support import raw
from tests.support.stub import Told, stub
from tests.support.wire import WORKERS

SOURCE = """
    import json
    from plugmw import Entry, Gateway
    from plugmw.kernel.identity import IDENTITY_KEYS
    from tests.support.plugins import made

    def site(environ, start_response):
        keys = [*IDENTITY_KEYS, "REMOTE_USER"]
        start_response("200 OK", [])
        return [json.dumps({{key: environ[key] for key in keys if key in environ}}).encode()]

    def tell(x):
        x.exit(403, {{key: x.environ[key] for key in IDENTITY_KEYS if key in x.environ}})

    AUTH = ("key-auth", "basic-auth", "jwt", "hmac-auth", "oauth2")
    KEYS = ("open", "key", "anonymous", "preflight", "exit", "broken", "service", "several")
    routes = [{{"name": name, "paths": [f"/{{name}}"]}} for name in (*KEYS, *AUTH)]
    next(route for route in routes if route["name"] == "service")["service"] = "s"
    stranger = {{"anonymous": "stranger"}}
    app = Gateway(site, {{
        "store": "memory://",
        "remote_user": "username",
        "services": [{{"name": "s", "url": "http://127.0.0.1:{port}"}}],
        "routes": routes,
        "consumers": [
            {{"username": "alice", "keyauth_credentials": [{{"key": "k"}}]}},
            {{"username": "stranger"}},
        ],
        "plugins": [
            *[{{"name": "key-auth", "route": name}} for name in ("key", "exit", "broken", "service")],
            *[{{"name": "key-auth", "route": name, "config": stranger}} for name in ("anonymous", "several")],
            {{"name": "basic-auth", "route": "several", "config": stranger}},
            {{"name": "key-auth", "route": "preflight", "config": {{"run_on_preflight": False}}}},
            *[{{"name": name, "route": name,
               "config": {{**stranger, **({{"scopes": ["a"], "enable_client_credentials": True}}
                                        if name == "oauth2" else {{}})}}}} for name in AUTH],
        ],
    }}, plugins=[
        Entry(made("exit", 1, access=tell), route="exit"),
        Entry(made("failing", 1, access=lambda x: 1 / 0, header_filter=tell), route="broken"),
    ])
"""
NAMES = [key.removeprefix("HTTP_").title().replace("_", "-") for key in IDENTITY_KEYS] + ["Remote-User"]


def mixed(name):
    """Change the case of every other letter, and the first hyphen into an underscore."""
    made = "".join(letter.upper() if place % 2 else letter.lower() for place, letter in enumerate(name))
    return made.replace("-", "_", 1)


SPELLINGS = {
    "as plugmw writes it": str,
    "lower case": str.lower,
    "underscores": lambda name: name.replace("-", "_"),
    "the last hyphen": lambda name: "_".join(name.rsplit("-", 1)),
    "mixed": mixed,
}
#: (path, method, more header lines) -> who the app is told; None: it is not asked.
PATHS = {
    "open": ("GET", [], {}),
    "key": ("GET", ["apikey: k"], "alice"),
    "anonymous": ("GET", ["apikey: wrong"], "stranger"),
    "several": ("GET", [], "stranger"),
    "preflight": ("OPTIONS", [], {}),
    "exit": ("GET", ["apikey: k"], "alice"),
    "broken": ("GET", ["apikey: k"], "alice"),
    "service": ("GET", ["apikey: k"], "alice"),
    "key-auth": ("GET", [], "stranger"),
    "basic-auth": ("GET", ["Authorization: Basic x"], "stranger"),
    "jwt": ("GET", ["Authorization: Bearer x.y.z"], "stranger"),
    "hmac-auth": ("GET", [], "stranger"),
    "oauth2": ("GET", [], "stranger"),
}


@pytest.fixture(scope="module")
def service():
    def answer(asked):
        found = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in asked.headers}
        # Nothing goes out with an underscore in its name.
        assert not [name for name, _ in asked.headers if "_" in name]
        return Told(200, [], json.dumps({key: found[key] for key in IDENTITY_KEYS if key in found}).encode())

    with stub(answer) as made:
        yield made


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module, service):
    more = ["--header-map", "dangerous", *WORKERS[request.param]]
    return gunicorn_for_module(SOURCE.format(port=service.port), worker_class=request.param, args=more)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_s5_no_spelling_of_an_identity_header_survives_on_any_path(server, spelling):
    lies = [f"{SPELLINGS[spelling](name)}: evil" for name in NAMES]
    for path, (method, lines, who) in PATHS.items():
        # On both sides of the true credential, and twice.
        answer = raw.get(server.port, f"/{path}", *lies, *lines, *lies, method=method)
        assert b"evil" not in answer.raw, (path, answer.raw)
        assert answer.status == (403 if path in ("exit", "broken") else 200), (path, answer.raw)
        told = json.loads(answer.body)
        if isinstance(who, dict):
            assert told == who, path
            continue
        assert told["HTTP_X_CONSUMER_USERNAME"] == who, path
        assert len(told["HTTP_X_CONSUMER_ID"]) == 36, path
        stranger = who == "stranger"
        assert told.get("HTTP_X_ANONYMOUS_CONSUMER") == ("true" if stranger else None), path
        assert ("HTTP_X_CREDENTIAL_IDENTIFIER" in told) is not stranger, path
        if path not in ("exit", "broken", "service"):
            assert told.get("REMOTE_USER") == (None if stranger else who), path


def test_s5_the_header_does_come_through_where_nobody_removes_it(gunicorn):
    """What the other test finds absent would be there: gunicorn does hand it on."""
    source = """
        def app(environ, start_response):
            start_response("200 OK", [])
            return [environ.get("HTTP_X_CONSUMER_ID", "-").encode()]
    """
    server = gunicorn(source, args=["--header-map", "dangerous"])
    assert raw.get(server.port, "/", "X_Consumer_Id: evil", "X-Consumer_Id: too").body == b"evil,too"
