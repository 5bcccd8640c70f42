"""S3: what a client names in Connection takes nothing away; what is for one connection goes no further."""

from __future__ import annotations

import json

import pytest

from tests.support import raw
from tests.support.stub import Told, stub
from tests.support.wire import WORKERS

SOURCE = """
    import json
    from plugmw import Gateway
    from plugmw.upstream.forwarding import Target, Upstream
    from tests.support.plugins import made

    URL = "http://127.0.0.1:{port}"

    def site(environ, start_response):
        told = {{key: value for key, value in environ.items() if key.startswith("HTTP_")}}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(told).encode()]

    CONFIG = {{
        "store": "memory://",
        "trusted": ["127.0.0.1"],
        "consumers": [{{"username": "alice", "custom_id": "c-1", "keyauth_credentials": [{{"key": "k"}}]}}],
        "plugins": [
            {{"name": "key-auth"}},
            {{"name": "ip-restriction", "config": {{"deny": ["6.6.6.6"]}}}},
            {{"name": "correlation-id", "config": {{"header_name": "X-Id"}}}},
            {{"name": "request-transformer", "config": {{
                "replace": {{"headers": ["X-Tenant:mine"]}},
                "add": {{"headers": ["X-Tenant:mine", "X-Added:1"]}},
            }}}},
        ],
    }}
    ROUTES = {{
        "services": [{{"name": "s", "url": URL}}],
        "routes": [
            {{"name": "app", "paths": ["/app"]}},
            {{"name": "service", "paths": ["/service"], "service": "s"}},
        ],
    }}
    INNER = made(header_filter=lambda x: x.add_header("X-Seen", "1"))
    routed = Gateway(site, {{**CONFIG, **ROUTES}}, plugins=[INNER])
    whole = Gateway(Upstream(Target(url=URL)), CONFIG)

    def app(environ, start_response):
        chosen = whole if environ["PATH_INFO"] == "/whole" else routed
        return chosen(environ, start_response)
"""

#: What plugins say to the app, and what plugmw itself does, with what a client says in their place.
OURS = {
    "X-Consumer-Id": "9",
    "X-Consumer-Username": "root",
    "X-Consumer-Custom-Id": "c-9",
    "X-Credential-Identifier": "9",
    "X-Id": None,
    "X-Tenant": "theirs",
    "X-Added": None,
    "X-Forwarded-For": "6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "Authorization": "Basic x",
    "Cookie": "a=b",
}
SPELLINGS = {"as it is": str, "lower": str.lower, "upper": str.upper, "spaced": lambda name: f" \t{name} \t"}
HOPS = ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection")
HOPS += ("proxy-authorization", "proxy-authenticate", "http2-settings")


@pytest.fixture(scope="module")
def service():
    """Tell back what arrived, with everything in the answer that is for one connection only."""

    def answer(asked):
        told = json.dumps({name.lower(): value for name, value in asked.headers}).encode()
        headers = [
            ("Connection", "keep-alive, X-Gone, SET-COOKIE"),
            ("Keep-Alive", "timeout=5"),
            ("X-Gone", "1"),
        ]
        headers += [
            ("Proxy-Authenticate", "Basic"),
            ("Trailer", "X-A"),
            ("Upgrade", "h2c"),
            ("Set-Cookie", "a=b"),
        ]
        return Told(200, [*headers, ("X-Stays", "1")], told)

    with stub(answer) as made:
        yield made


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module, service):
    source = SOURCE.format(port=service.port)
    return gunicorn_for_module(source, worker_class=request.param, args=WORKERS[request.param])


def ask(server, path, *lines):
    # gunicorn closes for the first Connection line only; several lines are one list.
    data = raw.request(path, "apikey: k", "Connection: close", *lines, close=False)
    return raw.exchange(server.port, data)


def asked(server, path, *lines):
    """Return the answer and the headers that the app or the service got, names in lower case."""
    answer = ask(server, path, *lines)
    assert answer.status == 200, answer.raw
    told = json.loads(answer.body)
    names = {name.removeprefix("HTTP_").replace("_", "-").lower(): value for name, value in told.items()}
    return answer, names


@pytest.mark.parametrize("path", ["/app", "/service", "/whole"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_s3_connection_takes_nothing_away_that_is_said_to_the_app(server, path, spelling):
    named = ",".join(map(SPELLINGS[spelling], OURS))
    lies = [f"{name}: {value}" for name, value in OURS.items() if value]
    _, told = asked(server, path, f"Connection: {named}", *lies, "X-Forwarded-For: 5.5.5.5")
    assert (told["x-consumer-username"], told["x-consumer-custom-id"]) == ("alice", "c-1")
    assert len(told["x-consumer-id"]) == 36
    assert len(told["x-credential-identifier"]) == 36
    assert len(told["x-id"]) > 36
    assert (told["x-tenant"], told["x-added"]) == ("mine", "1")
    assert (told["authorization"], told["cookie"]) == ("Basic x", "a=b")
    if path != "/app":
        assert told["x-real-ip"] == ("5.5.5.5" if path == "/service" else "127.0.0.1")
        assert told["x-forwarded-for"].split(", ")[-1] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/app", "/service", "/whole"])
def test_s3_connection_does_not_take_the_address_from_ip_restriction(server, path):
    lines = ("Connection: X-Forwarded-For, x-forwarded-for", "X-Forwarded-For: 6.6.6.6")
    assert ask(server, path, *lines).status == 403


@pytest.mark.parametrize("path", ["/service", "/whole"])
def test_s3_what_is_for_one_connection_goes_no_further(server, path):
    lines = [
        "TE: trailers",
        "tRAILER: X-A",
        "Keep-Alive: 5",
        "Proxy-Connection: x",
        "PROXY-AUTHORIZATION: secret",
    ]
    lines += [
        "Connection: X-Mine, upgrade",
        "Upgrade: h2c",
        "HTTP2-Settings: x",
        "X-Mine: 1234",
        "X-Other: 1234",
    ]
    answer, told = asked(server, path, *lines)
    assert not set(told).intersection([*HOPS, "x-mine"])
    assert told["x-other"] == "1234"
    sent = [(name, value) for name, value in answer.headers if name in (*HOPS, "x-gone")]
    # Those are gunicorn's own.
    assert set(sent) <= {("connection", "close"), ("transfer-encoding", "chunked")}
    assert (answer.header("x-stays"), answer.header("set-cookie")) == ("1", "a=b")
