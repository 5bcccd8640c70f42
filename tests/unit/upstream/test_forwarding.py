"""The upstream: what goes to a service, what comes back, and what is answered when it cannot."""

from __future__ import annotations

import http.client
import io
import json
import os
import threading
import time
import tracemalloc

import pytest

from plugmw.errors import ConfigError
from plugmw.gateway import Gateway
from plugmw.kernel.plugin import Plugin
from plugmw.telemetry import log_entry
from plugmw.testing import hello_app
from plugmw.upstream.forwarding import EVERY, Target, Upstream, noting_named, request_headers
from plugmw.wsgi import keys
from plugmw.wsgi.proxies import Trusted
from plugmw.wsgi.upstream_request import UpstreamRequest
from tests.support.clock import Clock
from tests.support.events import listening
from tests.support.services import Service, answer, headers_of
from tests.support.sinks import closed_port
from tests.support.waiting import until
from tests.support.wsgi import environ_of, serve


def through(url, environ=None, trusted=None, **target):
    """Send one request to a service and return what a server would have sent."""
    app = Upstream(Target(url=url, **target), trusted=trusted)
    result = serve(app, environ if environ is not None else environ_of())
    app.close()
    return result


def sent(environ, path="", **options):
    """Return the request that a service gets for an environ."""
    with Service(answer(b"ok")) as service:
        result = through(service.url + path, environ, **options)
        assert result.body == b"ok" or environ["REQUEST_METHOD"] == "HEAD"
        return service.requests[0]


# -- what goes out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "raw_uri", "query", "base", "line"),
    [
        ("/", None, "", "", b"GET / HTTP/1.1"),
        ("", None, "", "", b"GET / HTTP/1.1"),
        ("/a b", None, "x=%20", "/base/", b"GET /base/a%20b?x=%20 HTTP/1.1"),
        ("/a/../b", "/a/../b?q=%7E", "q=%7E", "", b"GET /a/../b?q=%7E HTTP/1.1"),
        ("/a/b", "/a%2fb", "", "", b"GET /a%2fb HTTP/1.1"),
        ("/%2e", "/%252e", "", "", b"GET /%252e HTTP/1.1"),
        ("//a", "//a", "", "/base", b"GET /base//a HTTP/1.1"),
        ("/changed", "/sent?q", "q", "", b"GET /changed?q HTTP/1.1"),
        ("/\xc3\xa9", "/\xc3\xa9", "\xff", "", b"GET /%C3%A9?%FF HTTP/1.1"),
        ("/x", "http://h/x", "", "", b"GET /x HTTP/1.1"),
    ],
)
def test_the_path_goes_out_in_the_clients_own_spelling(path, raw_uri, query, base, line):
    environ = environ_of(path, QUERY_STRING=query, RAW_URI=raw_uri)
    assert sent(environ, base).partition(b"\r\n")[0] == line


@pytest.mark.parametrize(
    ("script", "path", "raw_uri", "line"),
    [
        ("/api", "/x/y", "/api/x%2fy", b"GET /x%2fy HTTP/1.1"),
        ("/a b", "/x", "/a%20b/x", b"GET /x HTTP/1.1"),
        ("/api", "/x", "/apix", b"GET /x HTTP/1.1"),
        ("/api/longer", "/x", "/api", b"GET /x HTTP/1.1"),
        ("/api", "", "/api", b"GET / HTTP/1.1"),
    ],
)
def test_a_stripped_prefix_is_not_sent(script, path, raw_uri, line):
    environ = environ_of(path, SCRIPT_NAME=script, RAW_URI=raw_uri)
    assert sent(environ).partition(b"\r\n")[0] == line


def test_a_path_that_a_plugin_set_is_complete_unless_it_was_changed_since():
    environ = environ_of("/a/b", **{keys.UPSTREAM: UpstreamRequest(path="/a%2Fb")})
    assert sent(environ, "/base").startswith(b"GET /a%2Fb HTTP/1.1")
    environ = environ_of("/other", **{keys.UPSTREAM: UpstreamRequest(path="/a%2Fb")})
    assert sent(environ, "/base").startswith(b"GET /base/other HTTP/1.1")


def test_headers_go_out_without_hop_by_hop_fields_and_those_that_connection_names():
    environ = environ_of(
        CONTENT_TYPE="text/plain",
        HTTP_HOST="shop.example",
        HTTP_CONNECTION="close, X-Mine, X-Consumer-Username, Authorization, Cookie",
        HTTP_KEEP_ALIVE="5",
        HTTP_TE="trailers",
        HTTP_TRAILER="x",
        HTTP_UPGRADE="h2c",
        HTTP_PROXY_AUTHORIZATION="secret",
        HTTP_EXPECT="100-continue",
        HTTP_X_MINE="1",
        HTTP_X_CONSUMER_USERNAME="alice",
        HTTP_AUTHORIZATION="Basic x",
        HTTP_COOKIE="a=b",
        HTTP_ACCEPT_ENCODING="br",
    )
    found = headers_of(sent(environ))
    assert found["x-consumer-username"] == "alice"
    assert (found["authorization"], found["cookie"], found["content-type"]) == (
        "Basic x",
        "a=b",
        "text/plain",
    )
    assert found["accept-encoding"] == "br"
    gone = ("connection", "keep-alive", "te", "trailer", "upgrade", "proxy-authorization", "expect", "x-mine")
    assert not set(gone) & set(found)


def test_what_connection_names_goes_only_if_it_is_still_the_clients_own():
    def plugin(environ, start_response):
        environ |= {"HTTP_X_SET": "no", "HTTP_X_NEW": "n", "HTTP_X_SHORT": "1"}
        return request_headers(environ)

    named = {"HTTP_X_MINE": "yes", "HTTP_X_SET": "yes", "HTTP_X_SHORT": "1", "HTTP_X_OTHER": "yes"}
    environ = environ_of(HTTP_CONNECTION="X-Mine, x-set,X-NEW, X-Short, x-absent, X-Used, ", **named)
    found = dict(noting_named(plugin)(environ, None))
    found.pop("Host")
    assert found == {"X-Set": "no", "X-New": "n", "X-Short": "1", "X-Other": "yes"}


def test_what_connection_usually_says_is_not_looked_at():
    for value in (None, "close", "keep-alive", "Keep-Alive"):
        environ = environ_of(HTTP_CONNECTION=value)
        noting_named(lambda environ, start_response: [])(environ, None)
        assert not [key for key in environ if key.startswith("plugmw.")]


def test_nothing_of_our_own_is_added_beside_the_forwarding_fields():
    found = headers_of(sent(environ_of(REMOTE_ADDR="1.2.3.4", SERVER_PORT="80", HTTP_HOST="shop.example:80")))
    assert found.pop("host").startswith("127.0.0.1:")
    assert found == {
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "shop.example",
        "x-forwarded-port": "80",
        "x-forwarded-path": "/",
        "x-real-ip": "1.2.3.4",
    }


CLAIMS = {
    "HTTP_X_FORWARDED_FOR": "9.9.9.9",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "outside.example",
    "HTTP_X_FORWARDED_PORT": "443",
    "HTTP_X_FORWARDED_PATH": "/outside",
    "HTTP_X_FORWARDED_PREFIX": "/prefix",
    "HTTP_X_REAL_IP": "6.6.6.6",
}


def test_forwarding_fields_of_clients_are_replaced_and_the_peer_is_added():
    environ = environ_of("/a", REMOTE_ADDR="1.2.3.4", HTTP_HOST="shop.example", SERVER_PORT="80", **CLAIMS)
    found = headers_of(sent({**environ, "plugmw.stripped_prefix": "/api"}))
    assert found["x-forwarded-for"] == "9.9.9.9, 1.2.3.4"
    assert (found["x-forwarded-proto"], found["x-forwarded-host"]) == ("http", "shop.example")
    assert (found["x-forwarded-port"], found["x-forwarded-path"]) == ("80", "/a")
    assert (found["x-forwarded-prefix"], found["x-real-ip"]) == ("/api", "1.2.3.4")
    assert "x-forwarded-prefix" not in headers_of(sent(environ))


def test_forwarding_fields_of_trusted_peers_are_passed_on():
    environ = environ_of("/a", REMOTE_ADDR="10.0.0.1", **CLAIMS)
    found = headers_of(sent(environ, trusted=Trusted(["10.0.0.0/8"])))
    assert found["x-forwarded-for"] == "9.9.9.9, 10.0.0.1"
    assert (found["x-forwarded-proto"], found["x-forwarded-host"]) == ("https", "outside.example")
    assert (found["x-forwarded-port"], found["x-forwarded-path"]) == ("443", "/outside")
    assert (found["x-forwarded-prefix"], found["x-real-ip"]) == ("/prefix", "9.9.9.9")


def test_a_peer_on_a_unix_socket_has_no_address():
    found = headers_of(sent(environ_of(REMOTE_ADDR="")))
    assert "x-forwarded-for" not in found
    assert "x-real-ip" not in found


@pytest.mark.parametrize(
    ("options", "wish", "host"),
    [
        ({}, {}, None),
        ({"preserve_host": True}, {}, "shop.example"),
        ({}, {"host_header": "mine.example"}, "mine.example"),
        ({"preserve_host": True}, {"host_header": "mine.example"}, "mine.example"),
    ],
)
def test_the_host_is_the_services_the_clients_or_a_plugins(options, wish, host):
    environ = environ_of(HTTP_HOST="shop.example", **{keys.UPSTREAM: UpstreamRequest(**wish)})
    found = headers_of(sent(environ, **options))["host"]
    assert found == host or (host is None and found.startswith("127.0.0.1:"))


def test_a_plugin_may_choose_another_target_and_other_times():
    with Service(answer(b"other")) as service:
        wish = {
            "host": "127.0.0.1",
            "port": service.port,
            "scheme": "http",
            "connect_timeout": 5.0,
            "retries": 0,
        }
        environ = environ_of(**{keys.UPSTREAM: UpstreamRequest(**wish)})
        assert through("https://192.0.2.1:1", environ).body == b"other"


def test_cookies_redirects_and_proxies_are_left_alone(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Service(answer(b"", "302 Found", "Location: /next", "Set-Cookie: a=b")) as service:
        app = Upstream(Target(url=service.url))
        results = [serve(app, environ_of()) for _ in range(2)]
        app.close()
        assert [result.status for result in results] == ["302 Found"] * 2
        assert results[0].header("Location") == "/next"
        assert not any("cookie" in headers_of(request) for request in service.requests)


# -- bodies ----------------------------------------------------------------------------------------------


def posted(body, **extra):
    return environ_of(method="POST", **{"wsgi.input": io.BytesIO(body), **extra})


def test_a_body_goes_out_up_to_its_length():
    request = sent(posted(b"abcdef", CONTENT_LENGTH="3"))
    assert request.endswith(b"\r\n\r\nabc")
    assert headers_of(request)["content-length"] == "3"


def test_an_empty_body_keeps_its_length():
    assert headers_of(sent(posted(b"", CONTENT_LENGTH="0")))["content-length"] == "0"


def test_a_request_without_a_body_has_no_length():
    found = headers_of(sent(environ_of()))
    assert "content-length" not in found
    assert "transfer-encoding" not in found


def test_a_chunked_body_goes_out_in_chunks():
    extra = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    request = sent(posted(b"abc", **extra))
    assert headers_of(request)["transfer-encoding"] == "chunked"
    assert request.endswith(b"3\r\nabc\r\n0\r\n\r\n")


@pytest.mark.parametrize("length", ["+3", "1_0", "5", "9" * 5000], ids=lambda length: length[:5])
def test_a_body_that_is_not_what_it_says_is_the_clients_error(length):
    with Service(answer(b"ok")) as service:
        assert through(service.url, posted(b"abc", CONTENT_LENGTH=length)).status == "400 Bad Request"


class Breaking:
    """A request body of which so many bytes come before the client is gone."""

    def __init__(self, error, left=3):
        self.error = error
        self.left = left

    def read(self, size):
        if not self.left:
            raise self.error
        size = min(size, self.left)
        self.left -= size
        return b"x" * size


GONE = [ConnectionResetError(104, "reset"), BrokenPipeError(), TimeoutError(), OSError("bad chunk")]
FRAMING = {
    "sized": {"CONTENT_LENGTH": "9"},
    "chunked": {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
}


@pytest.mark.parametrize("error", GONE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("framing", FRAMING.values(), ids=FRAMING)
def test_a_client_that_is_gone_in_the_middle_of_its_body_ends_the_request_at_once(error, framing):
    ends = []

    def hear(connection):
        while connection.sock.recv(65536):
            pass
        ends.append("closed")

    with Service(hear) as service:
        environ = environ_of(method="POST", **{"wsgi.input": Breaking(error), **framing})
        # A service that waits for the rest does not answer: if that was waited for, it would be 504.
        assert through(service.url, environ, read_timeout=1.0).status == "400 Bad Request"
        until(lambda: ends == ["closed"])


def memory_of(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Endless:
    """A request body of so many bytes that is nowhere."""

    def __init__(self, left):
        self.left = left

    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return b"x" * size


MANY = 20_000_000


def test_a_request_is_streamed_in_constant_memory():
    def count(connection):
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.sock.recv(65536)
        left = MANY - len(got.partition(b"\r\n\r\n")[2])
        while left:
            left -= len(connection.sock.recv(65536))
        connection.send(answer(b"got all"))

    with Service(count) as service:
        environ = environ_of(method="PUT", **{"wsgi.input": Endless(MANY)}, CONTENT_LENGTH=str(MANY))
        results = []
        assert memory_of(lambda: results.append(through(service.url, environ))) < 2_000_000
        assert results[0].body == b"got all"


def test_an_answer_is_streamed_in_constant_memory():
    def much(connection):
        connection.request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {MANY}\r\n\r\n".encode())
        for _ in range(MANY // 100_000):
            connection.send(b"x" * 100_000)

    def read_all():
        body = app(environ_of(), lambda *_: None)
        total.append(sum(map(len, body)))
        body.close()

    total = []
    with Service(much) as service:
        app = Upstream(Target(url=service.url))
        assert memory_of(read_all) < 2_000_000
        app.close()
    assert total == [MANY]


def test_what_has_arrived_is_handed_on_at_once():
    go_on = threading.Event()

    def slow(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        go_on.wait(10)
        connection.send(b"6\r\nsecond\r\n0\r\n\r\n")

    with Service(slow) as service:
        app = Upstream(Target(url=service.url))
        body = app(environ_of(), lambda *_: None)
        chunks = iter(body)
        assert next(chunks) == b"first"
        go_on.set()
        assert b"".join(chunks) == b"second"
        body.close()
        app.close()


# -- what comes back -------------------------------------------------------------------------------------


def test_headers_come_back_without_hop_by_hop_fields_and_cookies_stay_apart():
    data = answer(
        b"x",
        "200 Fine",
        *("Set-Cookie: a=1", "Set-Cookie: b=2", "Connection: keep-alive, X-Gone, Set-Cookie", "X-Gone: 1"),
        *("Keep-Alive: timeout=5", "Trailer: x", "Server: it"),
    )
    with Service(data) as service:
        result = through(service.url)
    assert result.status == "200 Fine"
    assert result.headers == [
        *(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Server", "it"), ("Content-Length", "1")),
    ]


def test_a_status_without_a_reason_gets_the_usual_one():
    with Service(b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n") as service:
        assert through(service.url).status == "404 Not Found"


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 500\r\n\r\n'),
    ],
    ids=["head", "204", "304"],
)
def test_an_answer_without_a_body_leaves_the_connection_usable(method, data):
    with Service(data) as service:
        app = Upstream(Target(url=service.url))
        results = [serve(app, environ_of(method=method)) for _ in range(3)]
        app.close()
        assert [result.body for result in results] == [b""] * 3
        assert service.connections == 1
    assert results[0].header("Content-Length") == ("500" if b"500" in data else None)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ids=["length", "chunked"],
)
def test_an_answer_that_is_cut_off_does_not_look_whole(data):
    def cut(connection):
        connection.request()
        connection.send(data)

    with Service(cut) as service:
        result = through(service.url)
    assert result.chunks == [b"abc"]
    assert isinstance(result.raised, http.client.IncompleteRead)


def test_a_client_that_goes_away_closes_the_connection():
    closed = threading.Event()

    def endless(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        try:
            while True:
                connection.send(b"x" * 65536)
        except OSError:
            closed.set()

    with Service(endless) as service:
        app = Upstream(Target(url=service.url))
        result = serve(app, environ_of(), stop_after=2)
        assert closed.wait(10)
        assert len(result.chunks) == 2


def test_the_status_of_the_service_is_kept_for_the_log():
    with Service(answer(b"", "201 Created")) as service:
        environ = environ_of()
        through(service.url, environ)
        assert environ[keys.UPSTREAM].status == "201"
        assert environ[keys.UPSTREAM].tries == [{"ip": "127.0.0.1", "port": service.port}]


# -- what goes wrong -------------------------------------------------------------------------------------


def test_a_service_that_is_down_is_a_502_after_its_retries():
    environ = environ_of(HTTP_ACCEPT="application/json", **{"plugmw.request_id": "r1"})
    result = through(f"http://127.0.0.1:{closed_port()}", environ, retries=2)
    assert result.status == "502 Bad Gateway"
    assert b'"An invalid response was received from the upstream server"' in result.body
    assert b'"r1"' in result.body
    assert len(environ[keys.UPSTREAM].tries) == 3
    assert result.header("Content-Length") == str(len(result.body))


def test_an_error_to_head_has_no_body():
    result = through(f"http://127.0.0.1:{closed_port()}", environ_of(method="HEAD"), retries=0)
    assert (result.status, result.body) == ("502 Bad Gateway", b"")


def test_a_service_that_is_down_is_told_once_in_a_while_with_the_cause_and_the_id_of_the_request(caplog):
    clock = Clock()
    port = closed_port()
    app = Upstream(Target(url=f"http://127.0.0.1:{port}", retries=0), clock=clock)
    answers = [serve(app, environ_of(HTTP_ACCEPT="application/json")) for _ in range(3)]
    clock.now += EVERY
    serve(app, environ_of(**{"plugmw.request_id": "second"}))
    number = json.loads(answers[0].body)["request_id"]
    cause = f"service at 127.0.0.1:{port}: 502, no connection: [Errno 111] Connection refused"
    assert len(number) == 32
    assert caplog.messages == [
        f"{cause} (request {number})",
        f"{cause} (request second), and 2 more since the last line",
    ]


def test_a_service_that_does_not_answer_in_time_is_told(caplog):
    def listen(connection):
        while connection.sock.recv(65536):
            pass

    with Service(listen) as service:
        assert through(service.url, read_timeout=0.05).status == "504 Gateway Timeout"
    [line] = caplog.messages
    assert ": 504, no answer in time (request " in line


def test_what_a_service_says_is_cut_and_escaped_in_the_log(caplog):
    with Service(b"\x85" + b"x" * 60_000 + b"\r\n\r\n") as service:
        assert through(service.url).status == "502 Bad Gateway"
    [line] = caplog.messages
    assert "502, BadStatusLine: \\x85" in line
    assert "xxx... (request " in line
    assert line.isprintable()
    assert len(line) < 400


def test_a_service_that_fails_is_named_as_the_plugin_chose_it(caplog):
    port = closed_port()
    environ = environ_of(**{keys.UPSTREAM: UpstreamRequest(host="127.0.0.1", port=port)})
    assert through("http://elsewhere.invalid:81", environ, retries=0).status == "502 Bad Gateway"
    [line] = caplog.messages
    assert line.startswith(f"service at 127.0.0.1:{port}: 502, no connection: ")


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_start_response_that_raises_closes_the_connection(error):
    def start_response(status, headers):
        raise error

    ended = threading.Event()

    def script(connection):
        connection.request()
        connection.send(answer(b"x" * 10))
        assert connection.request() == b""
        ended.set()

    with Service(script) as service:
        app = Upstream(Target(url=service.url))
        with pytest.raises(error):
            app(environ_of(), start_response)
        assert ended.wait(10)
        app.close()


def test_a_name_that_cannot_be_resolved_is_a_502():
    assert through("http://nowhere.invalid", retries=0).status == "502 Bad Gateway"


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 99 No\r\n\r\n",
    ],
    ids=["garbage", "hang-up", "too many headers", "status 99"],
)
def test_an_answer_that_is_none_is_a_502_and_the_request_is_not_sent_again(data):
    def bad(connection):
        connection.request()
        connection.send(data)

    with Service(bad) as service:
        assert through(service.url).status == "502 Bad Gateway"
        assert len(service.requests) == 1


def test_switching_protocols_is_not_passed_on():
    with Service(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n") as service:
        assert through(service.url).status == "502 Bad Gateway"


def silent(connection):
    connection.request()
    connection.sock.recv(1)


def test_a_service_that_does_not_answer_is_a_504_and_is_not_asked_again():
    with Service(silent) as service:
        assert through(service.url, read_timeout=0.05).status == "504 Gateway Timeout"
        assert len(service.requests) == 1


@pytest.mark.slow
def test_a_service_that_does_not_read_is_a_504():
    def deaf(connection):
        release.wait(10)

    release = threading.Event()
    with Service(deaf) as service:
        environ = environ_of(method="PUT", **{"wsgi.input": Endless(MANY)}, CONTENT_LENGTH=str(MANY))
        assert through(service.url, environ, write_timeout=0.05).status == "504 Gateway Timeout"
        release.set()


def test_a_service_that_cannot_be_reached_in_time_is_a_504_and_is_not_tried_again(monkeypatch):
    def never(*arguments, **options):
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", never)
    environ = environ_of()
    result = serve(Upstream(Target(url="http://192.0.2.1")), environ)
    assert result.status == "504 Gateway Timeout"
    assert len(environ[keys.UPSTREAM].tries) == 1


@pytest.mark.slow
def test_a_deadline_counts_for_the_whole_exchange():
    def drip(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.send(b"1\r\nx\r\n")
                time.sleep(0.005)
        except OSError:
            pass

    with Service(drip) as service:
        result = through(service.url, deadline=0.1)
        assert isinstance(result.raised, TimeoutError)
        assert result.chunks
    now = [0.0]
    late = Upstream(
        Target(url="http://127.0.0.1:1", deadline=5), clock=lambda: now.__setitem__(0, now[0] + 9) or now[0]
    )
    assert serve(late, environ_of()).status == "504 Gateway Timeout"


def test_a_websocket_handshake_is_refused():
    with Service(answer(b"ok")) as service:
        shake = {"HTTP_CONNECTION": "keep-alive, Upgrade", "HTTP_UPGRADE": "WebSocket"}
        assert through(service.url, environ_of(**shake)).status == "501 Not Implemented"
        assert service.requests == []
        assert through(service.url, environ_of(HTTP_UPGRADE="websocket")).status == "200 OK"


@pytest.mark.parametrize("url", ["ftp://a", "http://", "nonsense", "http://a:x", "http://a:0"])
def test_a_url_that_is_none_to_send_to_is_refused(url):
    with pytest.raises(ConfigError, match="expected an http or https URL"):
        Upstream(Target(url=url))


# -- TLS -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    import ssl

    from tests.support.certificates import certificates

    files = certificates(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context, str(files.authority)


@pytest.mark.parametrize(
    ("options", "status"),
    [({}, "502 Bad Gateway"), ({"ca_file": ...}, "200 OK"), ({"verify": False}, "200 OK")],
    ids=["unknown authority", "known authority", "not verified"],
)
def test_certificates_are_verified_unless_told_otherwise(tls, options, status):
    context, authority = tls
    options = {name: authority if value is ... else value for name, value in options.items()}
    with Service(answer(b"ok"), context) as service:
        assert through(service.url, **options).status == status


# -- in a gateway, and real servers ----------------------------------------------------------------------


def test_a_gateway_sends_a_service_what_a_plugin_decided():
    from plugmw.dialects.kong import kong
    from tests.support.kong import plugin

    def access(config):
        kong.service.request.set_path("/set%2Fby/plugin")
        kong.service.request.set_header("Host", "mine.example")
        kong.service.set_timeouts(1000, 1000, 1000)
        kong.service.set_target("127.0.0.1", service.port)

    with Service(answer(b"ok")) as service:
        config = {
            "store": "memory://",
            "services": [{"name": "s", "url": "http://192.0.2.1/base"}],
            "routes": [{"name": "r", "paths": ["/api"], "service": "s", "strip_path": True}],
        }
        result = serve(Gateway(hello_app, config, plugins=[plugin(access=access)]), environ_of("/api/x"))
        assert result.body == b"ok"
        assert service.requests[0].startswith(b"GET /set%2Fby/plugin HTTP/1.1\r\n")
        assert headers_of(service.requests[0])["host"] == "127.0.0.1"


@pytest.mark.slow
def test_workers_do_not_share_connections(monkeypatch):
    with Service(answer(b"ok")) as service:
        app = Upstream(Target(url=service.url))
        assert serve(app, environ_of()).body == b"ok"
        child = os.fork()
        if not child:
            os._exit(0 if serve(app, environ_of()).body == b"ok" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert serve(app, environ_of()).body == b"ok"
        assert service.connections == 2
        app.close()


# -- what a service sends that no client may get -----------------------------------------------------------


@pytest.mark.parametrize("place", ["X-A: a%sb", "X-A%s: b", "X-A: %s", "Set-Cookie: a=%sX-Split: 1"])
@pytest.mark.parametrize("character", ["\r", "\0", "\x0b", "\x1b", "\x7f"], ids=ascii)
def test_an_answer_with_a_control_character_in_its_head_is_a_502(place, character):
    with Service(answer(b"ok", "200 OK", place % character)) as service:
        result = through(service.url)
    assert result.status == "502 Bad Gateway"
    assert [name for name, _ in result.headers] == ["Content-Type", "Content-Length"]


def test_a_control_character_in_the_reason_is_a_502():
    with Service(answer(b"ok", "200 O\rX-Split: 1")) as service:
        assert through(service.url).status == "502 Bad Gateway"


def test_a_value_in_two_lines_is_one_value_and_a_tab_stays():
    with Service(answer(b"ok", "200 OK", "X-A: one\r\n \ttwo\r\n three", "X-B: a\tb\xff")) as service:
        result = through(service.url)
    assert (result.header("X-A"), result.header("X-B"), result.body) == ("one two three", "a\tb\xff", b"ok")


# -- the gateway's own answers -----------------------------------------------------------------------


class Sees(Plugin):
    """Notes what plugins and log entries are told of who answered."""

    name, priority = "sees", 1
    needs_timings = needs_upstream_response = True

    def __init__(self):
        super().__init__()
        self.told = []

    def log(self, x):
        entry = log_entry.entry(x)
        self.told.append((x.status, x.source, x.environ.get(keys.SERVICE, (None,))[0], entry["source"]))
        self.entry, self.copy = entry, x.snapshot(dict(x.environ))


def seen(url, **service):
    sees = Sees()
    document = {
        "store": "memory://",
        "routes": [{"name": "r", "paths": ["/"], "service": "s"}],
        "services": [{"name": "s", "url": url, "retries": 0, **service}],
    }
    wrapped = Gateway(None, document, plugins=[sees])
    serve(wrapped, environ_of())
    return wrapped, sees


def test_a_services_own_502_is_the_services():
    with Service(answer(b"no", status="502 Bad Gateway")) as service:
        assert seen(service.url)[1].told == [(502, "service", 502, "upstream")]


def test_the_gateways_own_502_is_an_error_and_not_the_services():
    _, sees = seen(f"http://127.0.0.1:{closed_port()}")
    assert sees.told == [(502, "error", None, "kong")]
    assert (sees.entry["upstream_status"], sees.entry["upstream_uri"]) == ("502", "")
    assert sees.entry["latencies"]["proxy"] == -1
    assert sees.copy.source == "error"


def test_the_gateways_own_504_is_an_error_and_not_the_services():
    with Service(silent) as service:
        assert seen(service.url, read_timeout=0.05)[1].told == [(504, "error", None, "kong")]


def test_a_service_that_is_switched_off_has_not_answered():
    assert seen("http://127.0.0.1:9", enabled=False)[1].told == [(503, "error", None, "kong")]


def test_no_app_has_not_answered():
    sees = Sees()
    serve(Gateway(None, {"store": "memory://"}, plugins=[sees]), environ_of())
    assert sees.told == [(404, "error", None, "kong")]


def test_failures_are_counted_by_reason_the_ones_without_a_line_too():
    wrapped, _ = seen(f"http://127.0.0.1:{closed_port()}")
    for _ in range(2):
        serve(wrapped, environ_of())
    taken = listening(wrapped.runtime.events)
    assert taken == [("upstream_failures", "connect", 3)]


def test_a_body_that_breaks_off_is_told_with_the_service(caplog):
    def cut(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    with Service(cut) as service:
        assert isinstance(through(service.url).raised, http.client.IncompleteRead)
        place = service.url.removeprefix("http://")
    [line] = [record.getMessage().partition(" (request")[0] for record in caplog.records]
    assert line == f"service at {place}: 200, the body broke off: IncompleteRead"
