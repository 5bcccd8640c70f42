"""The connections of an upstream: opened, pooled, dropped, per process."""

from __future__ import annotations

import gc
import http.client
import os
import ssl
import threading
import time

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.upstream import connections
from plugmw.upstream.connections import Connections, NotConnected, Request, Times, ask
from tests.support.services import Service, answer
from tests.support.sinks import closed_port

TIMES = Times(connect=5, write=5, read=5)
GET = Request("GET", "/", [("Host", "t")])


@pytest.fixture
def pool():
    made = Connections(ssl.create_default_context, size=2)
    yield made
    made.close()


def key(service):
    return "http", "127.0.0.1", service.port


def one(pool, service):
    """Send one request, read its answer, give the connection back."""
    connection = pool.take(*key(service), TIMES)
    found = ask(connection, GET, TIMES)
    body = b""
    while piece := found.read(100):
        body += piece
    found.close()
    pool.give(key(service), connection)
    return body


def test_a_connection_is_used_again():
    with Service(answer(b"hello")) as service:
        pool = Connections(ssl.create_default_context)
        assert [one(pool, service) for _ in range(3)] == [b"hello"] * 3
        assert service.connections == 1
        pool.close()


def test_a_connection_that_the_service_has_closed_is_not(pool):
    def once(connection):
        connection.request()
        connection.send(answer(b"a"))

    with Service(once) as service:
        for _ in range(2):
            assert one(pool, service) == b"a"
            end = time.monotonic() + 10
            while not connections.has_news(pool._idle[key(service)][-1][1].sock) and time.monotonic() < end:
                os.sched_yield()
        assert service.connections == 2


def test_a_connection_that_was_idle_for_long_is_not(pool, monkeypatch):
    with Service(answer(b"a")) as service:
        one(pool, service)
        monkeypatch.setattr(pool, "_seconds", 0.0)
        one(pool, service)
        assert service.connections == 2


def test_a_connection_that_the_service_closes_by_its_answer_is_not(pool):
    with Service(answer(b"a", "200 OK", "Connection: close")) as service:
        one(pool, service)
        one(pool, service)
        assert service.connections == 2
        assert not pool._idle[key(service)]


def test_no_more_than_the_size_is_kept(pool):
    with Service(answer(b"a")) as service:
        taken = [pool.take(*key(service), TIMES) for _ in range(3)]
        for connection in taken:
            pool.give(key(service), connection)
        assert len(pool._idle[key(service)]) == 2


def test_threads_may_be_faster(pool):
    class Faster(list):
        def pop(self):
            self.clear()
            raise IndexError

    with Service(answer(b"a")) as service:
        idle = pool._of_process()
        idle[key(service)] = Faster([1])
        pool.take(*key(service), TIMES).close()
        idle.clear()


def test_closing_while_others_take_closes_the_rest(pool):
    class Faster(list):
        def pop(self):
            self.clear()
            raise IndexError

    with Service(answer(b"a")) as service:
        one(pool, service)
        idle = pool._of_process()
        kept = idle[key(service)][0][1]
        idle["first"] = Faster([1])
        pool.close()
        assert kept.sock is None
        idle.clear()


def ends_the_second(connection):
    """Answer the first request of the service's first connection, and end it at the second."""
    connection.request()
    connection.send(answer(b"hello"))
    if connection.service.connections == 1:
        connection.request()
        return
    while connection.request():
        connection.send(answer(b"hello"))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_request_that_may_be_made_twice_is_when_a_used_connection_ends_under_it(pool, method):
    with Service(ends_the_second) as service:
        one(pool, service)
        request = Request(method, "/again", [("Host", "t")])
        body = pool.exchange(key(service), request, TIMES)
        assert body.answer.status == 200
        body.close()
        lines = [sent.split(b"\r\n")[0].decode() for sent in service.requests]
        assert lines == ["GET / HTTP/1.1", *[f"{method} /again HTTP/1.1"] * 2]


@pytest.mark.parametrize(
    "request_",
    [Request("POST", "/", [("Host", "t")]), Request("GET", "/", [("Host", "t")], [b""])],
    ids=["POST", "with a body"],
)
def test_a_request_that_may_have_had_an_effect_is_not_made_twice(pool, request_):
    with Service(ends_the_second) as service:
        one(pool, service)
        with pytest.raises(ConnectionError):
            pool.exchange(key(service), request_, TIMES)
        assert len(service.requests) == 2


def test_a_new_connection_that_ends_is_not_tried_again(pool):
    with Service(lambda connection: connection.request()) as service:
        with pytest.raises(ConnectionError):
            pool.exchange(key(service), GET, TIMES)
        assert service.connections == 1


def test_a_port_nobody_listens_on_is_not_connected(pool):
    with pytest.raises(NotConnected, match="refused") as caught:
        pool.take("http", "127.0.0.1", closed_port(), TIMES)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_a_deadline_that_has_passed_is_a_timeout(pool):
    late = Times(connect=5, write=5, read=5, deadline=Deadline(10.0, lambda: 10.0))
    with pytest.raises(NotConnected) as caught:
        pool.take("http", "127.0.0.1", 1, late)
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert Times(connect=5, write=5, read=5, deadline=Deadline(10.0, lambda: 7.0)).left(5) == 3


def test_a_child_begins_with_no_connections(pool, monkeypatch):
    with Service(answer(b"a")) as service:
        one(pool, service)
        kept = pool._idle[key(service)][0][1]
        monkeypatch.setattr(os, "getpid", lambda: -1)
        one(pool, service)
        assert service.connections == 2
        assert kept.sock is None
        pool.close()


@pytest.mark.slow
def test_connections_of_a_pool_that_is_dropped_are_closed():
    with Service(answer(b"a")) as service:
        pool = Connections(ssl.create_default_context)
        one(pool, service)
        kept = pool._idle[key(service)][0][1]
        del pool
        gc.collect()
        assert kept.sock is None


def test_a_real_child_does_not_disturb_its_parent(pool):
    with Service(answer(b"a")) as service:
        assert one(pool, service) == b"a"
        child = os.fork()
        if not child:
            os._exit(0 if one(pool, service) == b"a" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert one(pool, service) == b"a"
        assert service.connections == 2


def test_a_service_that_answers_before_it_has_read_everything_is_heard(pool):
    ready = threading.Event()

    def early(connection):
        connection.sock.recv(100)
        connection.send(answer(b"too large", "413 Payload Too Large", "Connection: close"))
        ready.set()

    def body():
        while not ready.is_set():
            yield b"x" * 1000
        for _ in range(200):
            yield b"x" * 100_000

    with Service(early) as service:
        connection = pool.take(*key(service), TIMES)
        try:
            found = ask(connection, Request("PUT", "/", [("Host", "t")], body(), True), TIMES)
        except ConnectionResetError:
            pytest.skip("the kernel dropped the answer with the connection")
        assert (found.status, found.read(100)) == (413, b"too large")
        connection.close()


def test_what_fails_as_the_body_is_read_is_not_taken_for_the_services_end(pool):
    def body():
        yield b"x"
        raise ConnectionResetError("of the client")

    with (
        Service(lambda connection: connection.sock.recv(100)) as service,
        pytest.raises(ConnectionResetError, match="of the client"),
    ):
        pool.exchange(key(service), Request("PUT", "/", [("Host", "t")], body(), True), TIMES)


@pytest.mark.slow
def test_tls_is_verified_by_the_context_and_pooled(tmp_path):
    from tests.support.certificates import certificates

    files = certificates(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    made = []

    def context():
        made.append(1)
        return ssl.create_default_context(cafile=str(files.authority))

    pool = Connections(context)
    with Service(answer(b"secret"), server) as service:
        for _ in range(2):
            connection = pool.take("https", "127.0.0.1", service.port, TIMES)
            found = ask(connection, GET, TIMES)
            assert found.read(100) == b"secret"
            found.close()
            other = pool.take("https", "127.0.0.1", service.port, TIMES)
            other.close()
            pool.give(("https", "127.0.0.1", service.port), connection)
        pool.close()
    assert made == [1]
    with Service(answer(b"secret"), server) as service:
        strict = Connections(ssl.create_default_context)
        with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
            strict.take("https", "127.0.0.1", service.port, TIMES)


def asked(service, pool, *arguments, times=TIMES):
    connection = pool.take(*key(service), times)
    return connection, ask(connection, Request("POST", "/", [("Host", "t")], *arguments), times)


def test_pieces_go_out_in_chunks_or_as_they_are(pool):
    with Service(answer()) as service:
        for chunked in (True, False):
            connection, _ = asked(service, pool, [b"ab", b"c"], chunked)
            connection.close()
        assert service.requests[0].endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
        assert b"Transfer-Encoding: chunked\r\n" in service.requests[0]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "IncompleteRead"),
    ],
    ids=["length", "between chunks", "in a chunk"],
)
def test_a_body_that_is_cut_short_raises(pool, data, problem):
    def cut(connection):
        connection.request()
        connection.send(data)

    with Service(cut) as service:
        connection, found = asked(service, pool, None, False)
        assert found.read(100) == b"abc"
        assert not found.is_complete
        with pytest.raises(Exception) as caught:
            found.read(100)
        assert type(caught.value).__name__ == problem
        connection.close()


def test_of_two_lengths_the_chunks_count(pool):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\nX: y\r\n\r\n"
    data = head + b"1\r\na\r\n0\r\n\r\n"
    with Service(data) as service:
        connection, found = asked(service, pool, None, False)
        assert found.headers == [("Transfer-Encoding", "chunked"), ("X", "y")]
        assert (found.read(100), found.read(100), found.is_complete) == (b"a", b"", True)
        connection.close()


def test_a_body_without_a_length_ends_with_the_connection(pool):
    def old(connection):
        connection.request()
        connection.send(b"HTTP/1.0 200 OK\r\n\r\nabc")

    with Service(old) as service:
        connection, found = asked(service, pool, None, False)
        assert (found.read(100), found.read(100), found.is_complete) == (b"abc", b"", True)
        connection.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "rest", [b"2\r\nhi\r\nZZ\r\n", b"2\r\nhi\r\n" + b"1" * 70_000], ids=["no size", "a size too long"]
)
def test_a_connection_whose_chunks_make_no_sense_is_closed(pool, rest):
    with Service(CHUNKED + rest) as service:
        body = pool.exchange(key(service), GET, TIMES)
        pieces = iter(body)
        assert next(pieces) == b"hi"
        with pytest.raises(http.client.HTTPException):
            next(pieces)
        with pytest.raises(http.client.IncompleteRead):
            body.answer.read(100)
        assert not body.answer.is_complete
        body.close()
        assert not pool._idle.get(key(service))


def test_a_body_that_is_closed_before_its_end_closes_the_connection(pool):
    with Service(CHUNKED + b"2\r\nhi\r\n0\r\n\r\n") as service:
        body = pool.exchange(key(service), GET, TIMES)
        assert next(iter(body)) == b"hi"
        body.close()
        assert not pool._idle.get(key(service))


@pytest.mark.parametrize(
    "data", [answer(b"hi"), answer(b""), CHUNKED + b"2\r\nhi\r\n0\r\n\r\n"], ids=["sized", "empty", "chunked"]
)
def test_a_body_that_was_read_whole_gives_its_connection_back_once(pool, data):
    with Service(data) as service:
        body = pool.exchange(key(service), GET, TIMES)
        b"".join(body)
        body.close()
        body.close()
        assert len(pool._idle[key(service)]) == 1


@pytest.mark.parametrize(
    ("status", "header", "is_kept"),
    [
        ("204 No Content", "Content-Length: 5", False),
        ("204 No Content", "Transfer-Encoding: chunked", False),
        ("204 No Content", "Content-Length: 0", True),
        ("204 No Content", "X: y", True),
        ("304 Not Modified", "Content-Length: 5", True),
        ("304 Not Modified", "Transfer-Encoding: chunked", True),
    ],
)
def test_a_status_without_a_body_has_none_and_a_204_that_announces_one_ends_its_connection(
    pool, status, header, is_kept
):
    with Service(answer(b"", status, header, length=False)) as service:
        body = pool.exchange(key(service), GET, TIMES)
        assert list(body) == []
        body.close()
        assert len(pool._idle.get(key(service), ())) == is_kept


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


@pytest.mark.parametrize(
    "before",
    [EARLY, b"HTTP/1.1 102 Processing\r\n\r\n" + EARLY * 2 + b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY],
    ids=["one", "several"],
)
def test_interim_answers_are_skipped(pool, before):
    with Service(before + answer(b"hi", "201 Created", "X: y")) as service:
        for _ in range(2):
            body = pool.exchange(key(service), GET, TIMES)
            assert (body.answer.status, body.answer.reason) == (201, "Created")
            assert body.answer.headers == [("X", "y"), ("Content-Length", "2")]
            assert b"".join(body) == b"hi"
            body.close()
        assert service.connections == 1


@pytest.mark.parametrize("data", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", EARLY * 17])
def test_another_protocol_nobody_asked_for_and_interim_answers_without_end_are_refused(pool, data):
    with Service(data + answer(b"hi")) as service:
        with pytest.raises(http.client.HTTPException, match=r"a final answer 10[13]"):
            pool.exchange(key(service), GET, TIMES)
        assert not pool._idle.get(key(service))


def test_the_context_is_never_http_clients_own_even_if_another_thread_resets_it(monkeypatch):
    own = ssl.create_default_context()
    used = []

    class Raced(Connections):
        """Another thread, late in finding that the process is new, resets what was just set."""

        def __setattr__(self, name, value):
            super().__setattr__(name, None if name == "_context" else value)

    def connection(host, port, timeout, context):
        used.append(context)
        raise OSError("enough")

    monkeypatch.setattr(http.client, "HTTPSConnection", connection)
    with pytest.raises(NotConnected):
        Raced(lambda: own).take("https", "127.0.0.1", 1, TIMES)
    assert used == [own]
