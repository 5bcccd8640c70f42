"""Libraries in C loaded by ctypes: what goes in, what comes out, what is refused."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.prest import abi
from plugmw.dialects.prest.abi import BadReply, Call, Library, Reply, Unusable
from tests.support.native import HELLO_BODY, SOURCES, built, resident
from tests.support.waiting import until

CALL = Call(b"GET", b"/x", b'{"file":"hello","func":"Hello"}', b'{"abc":["123"]}', b"{}", b"{}", b"")
MOST = 1_000_000


@pytest.fixture(scope="module")
def traps():
    return Library(str(built("traps.c")))


def call(library, name, body=b"", most=MOST):
    assert library.has(name)
    return library.call(name, CALL._replace(body=body), most)


def test_a_function_gets_the_request_and_answers(traps):
    assert call(traps, "GETHelloHandler") == Reply(0, b"", HELLO_BODY, b"")


def test_bodies_may_hold_any_byte_both_ways(traps):
    body = bytes(range(256)) * 3
    reply = call(traps, "POSTEchoHandler", body)
    assert (reply.status, reply.body) == (201, body)


def test_bytes_of_a_request_are_followed_by_a_nul(traps):
    assert b'"ends":0' in call(traps, "GETRequestHandler", b"abc").body


def test_what_a_function_leaves_alone_is_zero(traps):
    assert call(traps, "GETNothingHandler") == Reply(0, b"", b"", b"")


def test_an_error_text_takes_the_place_of_the_answer(traps):
    assert call(traps, "GETFailHandler") == Reply(500, b"", b"", b'the disk is "gone"')


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("POSTSizeHandler", b"1000001", "body: got 1000001 bytes, expected at most 1000000"),
        ("POSTHeadersHandler", b"x" * 65537, "headers: got 65537 bytes, expected at most 65536"),
        ("GETNullHandler", b"", "body: got NULL for 5 bytes"),
    ],
    ids=["large body", "large headers", "null"],
)
def test_sizes_are_looked_at_before_anything_is_copied(traps, name, body, told):
    with pytest.raises(BadReply, match=told):
        call(traps, name, body)


def test_the_largest_body_that_is_allowed_passes(traps):
    assert len(call(traps, "POSTSizeHandler", b"1000000").body) == MOST


@pytest.mark.parametrize("name", ["system", "plugmw_abi", "GETNoHandler", "getHelloHandler", "", "GETx y"])
def test_only_handlers_of_the_library_can_be_called(traps, name):
    assert not traps.has(name)


@pytest.mark.parametrize(
    ("source", "told", "reason"),
    [
        (
            "no_abi.c",
            "exports no plugmw_abi and plugmw_free, expected a library built with plugmw_function.h",
            "plugin: symbol plugmw_abi and plugmw_free not found in plugin no_abi",
        ),
        (
            "other_abi.c",
            "is built for version 2 of plugmw_function.h, expected 1",
            "plugin other_abi was built with a different version of plugmw_function.h",
        ),
    ],
)
def test_a_library_without_the_interface_is_refused_by_name(source, told, reason):
    with pytest.raises(Unusable, match=told) as caught:
        Library(str(built(source)))
    assert caught.value.reason == reason


def test_what_is_no_library_is_refused_and_clients_are_told_no_path(tmp_path):
    path = tmp_path / "hello.so"
    path.write_text("no library", encoding="utf-8")
    with pytest.raises(Unusable, match=r"invalid ELF header|too short") as caught:
        Library(str(path))
    assert caught.value.reason == 'plugin.Open("hello"): cannot be loaded'


def test_a_name_without_a_folder_is_looked_for_here_and_not_in_the_system(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unusable, match="No such file"):
        Library("libc.so.6")
    shutil.copy(built("traps.c"), tmp_path / "here.so")
    assert Library("here.so").has("GETHelloHandler")


def test_ten_thousand_calls_leave_no_memory_behind(traps):
    def round_of(count):
        for _ in range(count):
            traps.call("POSTSizeHandler", size, MOST)
            traps.call("POSTHeadersHandler", headers, MOST)
            with pytest.raises(BadReply):
                traps.call("POSTSizeHandler", size, 10)

    size, headers = CALL._replace(body=b"10000"), CALL._replace(body=b"x" * 10000)
    call(traps, "POSTSizeHandler", b"1")
    call(traps, "POSTHeadersHandler", b"{}")
    round_of(300)
    before = resident()
    round_of(10_000 // 3)
    # Leaking any of the three would be 33 MB.
    assert resident() - before < 8 * 1024 * 1024


def test_other_threads_go_on_during_a_call(traps):
    assert traps.has("POSTSlowHandler")
    thread = threading.Thread(target=call, args=(traps, "POSTSlowHandler", b"20"))
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
    thread.join()
    assert turns > 100


# -- frames and the program ----------------------------------------------------------------------------


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_frame_comes_out_as_it_went_in(pair):
    abi.send(pair[0], [b"one", b"", b"\0" * 1000])
    assert abi.receive(pair[1], 3, 2000) == [b"one", b"", b"\0" * 1000]


def test_a_frame_that_is_too_large_is_refused_before_it_is_read(pair):
    abi.send(pair[0], [b"x" * 100, b"y"])
    with pytest.raises(ValueError, match="got a frame of 101 bytes, expected at most 100"):
        abi.receive(pair[1], 2, 100)


def test_half_a_frame_is_the_end(pair):
    pair[0].sendall(b"\0" * 12)
    pair[0].close()
    with pytest.raises(EOFError):
        abi.receive(pair[1], 2, 100)


def test_a_deadline_that_has_passed_is_not_waited_for(pair):
    with pytest.raises(TimeoutError):
        abi.receive(pair[1], 1, 100, Deadline(0.0).left_or_raise)


def served(pair, path):
    thread = threading.Thread(target=abi.serve, args=(pair[1], str(path)))
    thread.start()
    return thread


def asked(pair, what, given=CALL):
    abi.send(pair[0], [what.encode(), *given])
    return abi.receive(pair[0], 4, 10_000_000)


def test_the_program_answers_until_the_other_side_is_gone(pair):
    thread = served(pair, built("traps.c"))
    assert abi.receive(pair[0], 4, 10_000) == [b"ready", b"", b"", b""]
    assert asked(pair, "has GETHelloHandler") == [b"yes", b"", b"", b""]
    assert asked(pair, "has system") == [b"no", b"", b"", b""]
    assert asked(pair, "call GETNoHandler 10") == [b"no", b"", b"", b""]
    assert asked(pair, "call GETHelloHandler 1000") == [b"0", b"", HELLO_BODY, b""]
    told = b"body: got 102 bytes, expected at most 10"
    assert asked(pair, "call GETHelloHandler 10") == [b"500", b"", b"", told]
    pair[0].close()
    thread.join()


def test_the_program_says_what_is_wrong_with_a_library(pair):
    path = built("no_abi.c")
    thread = served(pair, path)
    kind, reason, _, text = abi.receive(pair[0], 4, 10_000)
    thread.join()
    assert (kind, reason) == (
        b"unusable",
        b"plugin: symbol plugmw_abi and plugmw_free not found in plugin no_abi",
    )
    assert text.startswith(f"{path}: exports no plugmw_abi".encode())


def test_the_program_ignores_signals_and_ends_with_the_other_side(pair, monkeypatch):
    ended = []
    monkeypatch.setattr(abi.signal, "signal", lambda number, how: ended.append((number, how)))
    monkeypatch.setattr(abi.os, "dup2", lambda *given: ended.append(given))
    monkeypatch.setattr(abi.os, "_exit", ended.append)
    ours, theirs = pair
    ours.shutdown(socket.SHUT_RDWR)
    abi.main(str(os.dup(theirs.fileno())), str(built("traps.c")))
    ignored = [(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    until(lambda: len(ended) == 6)
    assert ended == [*ignored, (2, 1), 0, 0]


def test_the_header_has_the_same_version():
    from plugmw.dialects.prest.include import FOLDER

    assert f"#define PLUGMW_ABI {abi.VERSION}\n" in (FOLDER / "plugmw_function.h").read_text(encoding="utf-8")
    assert {path.name for path in SOURCES.iterdir()} >= {"traps.c", "hello.go", "rusty.rs"}
    assert os.path.isabs(FOLDER)
