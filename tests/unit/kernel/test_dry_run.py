"""offline: what is held back, for whom, and that all else goes on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from plugmw.kernel.dry_run import SideEffect, _hook, dry_run


def _udp(send):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        send(made)


def _connect(kind, address):
    with socket.socket(kind) as made:
        made.connect(address)


ATTEMPTS = {
    "a name": (lambda: socket.create_connection(("localhost", 9)), "connect to localhost:9"),
    "an address": (lambda: _connect(socket.AF_INET, ("127.0.0.1", 9)), "connect to 127.0.0.1:9"),
    "a unix socket": (lambda: _connect(socket.AF_UNIX, b"/no/such"), "connect to /no/such"),
    "a look-up": (lambda: socket.gethostbyname("localhost"), "look up localhost"),
    "a datagram": (lambda: _udp(lambda s: s.sendto(b"x", ("127.0.0.1", 9))), "send to 127.0.0.1:9"),
    "a message": (
        lambda: _udp(lambda s: s.sendmsg([b"x"], [], 0, ("127.0.0.1", 9))),
        "send to 127.0.0.1:9",
    ),
    "a program": (lambda: subprocess.Popen([sys.executable, "-V"]), f"run {sys.executable}"),
    "a command": (lambda: os.system("true"), "run a command"),
    "a spawned program": (lambda: os.posix_spawn("/bin/true", ["true"], {}), "run /bin/true"),
    "another program": (lambda: os.execv("/bin/true", ["true"]), "run /bin/true"),
    "a process": (lambda: os.fork(), "start a process"),
    "a terminal": (lambda: os.forkpty(), "start a process"),
}


@pytest.mark.parametrize(("attempt", "what"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_holds_back(attempt, what):
    with dry_run(), pytest.raises(SideEffect) as caught:
        attempt()
    assert caught.value.what == what


EVENTS = {
    "socket.connect": ((None, ("::1", 9, 0, 0)), "connect to ::1:9"),
    "socket.getaddrinfo": ((b"host", "http", 0, 0, 0), "connect to host:http"),
    "socket.sendto": ((None, b"/run/socket"), "send to /run/socket"),
    "socket.sendmsg": ((None, None), "send to None"),
    "_thread.start_joinable_thread": ((), "start a thread"),
    "os.posix_spawn": ((b"/bin/true", [], {}), "run /bin/true"),
}


@pytest.mark.parametrize("event", EVENTS)
def test_says_what_was_about_to_be_done(event):
    # Called by the interpreter a hook is not traced, so here it is called by hand.
    arguments, what = EVENTS[event]
    _hook(event, arguments)
    with dry_run(), pytest.raises(SideEffect) as caught:
        _hook(event, arguments)
    assert caught.value.what == what


def test_holds_back_threads():
    with dry_run(), pytest.raises(SideEffect, match="start a thread"):
        threading.Thread(target=print).start()


def test_holds_back_syslog():
    syslog = pytest.importorskip("syslog")
    with dry_run(), pytest.raises(SideEffect, match="write to syslog"):
        syslog.syslog("x")


def test_is_not_caught_as_an_ordinary_error():
    assert not issubclass(SideEffect, Exception)


def test_ends_with_the_block_even_after_a_failure():
    with pytest.raises(SideEffect), dry_run():
        socket.gethostbyname("localhost")
    assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"


def test_leaves_other_threads_alone():
    found = []
    ready, go = threading.Event(), threading.Event()

    def look_up():
        ready.set()
        go.wait(5)
        found.append(socket.gethostbyname("127.0.0.1"))

    other = threading.Thread(target=look_up)
    other.start()
    ready.wait(5)
    with dry_run():
        go.set()
        other.join(5)
    assert found == ["127.0.0.1"]


def test_leaves_files_and_everything_else_alone(tmp_path):
    with dry_run():
        (tmp_path / "file").write_text("x")
        assert (tmp_path / "file").read_text() == "x"
