"""Requests to real servers on loopback that answer well, badly, slowly or not at all."""

from __future__ import annotations

import pytest

from plugmw.telemetry.sinks.http import HTTP, READ
from tests.support.clock import Clock
from tests.support.sinks import closed_port, http_sink


@pytest.fixture
def client():
    made = []

    def make(sink, scheme="http", timeout=5.0, **options):
        url = f"{scheme}://127.0.0.1:{sink if isinstance(sink, int) else sink.port}/path"
        options.setdefault("headers", {"Content-Type": "application/json"})
        server = HTTP("POST", url, timeout=timeout, **options)
        made.append(server)
        return server

    yield make
    for server in made:
        server.close()


def test_a_request_has_these_headers_and_no_others(client):
    with http_sink() as sink:
        assert client(sink, headers={"Content-Type": "a/b", "X-Own": "1"}).send(b"[1]") == (200, "ok")
        [request] = sink.wait(1)
        assert (request.method, request.path, request.body) == ("POST", "/path", b"[1]")
        assert request.headers == {
            "host": f"127.0.0.1:{sink.port}",
            "user-agent": "plugmw",
            "accept-encoding": "identity",
            "content-type": "a/b",
            "content-length": "3",
            "x-own": "1",
        }


def test_a_connection_is_used_again_unless_it_was_idle_for_long(client):
    clock = Clock(1000.0)
    with http_sink() as sink:
        server = client(sink, keepalive=10, clock=clock)
        for seconds in (0, 10, 11):
            clock.now += seconds
            server.send(b"1")
        assert (len(sink.wait(3)), sink.connections) == (3, 2)


def test_a_closed_client_opens_another_connection(client):
    with http_sink() as sink:
        server = client(sink)
        server.send(b"1")
        server.close()
        server.send(b"2")
        assert sink.connections == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(client, status):
    with http_sink(status) as sink:
        assert client(sink).send(b"1")[0] == status
        assert len(sink.wait(1)) == 1


def test_cookies_do_not_come_back(client):
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    with http_sink(answer) as sink:
        server = client(sink)
        server.send(b"1")
        server.send(b"2")
        assert "cookie" not in sink.wait(2)[1].headers


def test_the_environment_plays_no_part(client, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("default login user password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with http_sink() as sink:
        assert client(sink).send(b"1")[0] == 200
        assert "authorization" not in sink.wait(1)[0].headers


def test_what_is_told_of_an_answer_is_short_and_harmless(client):
    body = b'<a>\r\n\x1b[31m"\xff' + b"x" * 1000
    with http_sink(b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as sink:
        status, told = client(sink).send(b"1")
    assert status == 500
    assert told.startswith('<a>\\r\\n\\x1b[31m"\\xffxxx')
    assert (told.isascii(), told.isprintable(), len(body[:200]), told.count("x") <= 200) == (
        True,
        True,
        200,
        True,
    )


def test_an_answer_that_repeats_secrets_is_told_without_them(client):
    body = b"x" * 180 + b"no such token: header-secret-0123456789, of body-secret"
    with http_sink(b"HTTP/1.1 403 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as sink:
        sent = client(sink, headers={"X-Token": "header-secret-0123456789"}, secrets=["body-secret", ""])
        _, told = sent.send(b"1")
    # Also not by half where it is cut.
    assert told == "x" * 180 + "no such token: REDAC"


def test_a_long_answer_is_left(client):
    length = READ * 10
    with http_sink(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length, 200) as sink:
        server = client(sink)
        assert server.send(b"1")[0] == 200
        assert server.send(b"2") == (200, "ok")
        assert sink.connections == 2


def test_a_slow_answer_is_left(client):
    class Hurrying(Clock):
        def __call__(self):
            self.now += 3
            return self.now

    answer = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 9
    with http_sink(answer) as sink:
        assert client(sink, clock=Hurrying(1000.0), keepalive=1000).send(b"1")[0] == 200


def test_no_server_is_told_without_the_path(client):
    port = closed_port()
    with pytest.raises(OSError, match=f"failed request to 127.0.0.1:{port}: .*refused") as caught:
        client(port).send(b"1")
    assert "path" not in str(caught.value)


NONSENSE = {
    "closes": b"",
    "no HTTP": b"no HTTP at all\r\n\r\n",
    "a body that breaks off": b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nx",
}


@pytest.mark.slow
@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_a_server_that_closes_or_talks_nonsense_is_told(client, answer):
    with http_sink(answer) as sink:
        server = client(sink, timeout=0.2)
        with pytest.raises(OSError, match=f"failed request to 127.0.0.1:{sink.port}: "):
            server.send(b"1")


def test_what_a_server_says_instead_of_an_answer_is_cut_and_escaped(client):
    with http_sink(b"\x85\x1b[2J" + b"x" * 60_000 + b"\r\n\r\n") as sink:
        with pytest.raises(OSError, match="failed request to ") as caught:
            client(sink, timeout=5).send(b"1")
        text = str(caught.value)
    assert "\\x85\\x1b[2Jxxx" in text
    assert text.endswith("xxx...")
    assert text.isprintable()


def test_a_client_that_was_never_used_has_nothing_to_close(client):
    client(9).close()


@pytest.mark.slow
def test_a_server_that_never_answers_costs_the_time_out(client):
    with http_sink(None) as sink, pytest.raises(OSError, match=r"failed request to .*: .*timed out"):
        client(sink, timeout=0.05).send(b"1")


def test_a_name_without_an_address_is_told():
    server = HTTP("POST", "http://this-does-not-exist.invalid/x", {}, 2)
    with pytest.raises(OSError, match=r"failed request to this-does-not-exist.invalid:80: "):
        server.send(b"1")


@pytest.mark.parametrize(
    ("url", "name"), [("https://h/", "h:443"), ("http://[::1]/", "[::1]:80"), ("http://h:8/", "h:8")]
)
def test_the_server_is_told_with_its_port(url, name):
    assert HTTP("POST", url, {}, 1).name == name


@pytest.mark.slow
def test_certificates_are_verified(client, certificate):
    with http_sink(tls=certificate.context()) as sink:
        with pytest.raises(OSError, match=r"failed request to .*certificate verify failed"):
            client(sink, "https").send(b"1")
        assert client(sink, "https", verify=str(certificate.file)).send(b"2") == (200, "ok")
        assert [request.body for request in sink.wait(1)] == [b"2"]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_certificates_are_not_verified_if_that_is_said(client, certificate):
    with http_sink(tls=certificate.context()) as sink:
        assert client(sink, "https", verify=False).send(b"1") == (200, "ok")
