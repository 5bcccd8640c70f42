"""Libraries in processes of their own: crashes, hangs, deadlines, and what is left behind."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.prest import isolation
from plugmw.dialects.prest.isolation import Isolated
from plugmw.dialects.prest.native import NativeError, Unloadable, open_library
from tests.support.native import HELLO, HELLO_BODY, built, request
from tests.support.servers import ROOT
from tests.support.waiting import until


@pytest.fixture
def opened():
    libraries = []

    def opener(source="traps.c", **options):
        libraries.append(open_library(built(source), isolate=True, **options))
        return libraries[-1]

    yield opener
    for library in libraries:
        library.close()


def ask(library, name, body=b"", method="GET"):
    return getattr(library, name)(request(method, body=body), *HELLO)


def pid_of(library):
    return int(ask(library, "GETProcessHandler")[0])


def refused(library, name):
    """Have a call fail; return its status."""
    with pytest.raises(NativeError) as caught:
        ask(library, name)
    return caught.value.status


def running(pid):
    return Path(f"/proc/{pid}").exists()


def children():
    """Return the processes that this one has started, dead ones too."""
    return {
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if stat_of(path)[1:2] == [str(os.getpid())]
    }


def stat_of(path):
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


@pytest.mark.parametrize("source", ["traps.c", "hello.go", "rusty.rs"])
def test_an_isolated_library_answers_as_one_in_the_process(opened, source):
    library = opened(source)
    assert ask(library, "GETHelloHandler") == (HELLO_BODY, 200, [])
    body, status, headers = ask(library, "POSTEchoHandler", bytes(range(256)) * 1000, "POST")
    assert (body, status) == (bytes(range(256)) * 1000, 201)
    assert ("X-Two", "2") in headers


def test_it_runs_in_another_process_that_is_used_again(opened):
    library = opened()
    assert pid_of(library) == pid_of(library) != os.getpid()


def test_a_function_that_is_not_there_is_named_as_without_isolation(opened):
    library = opened()
    with pytest.raises(AttributeError, match="symbol GETNoHandler not found in plugin traps"):
        _ = library.GETNoHandler
    assert not hasattr(library, "GETx y")


def test_a_function_is_asked_for_once(opened, monkeypatch):
    caller = opened()._caller
    assert caller.has("GETHelloHandler")
    monkeypatch.setattr(caller, "_ask", None)
    assert caller.has("GETHelloHandler")


def test_a_process_whose_connection_is_closed_does_not_live(opened):
    library = opened()
    process = library._caller._idle[0]
    process.end()
    process.kill()  # has ended already
    assert not process.lives()


@pytest.mark.parametrize(
    ("source", "told"), [("no_abi.c", "exports no plugmw_abi"), ("other_abi.c", "is built for version 2")]
)
def test_a_library_without_the_interface_is_refused_by_name(opened, source, told):
    before = children()
    with pytest.raises(Unloadable, match=told):
        opened(source)
    assert children() == before


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("GETCrashHandler", "signal 6 (Aborted)"),
        ("GETWildHandler", "signal 11 (Segmentation fault)"),
        ("GETExitHandler", "status 3"),
    ],
)
def test_a_crash_is_one_500_and_the_next_request_is_served(opened, name, how):
    library = opened()
    for _ in range(2):
        with pytest.raises(NativeError, match=re.escape(f"{name}: its process ended with {how}")) as caught:
            ask(library, name)
        assert caught.value.status == 500
        assert ask(library, "GETHelloHandler")[1] == 200


def test_a_crash_hits_nobody_else(opened):
    library = opened(processes=2)
    answers = []
    slow = threading.Thread(target=lambda: answers.append(ask(library, "POSTSlowHandler", b"20", "POST")[1]))
    slow.start()
    with pytest.raises(NativeError):
        ask(library, "GETCrashHandler")
    slow.join()
    assert answers == [200]


def test_a_call_that_misses_its_deadline_is_killed_and_504(opened):
    library = opened(timeout=0.3)
    pid = pid_of(library)
    with pytest.raises(NativeError, match=r"did not answer within 0.3 s and was killed") as caught:
        ask(library, "GETHangHandler")
    assert caught.value.status == 504
    assert not running(pid)
    assert ask(library, "GETHelloHandler")[1] == 200


def test_a_library_that_crashes_when_it_is_loaded_is_tried_again_later_and_later(opened, caplog):
    library = opened("crashes_on_load.c", logger=logging.getLogger("plugmw"), timeout=1.0)
    told = "crashes_on_load: loading it: its process ended with signal 6"
    assert told in caplog.text
    with pytest.raises(NativeError, match=told) as caught:
        _ = library.GETHelloHandler
    assert caught.value.status == 500
    assert library._caller._loading.failures == 2
    library._caller._loading.failures = 9
    with pytest.raises(NativeError, match="failed too often") as caught:
        _ = library.GETHelloHandler
    assert caught.value.status == 503


def test_requests_that_find_no_process_free_are_503(opened):
    library = opened(processes=1, timeout=0.4)
    held = threading.Thread(target=refused, args=(library, "GETHangHandler"))
    _ = library.GETHangHandler
    isolated = library._caller
    held.start()
    until(lambda: not isolated._slots._value)
    isolated._timeout = 0.05
    with pytest.raises(NativeError, match="all 1 processes are busy") as caught:
        ask(library, "GETHelloHandler")
    held.join()
    assert caught.value.status == 503


def test_there_are_never_more_processes_than_allowed(opened):
    library = opened(processes=2)
    pids = []

    def slow():
        pids.append(ask(library, "POSTSlowHandler", b"2", "POST")[0])

    threads = [threading.Thread(target=slow) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 8
    assert len(set(pids)) <= 2


def test_one_that_died_while_idle_is_replaced_and_the_log_says_so(opened, caplog):
    library = opened(logger=logging.getLogger("plugmw"))
    pid = pid_of(library)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not library._caller._idle[0].lives())
    assert pid_of(library) != pid
    assert not running(pid)
    assert "traps: its process ended with signal 9 (Killed) while idle" in caplog.text


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0.0), (1, 0.0), (2, 0.1), (3, 0.2), (4, 0.4), (10, 25.6), (11, 30.0), (9999, 30.0)],
)
def test_starts_come_later_and_later_after_failures_in_a_row(failures, seconds):
    assert isolation._delay(failures) == pytest.approx(seconds)


def test_a_start_that_would_come_too_late_is_503(opened):
    library = opened(timeout=1.0)
    _ = library.GETHelloHandler
    with pytest.raises(NativeError):
        ask(library, "GETCrashHandler")
    library._caller._loading.failures = 9
    with pytest.raises(NativeError, match="failed too often, starts again in") as caught:
        ask(library, "GETHelloHandler")
    assert caught.value.status == 503


def test_a_success_ends_the_row_of_failures(opened):
    library = opened()
    for _ in range(2):
        with pytest.raises(NativeError):
            ask(library, "GETCrashHandler")
    row = library._caller._calling["GETCrashHandler"]
    assert row.failures == 2
    row.last = 0.0
    library._caller._known.add("GETHelloHandler")
    library._caller._calling["GETHelloHandler"] = row
    ask(library, "GETHelloHandler")
    assert list(library._caller._calling) == ["GETCrashHandler"]


def test_a_function_that_keeps_crashing_costs_the_others_nothing(opened):
    library = opened()
    for _ in range(2):
        with pytest.raises(NativeError, match="its process ended with signal"):
            ask(library, "GETCrashHandler")
    library._caller._calling["GETCrashHandler"].failures = 30
    with pytest.raises(NativeError, match="GETCrashHandler: failed too often, is called again in") as caught:
        ask(library, "GETCrashHandler")
    assert caught.value.status == 503
    assert ask(library, "GETHelloHandler")[1] == 200


def test_a_library_that_was_broken_since_is_500(opened, tmp_path):
    path = tmp_path / "lib.so"
    path.write_bytes(built("traps.c").read_bytes())
    library = open_library(path, isolate=True)
    _ = library.GETHelloHandler
    with pytest.raises(NativeError):
        ask(library, "GETCrashHandler")
    path.unlink()
    with pytest.raises(NativeError, match="No such file") as caught:
        ask(library, "GETHelloHandler")
    assert caught.value.status == 500


def test_a_function_that_is_gone_since_is_500(opened, tmp_path):
    path = tmp_path / "traps.so"
    shutil.copy(built("traps.c"), path)
    library = open_library(path, isolate=True)
    _ = library.GETNothingHandler
    with pytest.raises(NativeError):
        ask(library, "GETCrashHandler")
    shutil.copy(built("rusty.rs"), tmp_path / "new.so")
    os.replace(tmp_path / "new.so", path)
    with pytest.raises(NativeError, match="GETNothingHandler: is no longer in the library"):
        ask(library, "GETNothingHandler")
    library.close()


def test_an_answer_that_is_too_large_ends_the_process(opened):
    caller = opened()._caller
    caller._ask = lambda *given: Isolated._ask(caller, *given[:3], -isolation.MAX_FIELDS - 68 * 1024)
    with pytest.raises(NativeError, match="got a frame of 3 bytes, expected at most 0"):
        caller.has("GETHelloHandler")


def test_a_process_that_cannot_be_started_leaves_nothing_open(opened, monkeypatch):
    caller = opened()._caller
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(NativeError, match="loading it: cannot be started: No such file"):
        caller._started(Deadline.after(5))
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_interrupts_the_caller_is_passed_on_and_ends_the_process(opened, monkeypatch):
    library = opened()
    pid = pid_of(library)
    _ = library.GETHelloHandler
    with monkeypatch.context() as patched:
        patched.setattr(isolation.abi, "send", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ask(library, "GETHelloHandler")
    assert not running(pid)
    assert ask(library, "GETHelloHandler")[1] == 200


# -- what is left behind ---------------------------------------------------------------------------


def test_closing_ends_the_processes_and_leaves_neither_zombies_nor_descriptors(opened):
    before = children(), len(os.listdir("/proc/self/fd"))
    library = opened()
    for _ in range(3):
        with pytest.raises(NativeError):
            ask(library, "GETCrashHandler")
        ask(library, "GETHelloHandler")
    library.close()
    assert (children(), len(os.listdir("/proc/self/fd"))) == before


def test_one_that_is_busy_when_it_is_closed_ends_after_its_call(opened):
    before = children()
    library = opened()
    answers = []
    _ = library.POSTSlowHandler
    thread = threading.Thread(target=lambda: answers.append(ask(library, "POSTSlowHandler", b"10", "POST")))
    thread.start()
    until(lambda: library._caller._slots._value < 2)
    library.close()
    thread.join()
    assert answers[0][1] == 200
    assert children() == before


def test_a_process_that_does_not_end_is_killed(opened, monkeypatch):
    library = opened()
    pid = pid_of(library)
    monkeypatch.setattr(isolation, "_GRACE", 0.05)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: all(stat_of(path)[0] == "T" for path in Path(f"/proc/{pid}/task").glob("*/stat")))
    library.close()
    assert not running(pid)


def test_a_forked_child_begins_with_processes_of_its_own(opened):
    library = opened()
    ours = pid_of(library)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            theirs = pid_of(library)
            os.write(writing, f"{theirs} {running(ours)}".encode())
            library.close()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        theirs, alive = told.read().split()
    os.waitpid(child, 0)
    assert (int(theirs) != ours, alive) == (True, "True")
    assert pid_of(library) == ours
    until(lambda: not running(int(theirs)))


def test_what_a_child_forgets_is_still_there_for_the_parent(opened):
    library = opened()
    pid = pid_of(library)
    library._caller.after_fork()  # as in a child
    theirs = pid_of(library)
    assert theirs != pid
    os.waitpid(pid, 0)  # nobody else has the socket here, so it has ended


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in a call"])
def test_a_worker_that_is_killed_takes_its_processes_with_it(busy):
    hang = "threading.Thread(target=ask, args=('GETHangHandler',)).start()" if busy else ""
    code = f"""
import os, sys, threading, time
from plugmw.dialects.prest.native import open_library
from tests.support.native import request
library = open_library({str(built("traps.c"))!r}, isolate=True)
def ask(name):
    return getattr(library, name)(request(), {{}}, {{}})[0].decode()
pid = ask("GETProcessHandler")
{hang}
time.sleep({0.2 if busy else 0})
print(pid, flush=True)
time.sleep(60)
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert worker.stdout is not None
    with worker.stdout as told:
        pid = int(told.readline())
        assert running(pid)
        worker.kill()
        worker.wait()
    until(lambda: not running(pid))


def test_interrupting_the_terminal_does_not_reach_it(opened):
    library = opened()
    pid = pid_of(library)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert pid_of(library) == pid
    assert os.getpgid(pid) == pid


def test_what_a_function_prints_is_no_answer(opened, capfd):
    library = opened()
    assert ask(library, "GETPrintsHandler")[0] == b"quiet"
    assert capfd.readouterr() == ("", "printed by a function\n")
