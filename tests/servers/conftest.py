"""Each server once for all tests of this folder that ask it, with sinks for what its log plugins send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.served import DATA
from tests.servers.servers import NAMES, Running, serving
from tests.support.sinks import http_sink, tcp_sink


@pytest.fixture(scope="module")
def sinks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Receive whatever log plugins send, and look at none of it."""
    with tcp_sink() as tcp, http_sink() as http, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        yield {"tcp": tcp.port, "http": http.port, "udp": udp.getsockname()[1]}


@pytest.fixture(scope="module", params=NAMES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sinks: dict[str, Any]
) -> Iterator[Running]:
    """A server of each kind, in turn; ``server.name`` is which."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "data").write_bytes(DATA)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(folder / "syslog"))
        with serving(request.param, folder, sinks) as running:
            yield running
