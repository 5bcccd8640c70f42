"""The client that asks backends: over real sockets."""

from __future__ import annotations

import gzip
import io
import threading
import zlib

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.go_http import Request
from plugmw.dialects.krakend.failures import BackendError
from plugmw.dialects.krakend.forwarding import Call, environ_for
from plugmw.dialects.krakend.http_client import HTTPClient, Unpacked, is_gzip
from tests.support.services import Service, answer, headers_of
from tests.support.sinks import closed_port
from tests.support.wsgi import environ_of, serve


@pytest.fixture
def client():
    made = HTTPClient()
    yield made
    made.close()


def asking(url, method="GET", headers=None, body=b"", seconds=10.0, **environ):
    call = Call(url, Deadline.after(seconds), None)
    return environ_for(environ_of(**environ), call, method, headers or {}, body)


def line_of(request):
    return request.partition(b"\r\n")[0].decode()


def test_sends_the_request_as_it_is(client):
    with Service(answer(b"ok", "201 Made", "X-A: 1", "Set-Cookie: a", "Set-Cookie: b")) as service:
        environ = asking(
            service.url + "/a%2fb/../c?q=1", "POST", {"X-B": ["2"], "Content-Type": ["t"]}, b"body"
        )
        result = serve(client, environ)
        (request,) = service.requests
    assert (result.status, result.body) == ("201 Made", b"ok")
    assert (result.header("X-A"), result.all("Set-Cookie")) == ("1", ["a", "b"])
    assert line_of(request) == "POST /a%2fb/../c?q=1 HTTP/1.1"
    assert request.endswith(b"\r\n\r\nbody")
    assert headers_of(request) == {
        "host": f"127.0.0.1:{service.port}",
        "content-length": "4",
        "content-type": "t",
        "x-b": "2",
        "accept-encoding": "gzip",
    }


def changing(client, **changes):
    """A client plugin that changes its request, and then asks."""

    def handler(environ, start_response):
        request = Request(environ)
        for name, value in changes.items():
            setattr(request, name, value)
        return client(request.environ, start_response)

    return handler


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"url_path": "/ü b"}, "GET /%C3%BC%20b?q=1 HTTP/1.1"),
        ({"path_info": "/other"}, "GET /other?q=1 HTTP/1.1"),
        ({"query_string": "z=2"}, "GET /a%2fb?z=2 HTTP/1.1"),
        ({"query_string": ""}, "GET /a%2fb HTTP/1.1"),
        ({"query_string": "a b\r\nX: 1"}, "GET /a%2fb?a%20b%0D%0AX:%201 HTTP/1.1"),
        ({"url_path": "/x", "query_string": "y=1"}, "GET /x?y=1 HTTP/1.1"),
        ({"method": "DELETE"}, "DELETE /a%2fb?q=1 HTTP/1.1"),
        ({}, "GET /a%2fb?q=1 HTTP/1.1"),
    ],
    ids=lambda value: "_".join(value) or "nothing" if isinstance(value, dict) else "line",
)
def test_what_a_client_plugin_changes_of_its_request_is_asked(client, changes, line):
    with Service(answer(b"ok")) as service:
        serve(changing(client, **changes), asking(service.url + "/a%2fb?q=1"))
        (request,) = service.requests
    assert line_of(request) == line


def test_a_client_plugin_may_ask_another_host(client):
    with Service(answer(b"one")) as one, Service(answer(b"two")) as two:
        result = serve(changing(client, host=f"127.0.0.1:{two.port}"), asking(one.url + "/x"))
    assert (result.body, one.requests) == (b"two", [])


def test_a_status_without_a_reason_gets_the_registered_one(client):
    with Service(b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n") as service:
        assert serve(client, asking(service.url)).status == "404 Not Found"


def test_connections_are_used_again_and_answers_lose_hop_by_hop_fields(client):
    with Service(
        answer(b"ok", "200 OK", "Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: 5")
    ) as service:
        for _ in range(3):
            result = serve(client, asking(service.url))
            assert result.headers == [("Content-Length", "2")]
        assert (service.connections, len(service.requests)) == (1, 3)


def test_a_chunked_body_of_the_client_is_sent_in_chunks(client):
    environ = {
        "wsgi.input": io.BytesIO(b"body"),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    with Service(answer(b"ok")) as service:
        serve(client, asking(service.url, "POST", body=None, **environ))
        assert service.requests[0].endswith(b"4\r\nbody\r\n0\r\n\r\n")


# -- redirects -------------------------------------------------------------------------------------------


def moved(status, location, then=b"there"):
    def script(connection):
        while request := connection.request():
            if line_of(request).split()[1].startswith("/from"):
                connection.send(
                    answer(b"moved", f"{status} Moved", f"Location: {location}", "Set-Cookie: a=1")
                )
            else:
                connection.send(answer(then))

    return script


@pytest.mark.parametrize(
    ("status", "method", "body", "second"),
    [
        (301, "GET", b"", "GET /to?q=1 HTTP/1.1"),
        (302, "GET", b"", "GET /to?q=1 HTTP/1.1"),
        (303, "POST", b"body", "GET /to?q=1 HTTP/1.1"),
        (301, "PUT", b"body", "GET /to?q=1 HTTP/1.1"),
        (307, "GET", b"", "GET /to?q=1 HTTP/1.1"),
        (308, "DELETE", b"", "DELETE /to?q=1 HTTP/1.1"),
    ],
)
def test_redirects_are_followed_as_go_does(client, status, method, body, second):
    with Service(moved(status, "/to?q=1")) as service:
        result = serve(client, asking(service.url + "/from", method, {"Content-Type": ["t"]}, body))
        _, then = service.requests
    assert (result.status, result.body, line_of(then)) == ("200 OK", b"there", second)
    assert "content-length" not in headers_of(then)
    assert ("content-type" in headers_of(then)) == (status > 303)
    assert "cookie" not in headers_of(then), "no cookies are carried"


@pytest.mark.parametrize(
    ("status", "location", "method", "body"),
    [
        (307, "/to", "POST", b"body"),
        (308, "/to", "PUT", b"body"),
        (304, "/to", "GET", b""),
        (300, "/to", "GET", b""),
    ],
)
def test_redirects_that_need_the_body_again_and_others_are_taken_as_they_are(
    client, status, location, method, body
):
    with Service(moved(status, location)) as service:
        result = serve(client, asking(service.url + "/from", method, body=body))
        assert (result.status, len(service.requests)) == (f"{status} Moved", 1)


def test_a_redirect_without_a_location_is_taken_as_it_is(client):
    with Service(answer(b"x", "301 Moved")) as service:
        assert serve(client, asking(service.url)).status == "301 Moved"


def test_at_most_ten_redirects_are_followed(client):
    with Service(moved(302, "/from/again")) as service:
        result = serve(client, asking(service.url + "/from"))
        assert str(result.raised) == "stopped after 10 redirects"
        assert len(service.requests) == 11


@pytest.mark.parametrize("location", ["ftp://h/", "http://h:99999/", "http://[", "mailto:a"])
def test_a_redirect_to_what_is_no_url_is_an_error(client, location):
    with Service(moved(302, location)) as service:
        result = serve(client, asking(service.url + "/from"))
        assert isinstance(result.raised, BackendError)
        assert "127.0.0.1" not in str(result.raised)


def test_credentials_stay_at_the_origin(client):
    secrets = ("Authorization", "Cookie", "X-Api-Key", "Api_Token", "X-Consumer-Username", "X-Other")
    headers = {**{name: ["x"] for name in secrets}, "Authorization": ["Bearer x"], "Accept-Language": ["de"]}
    with Service(answer(b"other")) as other, Service(moved(302, other.url + "/to")) as service:
        assert serve(client, asking(service.url + "/from", headers=headers)).body == b"other"
        found = headers_of(other.requests[0])
        assert headers_of(service.requests[0])["authorization"] == "Bearer x"
    assert not {name.lower() for name in secrets} & found.keys()
    assert (found["accept-language"], found["host"]) == ("de", f"127.0.0.1:{other.port}")
    with Service(moved(302, "/to")) as service:
        serve(client, asking(service.url + "/from", headers=headers))
        assert headers_of(service.requests[1])["authorization"] == "Bearer x"
        assert headers_of(service.requests[1])["x-api-key"] == "x"


# -- gzip ------------------------------------------------------------------------------------------------


def test_a_packed_answer_that_we_asked_for_is_unpacked(client):
    packed = gzip.compress(b"text" * 1000)
    with Service(answer(packed, "200 OK", "Content-Encoding: GZIP", "ETag: x")) as service:
        result = serve(client, asking(service.url))
    assert (result.body, result.headers) == (b"text" * 1000, [("ETag", "x")])


def test_a_packed_answer_that_the_client_asked_for_stays_packed(client):
    with Service(answer(b"packed", "200 OK", "Content-Encoding: gzip")) as service:
        result = serve(client, asking(service.url, headers={"Accept-Encoding": ["br"]}))
        assert headers_of(service.requests[0])["accept-encoding"] == "br"
    assert (result.body, result.header("Content-Encoding")) == (b"packed", "gzip")


@pytest.mark.slow
def test_an_answer_is_unpacked_in_pieces_of_a_limited_size():
    packed = gzip.compress(b"\0" * 10_000_000) + gzip.compress(b"second")
    pieces = [packed[i : i + 7] for i in range(0, len(packed), 7)]
    found = list(Unpacked(pieces))
    assert b"".join(found) == b"\0" * 10_000_000 + b"second"
    assert max(map(len, found)) <= 64 * 1024
    assert list(Unpacked([])) == []


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"text")[:-5], b"no gzip at all", gzip.compress(b"a") + b"rest"],
    ids=["cut off", "no gzip at all", "followed by something else"],
)
def test_what_cannot_be_unpacked_is_an_error(packed):
    with pytest.raises(BackendError, match="invalid response"):
        list(Unpacked([packed]))


def test_unpacked_closes_what_it_unpacks():
    unpacked = Unpacked(iter([b""]))
    unpacked.close()
    closed = []
    packed = type("Packed", (list,), {"close": lambda self: closed.append(1)})()
    Unpacked(packed).close()
    assert closed == [1]


def test_whether_a_body_is_packed_is_told_by_its_headers():
    assert is_gzip([("content-encoding", "GZip")])
    assert not is_gzip([("Content-Encoding", "br"), ("X", "gzip")])


# -- what goes wrong -------------------------------------------------------------------------------------


def test_nobody_listens(client):
    result = serve(client, asking(f"http://127.0.0.1:{closed_port()}/"))
    assert (str(result.raised), result.where) == ("no connection", "call")


def silent(connection):
    connection.request()
    connection.request()


def drips(connection):
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    connection.request()


@pytest.mark.slow
@pytest.mark.parametrize(("script", "where", "seconds"), [(silent, "call", 0.1), (drips, "iterate", 1.0)])
def test_the_deadline_holds_for_head_and_body(client, script, where, seconds):
    with Service(script) as service:
        result = serve(client, asking(service.url, seconds=seconds))
    assert (str(result.raised), result.where) == ("context deadline exceeded", where)


def test_the_deadline_may_be_over_before_anything_is_sent(client):
    with Service(answer(b"ok")) as service:
        assert str(serve(client, asking(service.url, seconds=-1)).raised) == "context deadline exceeded"
        assert service.requests == []


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (b"", "call"),
        (b"garbage\r\n\r\n", "call"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "call"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "iterate"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "iterate"),
    ],
    ids=["nothing", "garbage", "no final answer", "cut short", "cut in a chunk"],
)
def test_an_answer_that_is_none_is_an_error(client, said, where):
    def script(connection):
        connection.request()
        connection.send(said)

    with Service(script) as service:
        result = serve(client, asking(service.url))
    assert (str(result.raised), result.where) == ("invalid response", where)
    assert isinstance(result.raised, BackendError)


def test_http_1_0_ends_with_the_connection(client):
    def script(connection):
        connection.request()
        connection.send(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")

    with Service(script) as service:
        assert serve(client, asking(service.url)).body == b"until the end"
        assert serve(client, asking(service.url)).body == b"until the end"
        assert service.connections == 2


def test_deflated_bytes_are_no_gzip():
    with pytest.raises(BackendError):
        list(Unpacked([zlib.compress(b"x")]))


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_start_response_that_raises_closes_the_connection(client, error):
    def start_response(status, headers):
        raise error

    ended = threading.Event()

    def script(connection):
        connection.request()
        connection.send(answer(b"x" * 10))
        assert connection.request() == b""
        ended.set()

    with Service(script) as service:
        with pytest.raises(error):
            client(asking(service.url), start_response)
        assert ended.wait(10)
