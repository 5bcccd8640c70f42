"""Forks, locks that are created late, what runs once, and when a process started."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plugmw.concurrency import process
from plugmw.concurrency.process import LazyLock, OncePerProcess, is_alive, on_fork, started_at

RENEWED = """
import os
from plugmw.concurrency.process import on_fork
class Thing:
    state = "inherited"
    def after_fork(self):
        self.state = "renewed"
thing = Thing()
on_fork(thing)
child = os.fork()
if not child:
    os._exit(thing.state == "renewed")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), thing.state)
"""


def output(code: str) -> str:
    """Run Python to its end and return what it printed."""
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=20)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


class Thing:
    def after_fork(self) -> None: ...


@pytest.mark.slow
def test_a_watched_object_is_renewed_in_the_child_and_not_in_the_parent() -> None:
    assert output(RENEWED) == "1 inherited"


def test_an_object_nobody_else_holds_is_forgotten() -> None:
    thing = Thing()
    on_fork(thing)
    before = len(process._watched)
    del thing
    gc.collect()
    assert len(process._watched) < before


WITHOUT = """
import os, random  # random registers itself
del os.register_at_fork
import plugmw.stores
print("ok")
"""


@pytest.mark.slow
def test_stores_can_be_imported_where_there_are_no_forks() -> None:
    assert output(WITHOUT) == "ok"


# -- locks ------------------------------------------------------------------------------------------------


def test_all_threads_get_the_same_lock():
    lock = LazyLock()
    with ThreadPoolExecutor(8) as pool:
        assert len({id(found) for found in pool.map(lambda _: lock.get(), range(64))}) == 1


def test_the_lock_is_one_of_the_kind_in_force_at_its_first_use(monkeypatch):
    lock, plain = LazyLock(), threading.Lock()
    monkeypatch.setattr(threading, "Lock", lambda: plain)  # as gevent does
    assert lock.get() is plain


def test_a_reentrant_lock_can_be_taken_twice():
    lock = LazyLock(reentrant=True)
    with lock.get(), lock.get():
        pass


def test_a_child_gets_another_lock_also_while_the_parents_is_held():
    lock = LazyLock()
    with lock.get() as held:
        assert held
        lock.after_fork()
        with lock.get():
            pass


# -- once -------------------------------------------------------------------------------------------------


def test_a_function_runs_once_in_each_process():
    once, calls = OncePerProcess(), []
    for _ in range(2):
        once(lambda: calls.append(1))
    assert calls == [1]
    once.after_fork()
    once(lambda: calls.append(2))
    assert calls == [1, 2]


def test_what_the_one_run_raised_is_raised_by_each_call_until_it_is_reset():
    once = OncePerProcess()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            once(lambda: 1 // 0)
    once.reset()
    once(lambda: None)


# -- the start of a process -------------------------------------------------------------------------------


def test_a_process_keeps_its_start_and_loses_it_with_its_end():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    begun = started_at(child.pid)
    assert begun
    assert begun == started_at(child.pid)
    assert is_alive(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert started_at(child.pid) == ""  # nobody has waited for it yet
    child.communicate()
    assert started_at(child.pid) == ""
    assert not is_alive(child.pid)


def test_a_process_of_another_user_is_alive(monkeypatch):
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(1)


@pytest.mark.parametrize(("alive", "told"), [(True, "alive"), (False, "")])
def test_without_proc_only_whether_it_lives_is_told(monkeypatch, alive, told):
    monkeypatch.setattr(process, "open", lambda *_: (_ for _ in ()).throw(FileNotFoundError()), raising=False)
    monkeypatch.setattr(os.path, "isdir", lambda path: False)
    monkeypatch.setattr(process, "is_alive", lambda pid: alive)
    assert started_at(1) == told
