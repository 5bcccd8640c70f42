"""The connection to the supervisor: what is left when it cannot be made."""

from __future__ import annotations

import socket

import pytest

from plugmw.dialects.kong.servers import supervisor_client
from plugmw.dialects.kong.servers.supervisor_client import SupervisorClient


def test_without_a_thread_to_listen_in_nothing_is_open_and_the_next_start_tries_again(tmp_path, monkeypatch):
    connections, left = [], [False, True]

    def connect(self):
        ours, theirs = socket.socketpair()
        connections.append((ours, theirs))
        return ours

    class Scarce(supervisor_client.Daemon):
        def start(self):
            if not left.pop(0):
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(SupervisorClient, "_connect", connect)
    monkeypatch.setattr(supervisor_client, "Daemon", Scarce)
    client = SupervisorClient([], str(tmp_path), lambda *line: None)
    with pytest.raises(OSError, match=r"^no thread for the supervisor: can't start new thread$"):
        client.start()
    assert (client._socket, client._thread, connections[0][0].fileno()) == (None, None, -1)
    client.start()
    assert client._socket is connections[1][0]
    client.stop()
    client._thread.join(5)
    assert not client._thread.is_alive()
    for _, theirs in connections:
        theirs.close()
