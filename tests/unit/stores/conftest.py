"""A clock that tests move, and Python in other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugmw.stores import Store, open_store
from tests.support.clock import Clock
from tests.support.servers import ROOT


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "file"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(kind: str, tmp_path: Path) -> str:
    return "memory://" if kind == "memory" else f"file://{tmp_path}/counters?slots=4096"


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    opened = open_store(store_url, clock=clock, timeout=5.0)
    yield opened
    opened.close()


@pytest.fixture
def advance(clock: Clock) -> Callable[[float], None]:
    """Let time pass."""
    return clock.advance


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python with some code and arguments, warnings being errors; killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, *map(str, args)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def output(python: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Run Python to its end and return what it printed; its failure is the test's."""

    def run(code: str, *args: object) -> str:
        process = python(code, *args)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out.strip()

    return run
