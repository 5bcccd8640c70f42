from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from plugmw.errors import StoreError
from plugmw.stores.file import FileStore
from plugmw.stores.table import BUCKET, BUCKET_BYTES, HEADER, size_of
from plugmw.stores.tables import TABLES, check_owner
from tests.support.clock import Clock

URL = "file:///counters"


def count_once(path: Path, slots: int = BUCKET) -> int:
    """Open the table, count and close it: what a restarted server does."""
    table = TABLES.open(str(path), slots, URL, 0.05)
    try:
        return table.incr("a", 1, 60, Clock())
    finally:
        TABLES.close(table)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counters"


def test_counters_outlive_the_process_that_made_them(path: Path) -> None:
    assert [count_once(path), count_once(path)] == [1, 2]


def test_the_file_is_for_this_user_only(path: Path) -> None:
    count_once(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_has_its_disk_blocks_from_the_start(path: Path) -> None:
    count_once(path, 64 * BUCKET)
    assert path.stat().st_blocks * 512 >= size_of(64 * BUCKET)


def test_two_users_of_a_file_share_one_table(path: Path) -> None:
    one, two = (TABLES.open(str(path), BUCKET, URL, 1.0) for _ in range(2))
    assert one is two
    TABLES.close(one)
    assert two.incr("a", 1, 60, Clock()) == 1
    TABLES.close(two)


def test_the_last_user_closes_the_table(path: Path) -> None:
    table = TABLES.open(str(path), BUCKET, URL, 1.0)
    TABLES.close(table)
    with pytest.raises(StoreError, match="is closed"):
        table.incr("a", 1, 60, Clock())


def test_no_descriptor_stays_open(path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    count_once(path)
    assert len(os.listdir("/dev/fd")) == before


def test_an_empty_file_becomes_a_table(path: Path) -> None:
    path.touch(0o600)
    assert count_once(path) == 1


@pytest.mark.parametrize("size", [100, HEADER + 1, size_of(BUCKET)])
def test_a_table_whose_maker_was_killed_is_made_again(path: Path, size: int) -> None:
    path.write_bytes(b"\0" * size)
    assert count_once(path) == 1


def test_a_foreign_file_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(StoreError, match="holds something else than counters"):
        count_once(path)
    assert path.read_text() == "precious"


def test_a_large_file_of_zeros_is_no_half_made_table(path: Path) -> None:
    path.write_bytes(b"\0" * (size_of(BUCKET) + 1))
    with pytest.raises(StoreError, match="holds something else"):
        count_once(path)


def test_another_number_of_slots_is_refused(path: Path) -> None:
    count_once(path)
    with pytest.raises(StoreError, match="has 128 slots, expected 256: delete it or use slots=128"):
        count_once(path, 2 * BUCKET)


def test_another_number_of_slots_is_refused_while_the_table_is_open(path: Path) -> None:
    table = TABLES.open(str(path), BUCKET, URL, 1.0)
    with pytest.raises(StoreError, match="has 128 slots, expected 256"):
        count_once(path, 2 * BUCKET)
    TABLES.close(table)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda path: os.truncate(path, HEADER), "is damaged: has 4096 bytes, expected 9216"),
    "longer": (lambda path: os.truncate(path, 10_000), "is damaged: has 10000 bytes, expected 9216"),
    "another beginning": (lambda path: write(path, 0, b"x" * 99), "is damaged: it does not begin as"),
    "removed": (lambda path: path.unlink(), "is gone: it was removed"),
    "replaced": (lambda path: replace(path), "is gone: another file was put in its place"),
}


def write(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def replace(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    assert count_once(path) == 1


@pytest.mark.parametrize("kind", ["cut", "longer", "another beginning"])
def test_a_damaged_file_is_put_aside_for_a_new_one_and_told(
    path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage, problem = DAMAGE[kind]
    count_once(path)
    damage(path)
    left = path.read_bytes()
    assert [count_once(path), count_once(path)] == [1, 2]
    assert path.with_name("counters.damaged").read_bytes() == left
    [record] = caplog.records
    assert (record.levelname, record.getMessage().startswith(f"{URL}: {problem}")) == ("WARNING", True)
    assert record.getMessage().endswith("; a new file is begun, counters are 0 again")


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_to_an_open_file_is_seen_told_once_and_mended_by_a_new_one(
    path: Path, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugmw.stores.table.LOOK_EVERY", 0.0)
    damage, problem = DAMAGE[kind]
    before = len(os.listdir("/dev/fd"))
    stores = [FileStore(str(path), slots=BUCKET, timeout=0.5) for _ in range(2)]
    assert [store.incr("a") for store in stores] == [1, 2]
    damage(path)
    assert [store.incr("b") for store in (*stores, *stores)] == [1, 2, 3, 4]
    assert count_once(path) == (2 if kind == "replaced" else 1)
    told = [record.getMessage() for record in caplog.records]
    assert [problem in text for text in told] == ([] if kind == "replaced" else [True])
    for store in stores:
        store.close()
    assert len(os.listdir("/dev/fd")) == before


def test_a_folder_that_a_cleaner_has_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "plugmw"
    folder.mkdir(mode=0o700)
    store = FileStore(str(folder / "counters"), slots=BUCKET)
    store.set("a", b"1")
    assert store.incr("a") == 1
    shutil.rmtree(folder)
    store.set("a", b"2")  # also where nothing but values is asked for
    assert (store.get("a"), store.incr("a"), store.incr("a")) == (b"2", 1, 2)
    assert folder.stat().st_mode & 0o777 == 0o700
    store.close()


def test_a_folder_that_another_user_has_put_there_is_not_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugmw.stores.table.LOOK_EVERY", 0.0)
    store = FileStore(str(path), slots=BUCKET)
    assert store.incr("a") == 1
    path.unlink()
    lstat = os.lstat

    def foreign(name: str) -> os.stat_result:
        info = lstat(name)
        return os.stat_result((*info[:4], 12345, *info[5:])) if name == str(path.parent) else info

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", foreign)
        with pytest.raises(StoreError, match="is gone, and its folder is owned by uid 12345 by now"):
            store.incr("a")
    assert store.incr("a") == 1
    store.close()


def test_random_bytes_among_the_counters_are_damage_as_soon_as_they_are_in_the_way(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(str(path), slots=BUCKET)
    assert store.incr("a") == 1
    write(path, HEADER, random.Random(5).randbytes(BUCKET_BYTES))
    assert [store.incr(f"new{n}", ttl=60) for n in range(BUCKET)] == [1] * BUCKET
    assert ["it holds what is no counter" in record.getMessage() for record in caplog.records] == [True]
    store.close()


def test_a_file_cut_while_it_is_read_is_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugmw.stores.table.LOOK_EVERY", 1e9)
    store = FileStore(str(path), slots=BUCKET)
    assert store.incr("a") == 1
    os.truncate(path, HEADER)
    assert store.incr("a") == 1
    store.close()


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be opened"):
        count_once(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_is_refused(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(StoreError, match="is not a regular file"):
        count_once(path)


def test_a_world_writable_file_is_refused(path: Path) -> None:
    path.touch()
    path.chmod(0o666)
    with pytest.raises(StoreError, match="has mode 666, expected 600"):
        count_once(path)


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch(0o600)
    info = os.stat(path)
    foreign = os.stat_result((*info[:4], info.st_uid + 1, *info[5:]))
    monkeypatch.setattr(os, "geteuid", lambda: info.st_uid)
    with pytest.raises(StoreError, match=f"is owned by uid {info.st_uid + 1}, expected {info.st_uid}"):
        check_owner(foreign, URL)


def test_a_missing_folder_is_a_store_error(path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened: No such file"):
        count_once(path / "deeper")


def test_a_full_disk_is_a_store_error_and_no_crash(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StoreError, match="No space left on device"):
            count_once(path)
    assert count_once(path) == 1


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_zeros_are_written_where_the_file_system_cannot_reserve(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert count_once(path) == 1


def test_zeros_are_written_where_the_system_cannot_reserve(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    assert count_once(path) == 1


def test_a_header_that_stays_locked_is_a_store_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*args: object) -> None:
        raise BlockingIOError

    with monkeypatch.context() as patch:
        patch.setattr("plugmw.stores.table.lockf", held)
        with pytest.raises(StoreError, match="locked by another worker"):
            count_once(path)
    assert count_once(path) == 1
