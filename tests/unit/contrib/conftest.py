"""Gateways and folders of the tests of plugins, gone after the test."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from plugmw.testing import gateway


@pytest.fixture
def serve():
    """Put plugins into gateways that are stopped after the test."""
    started = []

    def start(*plugins, **config):
        started.append(gateway(*plugins, **config))
        return started[-1]

    yield start
    for wrapped in started:
        wrapped.stop()


@pytest.fixture
def folder():
    """A folder with a short path, as unix sockets need."""
    path = Path(tempfile.mkdtemp(prefix="plugmw-"))
    yield path
    shutil.rmtree(path)
