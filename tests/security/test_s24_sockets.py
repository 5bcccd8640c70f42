"""S24: sockets of plugin servers are ours alone, and what comes over them is measured before it is taken in.

The processes of isolated native functions are reached by a pair of sockets without a name, so that nobody
else can; their frames have the same limits.
"""

from __future__ import annotations

import ast
import os
import socket
import stat
import struct
import tempfile
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

import plugmw
from plugmw import ConfigError
from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.kong.servers import folders, pool
from plugmw.dialects.kong.servers.protobuf_rpc import ProtoBufRPC
from plugmw.dialects.kong.servers.settings import ServerConfig
from plugmw.dialects.kong.servers.wire import MAX_MESSAGE, Garbled, Late, Wire
from plugmw.dialects.prest import abi
from plugmw.schema import build

MIB = 1024 * 1024


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def temporary(monkeypatch):
    """A folder with a short name that stands for the temporary folder."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s24-") as folder:
        monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: folder)
        yield Path(folder)


@pytest.fixture
def listener(tmp_path):
    """A socket in a folder that is ours alone."""
    tmp_path.chmod(0o700)
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)
        one.listen()
        yield path


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_s24_a_folder_is_made_for_us_alone_whatever_the_umask(open_umask, temporary):
    made = folders.private_folder("x")
    assert Path(made).is_relative_to(temporary)
    assert [mode(path) for path in (made, os.path.dirname(made))] == [0o700, 0o700]


def taken(name, where):
    """Make what somebody may have put where our folder is to be."""
    path = where / f"plugmw-{os.geteuid()}"
    if name == "open to others":
        path.mkdir()
        path.chmod(0o755)
    elif name == "a link to a folder of ours":
        (where / "ours").mkdir(mode=0o700)
        path.symlink_to(where / "ours")
    elif name == "a link to nothing":
        path.symlink_to(where / "nothing")
    elif name == "a file":
        path.touch(mode=0o600)


@pytest.mark.parametrize(
    "name", ["open to others", "a link to a folder of ours", "a link to nothing", "a file"]
)
def test_s24_a_folder_that_somebody_made_before_us_is_not_used(name, temporary):
    taken(name, temporary)
    with pytest.raises(PermissionError, match="is not a folder of this user alone"):
        folders.private_folder("x")


def test_s24_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.mkdir(mode=0o700)
    monkeypatch.setattr(folders.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="is not a folder of this user alone"):
        folders.make_private(str(path))


def test_s24_our_own_socket_is_connected_to(listener):
    sock, peer = pool.connect(listener, 1)
    sock.close()
    assert peer is None or peer[0] == os.getpid()


def test_s24_a_socket_of_another_user_is_not(listener, monkeypatch):
    theirs = SimpleNamespace(st_mode=stat.S_IFSOCK | 0o600, st_uid=os.getuid() + 1)
    monkeypatch.setattr(pool.os, "lstat", lambda path: theirs)
    with pytest.raises(PermissionError, match="belongs to another user"):
        pool.connect(listener, 1)


def test_s24_nor_one_behind_which_another_user_listens(listener, monkeypatch):
    theirs = SimpleNamespace(size=pool._UCRED.size, unpack=lambda data: (1, os.getuid() + 1, 1))
    monkeypatch.setattr(pool, "_UCRED", theirs)
    with pytest.raises(PermissionError, match="the process behind the socket belongs to another user"):
        pool.connect(listener, 1)


@pytest.mark.parametrize("open_to", [0o020, 0o002, 0o022])
def test_s24_nor_one_in_a_folder_where_others_can_put_another(listener, open_to):
    os.chmod(os.path.dirname(listener), 0o700 | open_to)
    with pytest.raises(PermissionError, match="in a folder that other users can write to"):
        pool.connect(listener, 1)
    os.chmod(os.path.dirname(listener), 0o1700 | open_to)
    pool.connect(listener, 1)[0].close()


def test_s24_nor_a_link_to_one(listener, tmp_path):
    (tmp_path / "link").symlink_to(listener)
    with pytest.raises(FileNotFoundError, match="is no socket"):
        pool.connect(str(tmp_path / "link"), 1)


@pytest.mark.slow
def test_s24_abstract_sockets_are_neither_made_nor_asked(tmp_path):
    # They have no owner and no mode: any process of the network namespace could have been first.
    for name in ("\0name", "a\0b"):
        with pytest.raises(ConfigError, match="expected the path of a socket"):
            build(ServerConfig, {"name": "p", "query_cmd": "x", "socket": name}, "servers")
    with pytest.raises(FileNotFoundError):
        pool.connect("@name", 1)
    for path in Path(plugmw.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text if "AF_UNIX" in text else "")):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".bind", ".connect")):
                assert not any(ast.unparse(one).startswith(("'\\x00", "b'\\x00")) for one in node.args), path


# -- frames ----------------------------------------------------------------------------------------------


@pytest.fixture
def wire():
    """A connection, and the server's end of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Wire(ours, 0.2), theirs


@pytest.mark.parametrize("size", [MAX_MESSAGE + 1, 2 * 1024 * MIB, 0xFFFFFFFF])
def test_s24_a_frame_that_is_too_long_is_refused_before_memory_is_taken(wire, size):
    connection, theirs = wire
    theirs.sendall(struct.pack("<I", size) + b"x" * 100)
    tracemalloc.start()
    try:
        with pytest.raises(Garbled, match=f"a frame of {size} bytes, expected at most {16 * MIB}"):
            ProtoBufRPC(connection).start("p", "{}", Deadline(1e9))
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_s24_a_frame_that_does_not_come_costs_what_has_come(wire):
    connection, theirs = wire
    theirs.sendall(struct.pack("<I", MAX_MESSAGE) + b"x" * 100)
    tracemalloc.start()
    try:
        with pytest.raises(Late):
            ProtoBufRPC(connection).start("p", "{}", Deadline(1e9))
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a field", "the number of fields"])
def test_s24_frames_of_isolated_functions_are_measured_too(name):
    ours, theirs = socket.socketpair()
    head = struct.pack("!I", 0xFFFFFFFF) * 2
    with ours, theirs:
        sender = threading.Thread(target=theirs.sendall, args=(head + b"x" * 1000,))
        sender.start()
        tracemalloc.start()
        try:
            with pytest.raises((ValueError, EOFError, TimeoutError)) as caught:
                abi.receive(ours, 4, MIB, Deadline(1e9).left_or_raise)
            assert caught.type is ValueError
            assert tracemalloc.get_traced_memory()[1] < MIB
        finally:
            tracemalloc.stop()
            sender.join()
