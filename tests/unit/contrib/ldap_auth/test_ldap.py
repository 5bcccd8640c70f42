"""LDAP: names, binds to a real directory and to odd ones, connections kept."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import plugmw.contrib.ldap_auth.ldap
from plugmw.concurrency.deadline import Deadline
from plugmw.contrib.ldap_auth.ldap import LARGEST, Pool, Server, Unreachable, connect, escape
from tests.support.servers import PATIENCE, ROOT
from tests.support.slapd import PEOPLE

EINSTEIN = f"uid=einstein,{PEOPLE}"
NO_TLS = ssl.create_default_context()


# -- names -------------------------------------------------------------------------------------------------

ESCAPED = {
    "plain": ("einstein", "einstein"),
    "not ASCII": ("Jérôme", "Jérôme"),
    "another RDN": ("einstein,ou=other", "einstein\\,ou\\=other"),
    "special characters": ('"+,;<=>\\', '\\"\\+\\,\\;\\<\\=\\>\\\\'),
    "leading number sign": ("#a#", "\\#a#"),
    "outer blanks": ("  a b  ", "\\  a b \\ "),
    "one blank": (" ", "\\ "),
    "NUL and control characters": ("a\0b\x7f\n", "a\\00b\\7f\\0a"),
    "backslash before a trailing blank": ("a\\ ", "a\\\\\\ "),
}


@pytest.mark.parametrize(("value", "written"), ESCAPED.values(), ids=ESCAPED)
def test_a_value_of_a_name_is_escaped(value, written):
    assert escape(value) == written


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("ldap.example", "no", "ldap://ldap.example:1"),
        ("ldap.example", "start", "ldap://ldap.example:1"),
        ("::1", "always", "ldaps://[::1]:1"),
    ],
)
def test_a_server_has_an_address_for_messages(host, tls, url):
    assert Server(host, 1, tls, NO_TLS, 1).url == url


# -- odd directories ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def pool_of(server, **options):
    made = Pool(server, **{"keepalive": 60, "most": 4, **options})
    yield made
    made.close()


def ber(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x84" + size.to_bytes(4, "big")
    return bytes([tag]) + length + content


def answer(request, operation, code, *more, text=b""):
    """Answer a request (whose lengths are short) with a result code."""
    number = request[2 : 4 + request[3]]
    result = [ber(0x0A, bytes([code])), ber(0x04), ber(0x04, text), *more]
    return ber(0x30, number, ber(operation, *result))


def bind_answer(code, *more, text=b""):
    return lambda request: answer(request, 0x61, code, *more, text=text)


@contextlib.contextmanager
def peer(*answers):
    """Serve one connection: for each message the next answer (a function of it), then close."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(PATIENCE)
                    for made in answers:
                        connection.sendall(made(connection.recv(4096)))

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
    thread.join(PATIENCE)


def asked(port, tls="no", timeout=PATIENCE):
    end = Deadline.after(timeout)
    link = connect(Server("127.0.0.1", port, tls, NO_TLS, timeout), end)
    try:
        return link.bind(EINSTEIN, "password", end)
    finally:
        link.close()


REFERRAL = ber(0xA3, ber(0x04, b"ldap://127.0.0.1:1/"))
REFUSED = {
    "no such object": (bind_answer(32), "noSuchObject"),
    "invalid DN": (bind_answer(34, text=b"bad\nname"), r"34 invalidDNSyntax 'bad\\nname'"),
    "confidentiality required": (bind_answer(13), "confidentialityRequired"),
    "a code that is not known": (bind_answer(90), "90"),
    "a referral, which is not followed": (bind_answer(10, REFERRAL), "referral"),
}


@pytest.mark.parametrize(("answers", "text"), REFUSED.values(), ids=REFUSED)
def test_is_refused_by(answers, text):
    with peer(answers) as port:
        assert text.replace("\\\\", "\\") in asked(port)


AWAY = {
    "busy": (bind_answer(51), "busy"),
    "unavailable": (bind_answer(52), "unavailable"),
    "closed without an answer": (lambda request: b"", "session terminated by server"),
    "no LDAP": (lambda request: b"HTTP/1.1 400 Bad Request\r\n\r\n", "ldap://"),
    "another message's answer": (lambda request: answer(b"0\x00\x02\x01\x7f", 0x61, 0), "invalid messageId"),
    "an endless answer": (lambda request: b"0\x84\x7f\xff\xff\xff" + b" " * 2 * LARGEST, "more than 65536"),
}


@pytest.mark.parametrize(("answers", "text"), AWAY.values(), ids=AWAY)
def test_cannot_be_asked_if_it_is(answers, text):
    with peer(answers) as port, pytest.raises(Unreachable, match=text):
        asked(port)


def test_no_password_is_sent_when_start_tls_is_refused():
    seen = []

    def refuse(request):
        seen.append(request)
        return answer(request, 0x78, 2)

    with peer(refuse) as port, pytest.raises(Unreachable, match="StartTLS: protocolError"):
        asked(port, "start")
    assert b"1.3.6.1.4.1.1466.20037" in seen[0]
    assert b"password" not in b"".join(seen)


@pytest.mark.parametrize("tls", ["no", "start", "always"])
def test_a_silent_directory_takes_no_longer_than_the_timeout(tls):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="timed out"):
            asked(listening.getsockname()[1], tls, timeout=0.05)
        assert time.monotonic() - begun < PATIENCE / 4


def test_a_time_that_is_over_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(Unreachable, match="timed out"):
        connect(Server("127.0.0.1", listening.getsockname()[1], "no", NO_TLS, 1), Deadline.after(-1))


def test_a_closed_connection_is_not_opened_again_without_tls():
    with peer(bind_answer(0), lambda request: b"") as port:
        end = Deadline.after(PATIENCE)
        link = connect(Server("127.0.0.1", port, "no", NO_TLS, 1), end)
        assert link.bind(EINSTEIN, "password", end) is None
        with pytest.raises(Unreachable, match="terminated"):
            link.bind(EINSTEIN, "password", end)
        with pytest.raises(Unreachable, match="the connection is closed"):
            link.bind(EINSTEIN, "password", end)
        link.close()


def test_a_host_without_address_cannot_be_asked():
    with pytest.raises(Unreachable, match="invalid server address"):
        connect(Server("nowhere.invalid", 1, "no", NO_TLS, 1), Deadline.after(PATIENCE))


def test_what_ends_a_worker_passes_and_closes_the_connection(monkeypatch):
    closed = []

    def interrupted(self, end):
        raise KeyboardInterrupt

    monkeypatch.setattr(plugmw.contrib.ldap_auth.ldap._Link, "open", interrupted)
    monkeypatch.setattr(plugmw.contrib.ldap_auth.ldap._Link, "close", lambda self: closed.append(self))
    with pytest.raises(KeyboardInterrupt):
        connect(Server("127.0.0.1", 1, "no", NO_TLS, 1), 0)
    assert len(closed) == 1


# -- connections kept --------------------------------------------------------------------------------------


class FakeLink:
    def __init__(self, log):
        self.log = log
        self.closed = False
        self.fails = None
        self.news = False

    def has_news(self):
        return self.news

    def bind(self, dn, password, end):
        if self.fails is not None:
            raise self.fails
        self.log.append((self, dn))
        return None if password == "right" else "refused"

    def close(self):
        self.closed = True


class FakeDirectory:
    """Gives connections; ``down`` is raised instead."""

    def __init__(self):
        self.links = []
        self.log = []
        self.down = None
        self.asked = threading.Event()

    def connect(self, server, end):
        self.asked.set()
        if self.down is not None:
            raise self.down
        self.links.append(FakeLink(self.log))
        return self.links[-1]


@pytest.fixture
def fake():
    return FakeDirectory()


@pytest.fixture
def now(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(plugmw.contrib.ldap_auth.ldap, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


FAKE = Server("ldap.example", 389, "no", NO_TLS, PATIENCE)


def fake_pool(fake, keepalive=60, most=4, server=FAKE):
    return Pool(server, keepalive, most, fake.connect)


def test_a_connection_serves_one_bind_after_the_other(fake, now):
    pool = fake_pool(fake)
    assert pool.bind("a", "right") is None
    assert pool.bind("b", "wrong") == "refused"
    assert [dn for _, dn in fake.log] == ["a", "b"]
    assert len(fake.links) == 1


def test_a_connection_is_kept_for_its_time(fake, now):
    pool = fake_pool(fake, keepalive=10)
    pool.bind("a", "right")
    now.now += 10
    pool.bind("b", "right")
    assert [link.closed for link in fake.links] == [True, False]


def test_a_connection_need_not_be_kept(fake):
    fake_pool(fake, keepalive=0).bind("a", "right")
    assert fake.links[0].closed


def test_a_kept_connection_on_which_something_waits_is_replaced(fake):
    pool = fake_pool(fake)
    pool.bind("a", "right")
    fake.links[0].news = True
    assert pool.bind("b", "wrong") == "refused"
    assert [link.closed for link in fake.links] == [True, False]


def test_a_kept_connection_that_has_died_is_replaced(fake):
    pool = fake_pool(fake)
    pool.bind("a", "right")
    fake.links[0].fails = Unreachable("gone")
    assert pool.bind("b", "right") is None
    assert [link.closed for link in fake.links] == [True, False]


def test_a_connection_in_an_unknown_state_is_closed(fake):
    pool = fake_pool(fake)
    pool.bind("a", "right")
    fake.links[0].fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        pool.bind("b", "right")
    assert fake.links[0].closed


def test_no_more_binds_than_allowed_run_at_once(fake):
    pool = fake_pool(fake, most=1, server=Server("ldap.example", 389, "no", NO_TLS, 0.01))
    pool._slots.acquire()
    with pytest.raises(Unreachable, match="all connections are busy"):
        pool.bind("a", "right")
    pool._slots.release()
    assert pool.bind("a", "right") is None


@pytest.mark.slow
def test_a_directory_that_is_down_is_not_waited_for_again_until_it_is_back(fake):
    pool = fake_pool(fake)
    fake.down = Unreachable("refused")
    with pytest.raises(Unreachable, match="refused"):
        pool.bind("a", "right")
    fake.links.clear()
    with pytest.raises(Unreachable, match="refused"):
        pool.bind("a", "right")
    fake.down = None
    end = time.monotonic() + PATIENCE
    while pool._breaker.cause is not None:
        assert time.monotonic() < end
        fake.asked.clear()
        fake.asked.wait(PATIENCE)
    assert fake.links[0].closed
    assert pool.bind("a", "right") is None


def test_closing_closes_what_is_kept_and_what_comes_back(fake):
    pool = fake_pool(fake)
    pool.bind("a", "right")
    pool.close()
    pool.bind("b", "right")
    assert [link.closed for link in fake.links] == [True, True]


@pytest.mark.slow
def test_importing_it_warns_of_nothing():
    subprocess.run(
        [sys.executable, "-W", "error", "-c", "import plugmw.contrib.ldap_auth.ldap"], cwd=ROOT, check=True
    )
