"""Connections that wait to be used again."""

from __future__ import annotations

import socket

import pytest

from plugmw.concurrency.sockets import has_news


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_quiet_connection_has_no_news(ends):
    assert not has_news(ends[0])


def test_bytes_that_nobody_asked_for_are_news(ends):
    ends[1].sendall(b"late")
    assert has_news(ends[0])
    assert ends[0].recv(9) == b"late"


def test_its_end_is_news(ends):
    ends[1].close()
    assert has_news(ends[0])


def test_a_closed_one_cannot_be_used_again(ends):
    ends[0].close()
    assert has_news(ends[0])
