"""The counters of the file store, from below: slots, buckets, locks and time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Timer

import pytest

from plugmw.errors import StoreError
from plugmw.stores.table import BUCKET, BUCKET_BYTES, EXPIRES, HEADER, KEY, Table
from plugmw.stores.tables import TABLES
from tests.support.clock import Clock

URL = "file:///counters"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """One bucket: every key meets every other."""
    opened = TABLES.open(str(tmp_path / "counters"), BUCKET, URL, 0.05)
    yield opened
    TABLES.close(opened)


def fill(table: Table, clock: Clock, ttl: float = 60) -> None:
    for n in range(BUCKET):
        table.incr(f"k{n}", 1, ttl, clock)


def test_a_full_bucket_holds_every_key(table: Table, clock: Clock) -> None:
    fill(table, clock)
    assert [table.incr(f"k{n}", 1, 60, clock) for n in range(BUCKET)] == [2] * BUCKET


def test_a_new_key_in_a_full_bucket_is_a_store_error(table: Table, clock: Clock) -> None:
    fill(table, clock)
    with pytest.raises(StoreError, match="is full: no room for a new counter among 128 slots"):
        table.incr("new", 1, 60, clock)


@pytest.mark.slow
def test_a_flood_of_long_lived_keys_does_not_push_a_living_counter_out(table: Table, clock: Clock) -> None:
    table.incr("victim", 5, 10, clock)
    for n in range(3 * BUCKET):
        try:
            table.incr(f"flood{n}", 1, 86400, clock)
        except StoreError:
            pass
    assert table.count("victim", clock) == 5


def test_expired_slots_are_used_again(table: Table, clock: Clock) -> None:
    fill(table, clock)
    clock.advance(60)
    assert [table.incr(f"new{n}", 1, 60, clock) for n in range(BUCKET)] == [1] * BUCKET


def test_a_take_with_room_for_one_of_two_new_keys_counts_none(table: Table, clock: Clock) -> None:
    fill(table, clock)
    table.delete("k0")
    with pytest.raises(StoreError):
        table.take([("k1", 9, 60), ("new1", 9, 60), ("new2", 9, 60)], clock)
    assert [table.count(key, clock) for key in ("k1", "new1", "new2")] == [1, 0, 0]


def test_new_keys_of_one_take_do_not_share_a_dead_slot(table: Table, clock: Clock) -> None:
    fill(table, clock)
    clock.advance(60)
    table.take([("new", 9, 60), ("k0", 9, 60), ("k1", 9, 60)], clock)
    assert [table.count(key, clock) for key in ("new", "k0", "k1", "k2")] == [1, 1, 1, 0]


def test_a_key_found_across_two_others_is_not_found(table: Table, clock: Clock) -> None:
    table.incr("a", 1, 60, clock)
    digest = table._digest("b")
    os.pwrite(table._fd, digest, HEADER + KEY - 3)
    assert table.count("b", clock) == 0


def test_a_slot_left_half_written_is_free(table: Table, clock: Clock) -> None:
    table.incr("a", 7, 60, clock)
    slot = table._find(table._digest("a"))
    table._set_time(slot + EXPIRES, 0.0)  # where a kill before the last store leaves it
    assert (table.count("a", clock), table.incr("a", 1, 60, clock)) == (0, 1)


class Killed(BaseException):
    """The end of a process, as far as what it writes goes."""


@pytest.mark.parametrize("last", range(5))
def test_a_kill_before_any_write_of_a_new_counter_leaves_it_absent(
    last: int, table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, clock, ttl=60)
    table.delete("k7")
    writes, pwrite = count(), os.pwrite

    def dying(fd: int, data: bytes, at: int) -> int:
        if next(writes) == last:
            raise Killed
        return pwrite(fd, data, at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", dying)
        with pytest.raises(Killed):
            table.incr("new", 5, 60, clock)
    clock.advance(-3600)  # nor does a clock that jumps back bring half of it to life
    assert [table.count(key, clock) for key in ("new", "k7")] == [0, 0]
    assert [table.count(f"k{n}", clock) for n in range(BUCKET) if n != 7] == [1] * (BUCKET - 1)
    assert table.incr("new", 1, 60, clock) == 1


def test_a_bucket_is_as_large_as_its_parts() -> None:
    assert BUCKET_BYTES == BUCKET * (KEY + 8 + 8 + 8)


def test_a_clock_that_jumps_back_locks_for_one_window_at_most(table: Table, clock: Clock) -> None:
    table.take([("a", 1, 60)], clock)
    clock.advance(-3600)
    assert table.take([("a", 1, 60)], clock) == (False, [1])
    clock.advance(60)
    assert table.take([("a", 1, 60)], clock) == (True, [1])


def test_a_full_bucket_has_room_one_window_after_the_clock_jumped_back(table: Table, clock: Clock) -> None:
    fill(table, clock)
    clock.advance(-3600)
    with pytest.raises(StoreError):
        table.incr("new", 1, 60, clock)
    clock.advance(60)
    assert table.incr("new", 1, 60, clock) == 1


def test_two_tables_put_a_key_at_different_places(table: Table, tmp_path: Path) -> None:
    other = TABLES.open(str(tmp_path / "other"), BUCKET, URL, 1.0)
    try:
        assert table._digest("a") != other._digest("a")
    finally:
        TABLES.close(other)


def test_a_thread_that_holds_a_stripe_too_long_is_a_store_error(table: Table, clock: Clock) -> None:
    with table._held([table._digest("a")]), pytest.raises(StoreError, match=r"locked .* more than 0.05 s"):
        table.incr("a", 1, 60, clock)
    assert table.incr("a", 1, 60, clock) == 1


HOLDER = """
import sys, fcntl
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(
    table: Table, tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> subprocess.Popen[str]:
    """Another process that holds all locks, as one stopped by a debugger would."""
    process = python(HOLDER, tmp_path / "counters")
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.slow
def test_a_process_that_holds_a_stripe_too_long_is_a_store_error(
    table: Table, clock: Clock, holder: subprocess.Popen[str]
) -> None:
    for call in (lambda: table.incr("a", 1, 60, clock), lambda: table.take([("a", 1, 60)], clock)):
        with pytest.raises(StoreError, match=r"locked by another worker for more than 0.05 s"):
            call()


def test_a_lock_given_back_in_time_is_taken(
    table: Table, clock: Clock, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_timeout", 10.0)
    Timer(0.03, holder.terminate).start()
    assert table.incr("a", 1, 60, clock) == 1


def test_a_lock_is_free_when_its_holder_is_killed(
    table: Table, clock: Clock, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    assert table.incr("a", 1, 60, clock) == 1


def test_a_lock_that_the_system_refuses_is_a_store_error(
    table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(37, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr("plugmw.stores.table.lockf", refuse)
        with pytest.raises(StoreError, match="cannot be locked: No locks available"):
            table.count("a", clock)
    assert table.count("a", clock) == 0


def test_an_exception_in_the_clock_leaves_no_lock(table: Table, clock: Clock) -> None:
    def broken() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table.incr("a", 1, 60, broken)
    assert table.incr("a", 1, 60, clock) == 1


def test_an_interrupted_wait_leaves_no_lock(
    table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("plugmw.stores.table.lockf", interrupt)
        with pytest.raises(KeyboardInterrupt):
            table.count("a", clock)
    assert table.count("a", clock) == 0


def test_counting_goes_on_while_someone_is_alone(table: Table, clock: Clock) -> None:
    with table.alone():
        assert table.incr("a", 1, 60, clock) == 1
