"""Files that lines are appended to."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from plugmw.telemetry.sinks.files import Files


@pytest.fixture
def files():
    made = Files()
    yield made
    made.close()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "log")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_lines_are_appended_and_the_file_made_with_its_mode(files, path):
    files.append(path, b"a\n", 0o600)
    files.append(path, b"b\n", 0o600)
    assert read(path) == b"a\nb\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_without_reopen_a_moved_file_is_written_on(files, path):
    files.append(path, b"a\n", 0o600)
    os.rename(path, path + ".1")
    files.append(path, b"b\n", 0o600)
    assert (read(path + ".1"), os.path.exists(path)) == (b"a\nb\n", False)


def test_with_reopen_a_moved_file_is_made_anew_for_every_entry(files, path):
    files.append(path, b"a\n", 0o600)
    os.rename(path, path + ".1")
    files.append(path, b"b\n", 0o600, reopen=True)
    files.append(path, b"c\n", 0o600)
    assert (read(path + ".1"), read(path)) == (b"a\n", b"b\nc\n")


def test_a_closed_file_is_opened_again(files, path):
    files.append(path, b"a\n", 0o600)
    files.close()
    files.append(path, b"b\n", 0o600)
    assert read(path) == b"a\nb\n"


def test_a_forked_child_does_not_wait_for_the_parents_lock(files, path):
    files.append(path, b"a\n", 0o600)
    files._lock.get().acquire()
    files._lock.after_fork()  # as in a child
    files.append(path, b"b\n", 0o600)
    assert read(path) == b"a\nb\n"


PLACES = {
    "a missing folder": ("missing/log", "No such file or directory"),
    "a folder": ("", "Is a directory"),
    "a name with a NUL": ("a\0b", "embedded null"),
}


@pytest.mark.parametrize(("name", "reason"), PLACES.values(), ids=PLACES)
def test_what_cannot_be_opened_is_told(files, tmp_path, name, reason):
    with pytest.raises(OSError, match=f"failed to open the file: {reason}"):
        files.append(str(tmp_path / name) + ("/" if not name else ""), b"a\n", 0o600)


def test_a_file_beside_the_program_has_a_folder_too(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.append("log", b"a\n", 0o600)
    assert read("log") == b"a\n"


def test_a_link_is_followed_only_where_not_everybody_can_make_one(files, tmp_path):
    for name, mode in (("own", 0o755), ("shared", 0o777)):
        (tmp_path / name).mkdir()
        os.chmod(tmp_path / name, mode)
        os.symlink(tmp_path / f"target-{name}", tmp_path / name / "log")
    files.append(str(tmp_path / "own/log"), b"a\n", 0o600)
    with pytest.raises(OSError, match="failed to open the file: Too many levels of symbolic links"):
        files.append(str(tmp_path / "shared/log"), b"a\n", 0o600)
    assert read(tmp_path / "target-own") == b"a\n"
    assert not (tmp_path / "target-shared").exists()


def test_a_device_is_a_file(files):
    files.append("/dev/null", b"a\n", 0o600, reopen=True)


def test_a_full_disk_is_told(files):
    with pytest.raises(OSError, match="failed to write to the file: No space left on device"):
        files.append("/dev/full", b"a\n", 0o600)


def test_a_fifo_without_a_reader_holds_up_nobody(files, path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="failed to open the file: No such device or address"):
        files.append(path, b"a\n", 0o600)


@pytest.fixture
def breaking_off(monkeypatch):
    """Make each write end after two bytes, as on a disk that is nearly full, and call ``then`` after it."""
    write = os.write

    def patch(then=int):
        monkeypatch.setattr(os, "write", lambda file, data: (write(file, data[:2]), then())[0])

    return patch


def test_a_line_that_breaks_off_is_taken_back(files, path, breaking_off, monkeypatch):
    files.append(path, b"0\n", 0o600)
    breaking_off()
    with pytest.raises(OSError, match="2 of 5 bytes were written"):
        files.append(path, b"long\n", 0o600)
    monkeypatch.undo()
    # Another process, which knows nothing of it.
    Files().append(path, b"a\n", 0o600)
    files.append(path, b"b\n", 0o600)
    assert read(path) == b"0\na\nb\n"


def test_a_line_that_breaks_off_stays_in_a_pipe(files, tmp_path, breaking_off, monkeypatch):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    breaking_off()
    with pytest.raises(OSError, match="2 of 5 bytes were written"):
        files.append(path, b"long\n", 0o600)
    monkeypatch.undo()
    assert os.read(reader, 10) == b"lo"
    os.close(reader)


def test_a_line_after_one_that_broke_off_begins_on_its_own(files, path, breaking_off, monkeypatch):
    """It cannot be taken back when another process has written behind it."""
    breaking_off(lambda: os.truncate(path, 3))
    with pytest.raises(OSError, match="2 of 5 bytes were written"):
        files.append(path, b"long\n", 0o600)
    os.truncate(path, 2)
    monkeypatch.undo()
    files.append(path, b"a\n", 0o600, reopen=True)
    files.append(path, b"b\n", 0o600)
    assert read(path) == b"lo\na\nb\n"


def test_a_new_file_does_not_begin_with_an_empty_line(files, path, breaking_off, monkeypatch):
    breaking_off(lambda: os.truncate(path, 3))
    with pytest.raises(OSError):
        files.append(path, b"long\n", 0o600)
    monkeypatch.undo()
    os.unlink(path)
    files.append(path, b"a\n", 0o600, reopen=True)
    assert read(path) == b"a\n"


def test_lines_of_many_threads_stay_whole(files, path):
    def write(number):
        for turn in range(100):
            files.append(path, b"%d" % number * 4000 + b"\n", 0o600, reopen=turn % 3 == 0)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = read(path).splitlines()
    assert sorted(lines) == sorted(b"%d" % number * 4000 for number in range(8) for _ in range(100))
