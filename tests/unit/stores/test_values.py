from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from plugmw.errors import StoreError
from plugmw.stores import values as module
from plugmw.stores.values import SWEEP_EVERY, Values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "values.db"


@pytest.fixture
def values(path: Path) -> Iterator[Values]:
    opened = Values(str(path), "file:///values.db", 0.1, nullcontext)
    yield opened
    opened.close()


def rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    count = connection.execute("SELECT count(*) FROM pairs").fetchone()[0]
    connection.close()
    return int(count)


def test_every_file_is_for_this_user_only(values: Values, path: Path) -> None:
    values.set(b"a", b"v", 60, 0)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_values_outlive_the_process_that_set_them(values: Values) -> None:
    values.set(b"a", b"v", 60, 0)
    values.close()
    assert values.get(b"a", 1) == b"v"


def test_expired_rows_are_swept_as_others_are_written(values: Values, path: Path) -> None:
    for n in range(50):
        values.set(b"old%d" % n, b"", 10, 0)
    for n in range(SWEEP_EVERY):
        values.add(b"new%d" % n, b"", 10, 100)
    assert rows(path) == SWEEP_EVERY


def test_a_clock_that_jumps_back_keeps_a_value_for_one_lifetime_at_most(values: Values) -> None:
    values.set(b"ban", b"1", 60, 10_000)
    assert (values.get(b"ban", 0), values.get(b"ban", 59), values.get(b"ban", 61)) == (b"1", b"1", None)


def test_a_clock_that_jumps_back_keeps_a_lock_for_one_lifetime_at_most(values: Values) -> None:
    values.add(b"lock", b"1", 60, 10_000)
    assert (values.add(b"lock", b"2", 60, 0), values.add(b"lock", b"2", 60, 61)) == (False, True)


def test_the_file_cannot_grow_without_bound(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 20 * module.PAGE)
    with pytest.raises(StoreError, match="cannot be used: database or disk is full"):
        for n in range(100):
            values.set(b"%d" % n, b"v" * module.PAGE, 60, 0)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "overwritten": lambda path: path.write_bytes(b"not a database" * 1000),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_a_file_that_is_damaged_is_put_aside_for_a_new_one_and_told(
    values: Values, path: Path, kind: str, is_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    other = Values(str(path), "file:///values.db", 0.1, nullcontext)
    for each in (values, other):
        each.set(b"a", b"v", 60, 0)
        if not is_open:
            each.close()
    DAMAGE[kind](path)
    assert values.get(b"a", 1) in (
        None,
        b"v",
    )  # from memory, or the log of writes
    values.set(b"b", b"w", 60, 0)
    assert (values.get(b"b", 1), other.get(b"b", 1)) == (b"w", b"w")
    other.close()
    told = [record.getMessage() for record in caplog.records]
    assert [text.startswith("file:///values.db is damaged: ") for text in told] in ([], [True])
    assert path.with_name("values.db.damaged").exists() is bool(told)
    assert bool(told) >= (kind == "overwritten" and not is_open)


def test_a_world_writable_file_is_refused(values: Values, path: Path) -> None:
    path.touch()
    path.chmod(0o666)
    with pytest.raises(StoreError, match="has mode 666"):
        values.get(b"a", 0)


def test_a_planted_link_is_refused(values: Values, path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is not a regular file"):
        values.set(b"a", b"v", 60, 0)
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_folder_is_a_store_error(tmp_path: Path) -> None:
    values = Values(str(tmp_path / "deeper" / "values.db"), "file:///values.db", 0.1, nullcontext)
    with pytest.raises(StoreError, match="cannot be used: "):
        values.get(b"a", 0)


@pytest.mark.slow
def test_a_thread_that_writes_too_long_is_a_store_error(values: Values) -> None:
    with values._lock, pytest.raises(StoreError, match=r"is busy for more than 0.1 s"):
        values.get(b"a", 0)


@pytest.mark.slow
def test_a_process_that_writes_too_long_is_a_store_error(values: Values, path: Path) -> None:
    values.set(b"a", b"v", 60, 0)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        values.set(b"a", b"w", 60, 0)
    writer.close()
    assert values.get(b"a", 1) == b"v"


FORKED = """
import os, sys
from contextlib import nullcontext
from plugmw.concurrency import process
from plugmw.stores import values
parent = values.Values(sys.argv[1], "file:///values.db", 0.05, nullcontext)
parent.set(b"a", b"1", 60, 0)
if sys.argv[2] == "busy":
    parent._lock.acquire()
child = os.fork()
if not child:
    inherited = len(process._inherited)
    assert parent._connection is None and parent.get(b"a", 1) == b"1"
    os._exit(10 + inherited)
if sys.argv[2] == "busy":
    parent._lock.release()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) - 10)
parent.set(b"a", b"2", 60, 0)
parent.close()
"""


@pytest.mark.parametrize(("state", "inherited"), [("idle", "0"), ("busy", "1")])
def test_a_child_opens_its_own_connection_and_inherits_none_that_the_parent_could_close(
    path: Path, output: Callable[..., str], state: str, inherited: str
) -> None:
    assert output(FORKED, path, state) == inherited


def test_closing_before_the_first_use_does_nothing(values: Values, path: Path) -> None:
    values.close()
    assert not os.path.exists(path)
