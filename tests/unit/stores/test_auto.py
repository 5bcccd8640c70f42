from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from plugmw.concurrency import process
from plugmw.concurrency.process import started_at
from plugmw.errors import ConfigError
from plugmw.stores import auto, auto_url, open_store


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def file_of(url: str) -> Path:
    return Path(url.removeprefix("file://"))


def test_a_single_process_counts_in_memory(temporary: Path) -> None:
    assert auto_url(False) == "memory://"
    assert os.listdir(temporary) == []


def test_several_processes_share_a_file_named_after_their_parent(temporary: Path) -> None:
    file = file_of(auto_url(True))
    assert file.parent == temporary / f"plugmw-{os.geteuid()}"
    assert file.name.startswith(f"workers-{os.getppid()}-")


def test_the_url_can_be_opened_in_a_folder_with_any_name(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = temporary / "a b?c%20"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    store = open_store(auto_url(True))
    assert store.incr("a") == 1
    store.close()


def test_the_folder_is_private(temporary: Path) -> None:
    assert auto.private_folder().stat().st_mode & 0o777 == 0o700


def test_a_folder_open_to_others_is_refused(temporary: Path) -> None:
    auto.private_folder().chmod(0o750)
    with pytest.raises(ConfigError, match="is not a folder with mode 700 of this user, expected TMPDIR"):
        auto_url(True)


def test_a_folder_of_another_user_is_refused(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    (temporary / f"plugmw-{uid}").mkdir(0o700)
    with pytest.raises(ConfigError, match="of this user"):
        auto_url(True)


def test_a_planted_link_is_refused(temporary: Path) -> None:
    (temporary / "mine").mkdir(0o700)
    (temporary / f"plugmw-{os.geteuid()}").symlink_to(temporary / "mine")
    with pytest.raises(ConfigError, match="of this user"):
        auto_url(True)


def test_a_temporary_folder_that_is_missing_is_named(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    with pytest.raises(ConfigError, match=r"cannot make '.*missing.*': No such file"):
        auto_url(True)


def test_a_system_without_file_locks_is_told_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid")
    with pytest.raises(ConfigError, match="no file locks, expected memory:// or redis://"):
        auto_url(True)


def leave(pid: int, started: str | None = None) -> list[Path]:
    """Write what the workers of a server leave behind."""
    name = f"workers-{pid}-{started or started_at(pid)}-{auto._namespace()}.table"
    files = [auto.private_folder() / (name + end) for end in ("", ".db", ".db-wal", ".db-shm")]
    for file in files:
        file.touch()
    return files


def remaining(files: list[Path]) -> int:
    return sum(file.exists() for file in files)


def test_files_of_a_server_that_is_gone_are_removed() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    files = leave(gone.pid)
    auto_url(True)
    assert remaining(files) == 0


def test_files_of_a_server_whose_pid_came_again_are_removed() -> None:
    files = leave(os.getpid(), "1")
    auto_url(True)
    assert remaining(files) == 0


def test_files_of_a_running_server_stay() -> None:
    files = leave(os.getpid())
    auto_url(True)
    assert remaining(files) == 4


def test_files_of_a_running_server_of_another_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    files = leave(os.getpid())
    monkeypatch.setattr(os, "kill", refuse)
    auto_url(True)
    assert remaining(files) == 4


def test_files_of_another_container_stay() -> None:
    file = auto.private_folder() / "workers-1-1-123.table"
    file.touch()
    auto_url(True)
    assert file.exists()


def test_files_of_others_in_the_folder_stay() -> None:
    file = auto.private_folder() / f"workers-x-1-{auto._namespace()}.table"
    file.touch()
    auto_url(True)
    assert file.exists()


def test_a_system_without_proc_names_files_by_pid_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **named: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(process, "open", missing, raising=False)
    monkeypatch.setattr(os, "readlink", missing)
    assert file_of(auto_url(True)).name == f"workers-{os.getppid()}-0-0.table"
