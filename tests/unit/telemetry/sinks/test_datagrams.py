"""Datagrams, to real sockets on loopback."""

from __future__ import annotations

import socket

import pytest

from plugmw.telemetry.queue import Lost
from plugmw.telemetry.sinks.datagrams import LARGEST, LOOK_UP_EVERY, UDP, Unix
from tests.support.clock import Clock
from tests.support.sinks import closed_port, udp_sink, unix_sink


@pytest.fixture
def opened():
    made = []

    def keep(sink):
        made.append(sink)
        return sink

    yield keep
    for sink in made:
        sink.close()


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("localhost", socket.AF_INET)],
)
def test_each_entry_is_a_datagram(opened, host, family):
    with udp_sink(family=family) as sink:
        sender = opened(UDP(host, sink.port))
        batch = [b"a", b"b\n"]
        try:
            sender.send(batch)
            sender.send([b"c"])
        except Lost:
            # localhost may be ::1 first, where nobody listens: the refusal shows with a later datagram.
            assert host == "localhost"
            return
        assert batch == []
        if host != "localhost":
            assert sink.wait(3) == [b"a", b"b\n", b"c"]


def test_the_largest_datagram_goes_and_a_larger_one_is_lost(opened):
    with udp_sink() as sink:
        sender = opened(UDP("127.0.0.1", sink.port))
        batch = [b"x" * LARGEST, b"y" * (LARGEST + 1), b"z"]
        with pytest.raises(Lost, match=r"could not send data to 127.0.0.1:\d+: Message too long") as caught:
            sender.send(batch)
        assert (caught.value.count, batch) == (1, [b"z"])
        sender.send(batch)
        assert [len(item) for item in sink.wait(2)] == [LARGEST, 1]


def test_the_refusal_of_an_earlier_datagram_loses_no_other(opened):
    port = closed_port()
    sender = opened(UDP("127.0.0.1", port))
    sender.send([b"nobody listens"])
    with udp_sink(port) as sink:
        sender.send([b"a"])
        assert sink.wait(1) == [b"a"]


class Full:
    def send(self, data):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    def close(self):
        """Close nothing."""


def test_a_full_socket_loses_the_datagram_at_once(opened):
    sender = opened(UDP("127.0.0.1", 9, Clock(1000.0)))
    sender._socket, sender._good_until = Full(), 2000
    with pytest.raises(Lost, match="Resource temporarily unavailable"):
        sender.send([b"a"])


def test_a_name_is_looked_up_once_a_minute_and_its_last_address_stays_good(opened, monkeypatch):
    clock, asked = Clock(1000.0), []
    with udp_sink() as first, udp_sink() as second:
        sinks = [first, second]

        def look_up(host, port, type):
            asked.append(host)
            if not sinks:
                raise socket.gaierror(-3, "Temporary failure in name resolution")
            return [(socket.AF_INET, type, 0, "", ("127.0.0.1", sinks.pop(0).port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        sender = opened(UDP("logs.example", 1, clock))
        sender.send([b"a", b"b"])
        clock.now += LOOK_UP_EVERY
        sender.send([b"c"])
        clock.now += LOOK_UP_EVERY
        sender.send([b"d"])
        sender.send([b"e"])
        assert (first.wait(2), second.wait(3)) == ([b"a", b"b"], [b"c", b"d", b"e"])
    assert asked == ["logs.example"] * 3


def test_a_name_without_an_address_loses_nothing(monkeypatch):
    def look_up(*args, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    batch = [b"a"]
    with pytest.raises(OSError, match=r"could not connect to logs.example:1: Name or service not known"):
        UDP("logs.example", 1).send(batch)
    assert batch == [b"a"]


@pytest.mark.parametrize("host", ["224.0.0.1", "ff02::1"])
def test_no_multicast(host):
    with pytest.raises(OSError, match="it is a multicast address"):
        UDP(host, 514).send([b"a"])


def test_no_broadcast():
    with pytest.raises(OSError, match=r"could not connect to 255.255.255.255:514"):
        UDP("255.255.255.255", 514).send([b"a"])


def test_the_first_address_that_can_be_had_is_used(opened, monkeypatch):
    with udp_sink() as sink:
        found = [
            (socket.AF_INET, socket.SOCK_DGRAM, 0, "", ("255.255.255.255", 1)),
            (socket.AF_INET, socket.SOCK_DGRAM, 0, "", ("127.0.0.1", sink.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
        opened(UDP("logs.example", 1)).send([b"a"])
        assert sink.wait(1) == [b"a"]


def test_a_unix_socket(opened, tmp_path):
    with unix_sink(tmp_path / "log") as sink:
        sender = opened(Unix(str(tmp_path / "log")))
        sender.send([b"a", b"b"])
        assert sink.wait(2) == [b"a", b"b"]


def test_a_daemon_that_restarts_gets_the_next_datagram(opened, tmp_path):
    path = tmp_path / "log"
    sender = opened(Unix(str(path)))
    with unix_sink(path) as sink:
        sender.send([b"a"])
        assert sink.wait(1) == [b"a"]
    batch = [b"b", b"c"]
    for left in (1, 0):
        with pytest.raises(Lost, match=f"could not send data to {path}: Connection refused"):
            sender.send(batch)
        assert len(batch) == left
    path.unlink()
    with pytest.raises(Lost, match="No such file or directory"):
        sender.send([b"d"])
    with unix_sink(path) as sink:
        sender.send([b"e"])
        assert sink.wait(1) == [b"e"]


def test_a_daemon_that_does_not_read_loses_datagrams_and_holds_up_nobody(opened, tmp_path):
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(path)
        sender = opened(Unix(path))
        with pytest.raises(Lost, match="Resource temporarily unavailable"):
            sender.send([b"x" * 1000] * 10_000)
