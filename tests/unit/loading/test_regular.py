"""What is no file is refused at once, and a file is read to its end."""

from __future__ import annotations

import os

import pytest

from plugmw.documents.files import read
from plugmw.errors import ConfigError, LoadError
from plugmw.loading import regular
from plugmw.loading.imports import load_file
from plugmw.loading.regular import read_regular
from plugmw.loading.watching import fingerprint


@pytest.fixture(params=["pipe", "zero", "folder"])
def nothing(request, tmp_path):
    """Something that is no file, under the name of a plugin."""
    path = tmp_path / "plugin.py"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "zero":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


def test_what_is_no_file_is_an_error_and_never_waited_for(nothing):
    with pytest.raises(OSError, match=r"Is not a regular file|Is a directory"):
        read_regular(nothing)
    with pytest.raises(LoadError, match=r"Is not a regular file|Is a directory"):
        load_file(nothing)


@pytest.mark.parametrize("kind", ["pipe", "zero"])
def test_neither_a_pipe_nor_a_device_has_a_fingerprint(tmp_path, kind):
    path = tmp_path / "file"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    assert fingerprint(str(path)) == ""


def test_a_file_is_read_whole_up_to_the_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(regular, "LARGEST", 1024)
    path = tmp_path / "file.json"
    path.write_bytes(b" " * 1022 + b"{}")
    assert len(read_regular(path)) == 1024
    path.write_bytes(b" " * 1023 + b"{}")
    with pytest.raises(OSError, match="Is larger than"):
        read_regular(path)
    with pytest.raises(ConfigError, match="cannot be read: is larger than"):
        read(str(path))


def test_a_fingerprint_is_of_every_byte_of_a_file_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(regular, "LARGEST", 10)
    monkeypatch.setattr(regular, "_STEP", 16)
    path = tmp_path / "file"
    path.write_bytes(b"a" * 100)
    before = fingerprint(str(path))
    path.write_bytes(b"a" * 99 + b"b")
    assert before not in ("", fingerprint(str(path)))


def test_no_descriptor_stays_open(nothing):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(OSError, match="Is"):
            read_regular(nothing)
    assert len(os.listdir("/proc/self/fd")) == before
