"""Sockets that wait in a pool to be used again."""

from __future__ import annotations

import select
import socket


def has_news(sock: socket.socket) -> bool:
    """Say whether something is to be read on an idle connection: its end, or what nobody has asked for.

    Such a connection is closed, not used again: what waits on it would be taken for the next answer.
    """
    poll = select.poll()
    try:
        poll.register(sock, select.POLLIN)
    except ValueError:  # it is closed
        return True
    return bool(poll.poll(0))
