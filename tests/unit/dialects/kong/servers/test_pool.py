"""The connections to a plugin server that wait to be used again."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import msgpack
import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.kong.servers.msgpack_rpc import MsgPackRPC
from plugmw.dialects.kong.servers.pool import Pool
from plugmw.dialects.kong.servers.protobuf_rpc import ProtoBufRPC
from tests.support.servers import PATIENCE


@pytest.fixture
def server(tmp_path):
    """A listening socket, and a function that takes the next connection."""
    path = str(tmp_path / "p.socket")
    taken = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()
        listening.settimeout(PATIENCE)

        def accept():
            taken.append(listening.accept()[0])
            return taken[-1]

        yield SimpleNamespace(path=path, accept=accept)
        for one in taken:
            one.close()


def pool_of(server, protocol=ProtoBufRPC):
    return Pool(lambda: server.path, protocol, PATIENCE, PATIENCE)


def soon():
    return Deadline.after(PATIENCE)


def test_a_quiet_connection_is_used_again(server):
    pool = pool_of(server)
    connection = pool.take(soon())
    server.accept()
    pool.give(connection)
    assert pool.take(soon()) is connection
    pool.discard(connection)


@pytest.mark.parametrize("protocol", [ProtoBufRPC, MsgPackRPC])
def test_a_connection_on_which_a_call_came_late_is_closed(server, protocol):
    pool = pool_of(server, protocol)
    connection = pool.take(soon())
    theirs = server.accept()
    pool.give(connection)
    theirs.sendall(b"\x1a\0\0\0kong.response.set_header")
    other = pool.take(soon())
    assert other is not connection
    assert connection.wire.sock.fileno() == -1
    # The server is the same process, with the same instances.
    assert other.wire.epoch == connection.wire.epoch
    pool.discard(other)


@pytest.mark.parametrize(
    ("protocol", "late"),
    [(ProtoBufRPC, b"\x01\0\0\0x"), (MsgPackRPC, msgpack.packb([0, 1, "late", []]))],
)
def test_a_connection_that_has_read_more_than_its_answer_is_closed(server, protocol, late):
    pool = pool_of(server, protocol)
    connection = pool.take(soon())
    theirs = server.accept()
    answer = b"\0\0\0\0" if protocol is ProtoBufRPC else msgpack.packb([2, "notice", []])
    theirs.sendall(answer + late)
    if protocol is ProtoBufRPC:
        assert connection._frame() == b""
    else:
        assert connection._read(connection.wire.receive()) == [2, "notice", []]
    pool.give(connection)
    assert connection.wire.sock.fileno() == -1


def test_a_connection_that_its_server_closed_is_closed(server):
    pool = pool_of(server)
    connection = pool.take(soon())
    theirs = server.accept()
    pool.give(connection)
    theirs.close()
    other = pool.take(soon())
    assert other is not connection
    assert connection.wire.sock.fileno() == -1
    pool.discard(other)
