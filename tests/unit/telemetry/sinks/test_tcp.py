"""Lines over TCP, to real servers on loopback."""

from __future__ import annotations

import select
import socket
import ssl

import pytest

from plugmw.telemetry.queue import Lost
from plugmw.telemetry.sinks.tcp import Lines, _has_gone, tls_context
from tests.support.clock import Clock
from tests.support.sinks import Certificate, closed_port, tcp_sink
from tests.support.waiting import until


@pytest.fixture
def connect():
    made = []

    def make(sink, timeout=5.0, keepalive=60.0, **options):
        lines = Lines(
            "127.0.0.1", sink if isinstance(sink, int) else sink.port, timeout, keepalive, **options
        )
        made.append(lines)
        return lines

    yield make
    for lines in made:
        lines.close()


def test_nothing_is_opened_before_the_first_line(connect):
    with tcp_sink() as sink:
        lines = connect(sink)
        lines.close()
        assert sink.connections == 0


def test_lines_go_over_one_connection(connect):
    with tcp_sink() as sink:
        lines = connect(sink)
        lines.send([b"a\n", b"b\n"])
        lines.send([b"c\n"])
        assert sink.wait(3) == [b"a", b"b", b"c"]
        assert sink.connections == 1


def test_options_of_the_connection(connect):
    with tcp_sink() as sink:
        lines = connect(sink)
        lines.send([b"a\n"])
        assert lines._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert lines._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_an_idle_connection_is_left(connect):
    clock = Clock(1000.0)
    with tcp_sink() as sink:
        lines = connect(sink, keepalive=10, clock=clock)
        for seconds in (0, 10, 11):
            clock.now += seconds
            lines.send([b"a\n"])
        sink.wait(3)
        assert sink.connections == 2


def test_a_connection_the_peer_has_closed_is_noticed_before_the_next_line(connect):
    with tcp_sink() as sink:
        lines = connect(sink)
        lines.send([b"a\n"])
        sink.wait(1)
        sink.drop()
        assert select.select([lines._socket], [], [], 10)[0]
        lines.send([b"b\n"])
        assert sink.wait(2) == [b"a", b"b"]


def test_what_the_peer_says_is_dropped(connect):
    with tcp_sink() as sink:
        lines = connect(sink)
        lines.send([b"a\n"])
        sink.wait(1)
        sink._open[0].sendall(b"hello" * 2000)
        lines.send([b"b\n"])
        assert sink.wait(2) == [b"a", b"b"]
        assert sink.connections == 1


def test_a_peer_that_talks_on_and_on_counts_as_gone(monkeypatch):
    monkeypatch.setattr("plugmw.telemetry.sinks.tcp._HEARD", 2)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 4096)
        assert not _has_gone(ours)
        theirs.sendall(b"x" * 4096 * 2)
        assert _has_gone(ours)


def test_no_server_is_told_and_loses_nothing(connect):
    port = closed_port()
    batch = [b"a\n"]
    with pytest.raises(OSError, match=f"failed to connect to 127.0.0.1:{port}: Connection refused"):
        connect(port).send(batch)
    assert batch == [b"a\n"]


def test_a_name_without_an_address_is_told():
    with pytest.raises(OSError, match=r"failed to connect to nothing.invalid:1: "):
        Lines("nothing.invalid", 1, 1, 1).send([b"a\n"])


class Breaking:
    """A connection that takes so many bytes and breaks."""

    def __init__(self, takes):
        self.takes = takes
        self.sent = b""
        self.closed = False

    def send(self, data):
        if not self.takes:
            raise BrokenPipeError(32, "Broken pipe")
        part = bytes(data[: self.takes])
        self.takes -= len(part)
        self.sent += part
        return len(part)

    def settimeout(self, seconds):
        """Never wait."""

    def recv(self, size):
        raise BlockingIOError

    def close(self):
        self.closed = True


def broken(monkeypatch, *takes):
    lines, made = Lines("h", 1, 1, 60), [Breaking(count) for count in takes]
    waiting = list(made)
    monkeypatch.setattr(lines, "_connect", lambda: waiting.pop(0))
    return lines, made


def test_the_line_that_breaks_off_is_sent_again_whole(monkeypatch):
    lines, made = broken(monkeypatch, 6, 100)
    batch = [b"one\n", b"two\n", b"three\n"]
    lines.send(batch)
    assert [connection.sent for connection in made] == [b"one\ntw", b"two\nthree\n"]
    assert made[0].closed


def test_a_line_that_fails_twice_is_lost_and_the_rest_left(monkeypatch):
    lines, made = broken(monkeypatch, 4, 2, 100)
    batch = [b"one\n", b"two\n", b"three\n"]
    with pytest.raises(Lost, match="failed to send data to h:1: Broken pipe") as caught:
        lines.send(batch)
    assert (caught.value.count, batch) == (1, [b"three\n"])
    lines.send(batch)
    assert [connection.sent for connection in made] == [b"one\n", b"tw", b"three\n"]


def test_connections_that_each_take_something_lose_nothing(monkeypatch):
    lines, made = broken(monkeypatch, 4, 5, 100)
    lines.send([b"one\n", b"two\n", b"three\n"])
    assert [connection.sent for connection in made] == [b"one\n", b"two\nt", b"three\n"]


@pytest.mark.slow
def test_a_server_that_never_reads_costs_the_time_out_and_no_more(connect):
    with tcp_sink(reads=False) as sink:
        lines = connect(sink, timeout=0.05)
        batch = [b"x" * 30_000_000 + b"\n"]
        with pytest.raises(Lost, match=r"failed to send data to .*: timed out"):
            lines.send(batch)
        assert batch == []


def test_a_connection_that_was_reset_is_left(monkeypatch):
    lines, made = broken(monkeypatch, 100, 100)
    lines.send([b"one\n"])

    def recv(size):
        raise ConnectionResetError(104, "Connection reset by peer")

    made[0].recv = recv
    lines.send([b"two\n"])
    assert [connection.sent for connection in made] == [b"one\n", b"two\n"]


# -- TLS ----------------------------------------------------------------------------------------------


def test_tls_to_a_server_with_a_good_certificate(connect, certificate):
    with tcp_sink(tls=certificate.context()) as sink:
        lines = connect(sink, tls=tls_context(ca_file=str(certificate.file)))
        lines.send([b"a\n"])
        assert sink.wait(1) == [b"a"]
        # What TLS itself sends after the handshake is no sign of an end.
        lines.send([b"b\n"])
        assert sink.wait(2) == [b"a", b"b"]
        assert sink.connections == 1
        sink.drop()
        # Only what has arrived here can be seen: the end of the connection takes its time. Tickets of TLS
        # make the socket readable before.
        established = b"\x01"
        until(lambda: lines._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != established)
        lines.send([b"c\n"])
        assert sink.wait(3) == [b"a", b"b", b"c"]


@pytest.mark.slow
def test_tls_by_another_name_than_the_host(connect, tmp_path):
    certificate = Certificate(tmp_path, "logs.example", "127.0.0.9")
    with tcp_sink(tls=certificate.context()) as sink:
        context = tls_context(ca_file=str(certificate.file))
        with pytest.raises(OSError, match=r"failed to perform TLS handshake to 127.0.0.1:"):
            connect(sink, tls=context).send([b"a\n"])
        connect(sink, tls=context, server_name="logs.example").send([b"b\n"])
        assert sink.wait(1) == [b"b"]


def test_tls_to_a_server_nobody_vouches_for(connect, certificate):
    with tcp_sink(tls=certificate.context()) as sink:
        with pytest.raises(OSError, match="failed to perform TLS handshake"):
            connect(sink, tls=tls_context()).send([b"a\n"])
        connect(sink, tls=tls_context(verify=False)).send([b"b\n"])
        assert sink.wait(1) == [b"b"]


@pytest.mark.slow
def test_tls_to_a_server_without_it(connect):
    with tcp_sink() as sink:
        lines = connect(sink, tls=tls_context(), timeout=0.2)
        with pytest.raises(OSError, match="failed to perform TLS handshake"):
            lines.send([b"a\n"])
        until(lambda: sink.connections)


def test_tls_is_1_2_at_least():
    assert tls_context().minimum_version == ssl.TLSVersion.TLSv1_2
    assert tls_context().verify_mode == ssl.CERT_REQUIRED


def test_a_file_without_certificates_is_refused(tmp_path):
    (tmp_path / "none").write_text("nothing")
    with pytest.raises(OSError):
        tls_context(ca_file=str(tmp_path / "none"))
