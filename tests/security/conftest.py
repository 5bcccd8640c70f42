"""Servers that the tests of several traps share: one of each kind is started, and only if it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.security.gates import WORKERS, Gate, start
from tests.support.servers import start_gunicorn
from tests.unit.conftest import no_authorities as no_authorities


@pytest.fixture(scope="session")
def _gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gate]]:
    started: dict[str, Gate] = {}
    yield started
    for gate in started.values():
        gate.server.stop()


@pytest.fixture(params=WORKERS)
def gate(
    request: pytest.FixtureRequest, _gates: dict[str, Gate], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """The gateway of :mod:`tests.security.gates` under each of gunicorn's kinds of workers."""
    kind = request.param
    if kind not in _gates:
        folder = tmp_path_factory.mktemp("gate")
        _gates[kind] = start(folder, lambda app, **options: start_gunicorn(folder, app, **options), kind)
    return _gates[kind]
