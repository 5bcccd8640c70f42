"""Fixtures for every test; the code behind them is in ``tests/support``."""

from __future__ import annotations

import atexit
import gc
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fetched import cache
from tests.support.servers import Server, start_gunicorn


def _use_own_temporary_folder(worker: str) -> None:
    """Give this process of a parallel run a temporary folder of its own.

    Stores, metrics and sockets of plugin servers stand in the temporary folder, under names that all children
    of one process share: meant for the workers of a server, but true of the processes of a parallel run.
    What is fetched and built once per machine stays shared.
    """
    os.environ["PLUGMW_TEST_CACHE"] = str(cache())
    folder = tempfile.mkdtemp(prefix=f"plugmw-{worker}-")
    os.chmod(folder, 0o711)  # PostgreSQL runs as another user where the tests are root's, in a folder below
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _limit_memory() -> None:
    """Make what takes memory without end a MemoryError with its place; else the system kills a process."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY if most < 0 else min(MEMORY, most), most))


#: Bytes of data of one process, and of each that it starts: no test needs a tenth of them.
MEMORY = 8 * 2**30
if sys.platform == "linux":
    _limit_memory()
if "long" in (os.environ.get("PLUGMW_TESTS"), os.environ.get("PLUGMW_FUZZ")):
    os.environ.setdefault("PYTEST_TIMEOUT", "0")  # the long forms take as long as they need
if "PYTEST_XDIST_WORKER" in os.environ:
    _use_own_temporary_folder(os.environ["PYTEST_XDIST_WORKER"])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``--share N/M``: run the N-th of M shares of the files, about equally large."""
    parser.addoption(
        "--share", help="which share of the files to run, as 1/2; the others run in other processes"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say which files are another process's."""
    share = config.getoption("--share")
    if share:
        number, shares = map(int, share.split("/"))
        _use_own_temporary_folder(f"share{number}")
        config.stash[_OTHERS] = _files_of_others(config, number, shares)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of other processes: they are not even imported."""
    return True if collection_path in config.stash.get(_OTHERS, ()) else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name what failed at once where many processes run: the whole is told at the end, if that comes."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        reason = getattr(getattr(report.longrepr, "reprcrash", None), "message", "").partition("\n")[0]
        print(f"\nFAILED {report.nodeid} ({report.when}): {reason[:300]}", flush=True)


_OTHERS = pytest.StashKey[set[Path]]()


def _files_of_others(config: pytest.Config, number: int, shares: int) -> set[Path]:
    """Divide the files of the run by size: longer ones have more tests, which is near enough."""
    files = {
        file for name in config.args for file in Path(name.partition("::")[0]).absolute().rglob("test_*.py")
    }
    filled = [0] * shares
    others = set()
    for size, file in sorted(((file.stat().st_size, file) for file in files), reverse=True):
        least = filled.index(min(filled))
        filled[least] += size
        if least + 1 != number:
            others.add(file)
    return others


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect thousands of tests without looking for garbage among them, then or later.

    Looking is over a third of what collecting costs, and each ``gc.collect()`` of a test would look at all
    of them again.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def _starter(folder: Callable[[], Path]) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(app: str, **options: Any) -> Server:
        server = start_gunicorn(folder(), app, **options)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start real gunicorn servers: ``gunicorn(app, workers=1, worker_class="sync", args=(), env=None)``.

    ``app`` is ``module:attr`` or the source of a module that defines ``app``; see
    :func:`tests.support.servers.start_gunicorn`. Each has a folder of its own and is stopped after the test.
    """
    yield from _starter(lambda: tmp_path_factory.mktemp("gunicorn"))


@pytest.fixture(scope="module")
def gunicorn_for_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """As ``gunicorn``, but the servers live until the end of the test file; for module-scoped fixtures."""
    yield from _starter(lambda: tmp_path_factory.mktemp("gunicorn"))
