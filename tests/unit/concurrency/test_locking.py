from __future__ import annotations

import os
import stat
import time

import pytest

from plugmw.concurrency.locking import acquire, locked


def test_one_holds_the_lock_and_the_next_gets_it_then(tmp_path):
    path = tmp_path / "lock"
    with locked(path), pytest.raises(BlockingIOError):
        acquire(path, wait=0)
    with locked(path, wait=0) as file:
        assert os.fstat(file).st_ino == path.stat().st_ino


def test_the_file_is_created_with_its_mode_and_keeps_what_is_in_it(tmp_path):
    path = tmp_path / "lock"
    with locked(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"a")
    with locked(path):
        assert path.read_bytes() == b"a"


@pytest.mark.slow
def test_who_waits_tries_again_until_the_time_is_over(tmp_path):
    path, slept = tmp_path / "lock", []

    def sleep(seconds):
        slept.append(seconds)
        time.sleep(seconds)

    with locked(path), pytest.raises(BlockingIOError):
        acquire(path, wait=0.2, sleep=sleep)
    assert slept


def test_who_waits_gets_the_lock_once_it_is_free(tmp_path):
    path = tmp_path / "lock"
    first = acquire(path)
    os.close(acquire(path, wait=60, sleep=lambda seconds: os.close(first)))


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        acquire(tmp_path / "none" / "lock")
