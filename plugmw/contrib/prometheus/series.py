"""Numbers that only grow, kept by each process of a server and added up when somebody asks.

Each process has a file of its own in a folder they share, written by prometheus-client's file-backed values,
so that a number costs microseconds and survives a ``kill -9``. Who asks adds up all files; those of
processes that have ended are put together into one, so that they do not pile up. A server of one process
keeps its numbers in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, Final

from prometheus_client import mmap_dict

from plugmw.concurrency.locking import acquire, locked
from plugmw.concurrency.process import is_alive
from plugmw.contrib.prometheus.exposition import Metric, amounts
from plugmw.events import QUEUE_DROPPED, RELOADS, SERVER_RESTARTS, STORE_ERRORS, UPSTREAM_FAILURES
from plugmw.kernel.runtime import Runtime
from plugmw.stores.auto import _name, _namespace, private_folder

#: Series of one metric in one process; what comes above goes into :data:`DROPPED`.
MOST: Final = 10_000
DROPPED: Final = Metric("plugmw_series_dropped_total", "counter", "Observations above the limit of series")
#: What is told of by :mod:`plugmw.events`.
HAPPENED: Final = {
    RELOADS: Metric("plugmw_reload_total", "counter", "Reloads of a worker's configuration", ("result",)),
    STORE_ERRORS: Metric("plugmw_store_errors_total", "counter", "Calls of stores that failed"),
    QUEUE_DROPPED: Metric(
        "plugmw_queue_dropped_total", "counter", "Log entries that never reached their sink", ("sink",)
    ),
    SERVER_RESTARTS: Metric(
        "plugmw_pluginserver_restarts_total", "counter", "Starts of plugin servers after the first"
    ),
    UPSTREAM_FAILURES: Metric(
        "plugmw_upstream_failures_total", "counter", "Requests that a service did not answer", ("reason",)
    ),
}
_Dict: Any = mmap_dict.MmapedDict
#: The numbers of processes that have ended, and the files that are in it already.
_ENDED: Final = "ended.json"
_LOCK: Final = "lock"


class Series:
    """The numbers of this process, in ``folder`` or (None) in memory. Thread-safe."""

    def __init__(self, folder: Path | None) -> None:
        self.closed = False
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, set[tuple[str, ...]]] = {}
        self._memory: Counter[str] = Counter()
        if folder is None:
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._own = folder / f"{uuid.uuid4().hex}.db"
        with locked(folder / _LOCK):
            self._file = _Dict(str(self._own))
            # Held until the process ends, however it ends: so others see that the file still grows.
            self._held = acquire(self._own)

    def record(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 1.0) -> None:
        """Add to a counter, or an observation to a histogram. Costs microseconds."""
        with self._lock:
            if self.closed:
                return
            known = self._known.setdefault(metric.name, set())
            if labels not in known:
                if len(known) >= MOST:
                    metric, labels, value = DROPPED, (), 1.0
                else:
                    known.add(labels)
            for key, amount in amounts(metric, labels, value):
                if self._folder is None:
                    self._memory[key] += amount  # type: ignore[assignment]
                else:
                    self._file.write_value(key, self._file.read_value(key)[0] + amount, 0.0)

    def totals(self) -> dict[str, float]:
        """Return the numbers of all processes together, those that have ended included."""
        if self._folder is None:
            with self._lock:
                return dict(self._memory)
        return totals(self._folder)

    def close(self) -> None:
        """Write no more. The numbers stay."""
        with self._lock:
            if not self.closed and self._folder is not None:
                self._file.close()
                os.close(self._held)
            self.closed = True


def totals(folder: Path) -> dict[str, float]:
    """Add up the numbers in a folder; files whose process has ended are put together."""
    with locked(folder / _LOCK):
        ended, included = _read_ended(folder)
        sums, gone = Counter(ended), []
        for path in folder.glob("*.db"):
            if path.name in included:
                path.unlink()
                continue
            # Before it is read: one whose process ends only now is put together the next time.
            dead = _is_dead(path)
            values = _read(path)
            sums.update(values)
            if dead:
                ended.update(values)
                gone.append(path)
        if gone:
            _write_ended(folder, ended, [path.name for path in gone])
        for path in gone:
            path.unlink()
        return dict(sums)


def _read_ended(folder: Path) -> tuple[Counter[str], set[str]]:
    try:
        found = json.loads((folder / _ENDED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Counter(), set()
    return Counter(found["values"]), set(found["files"])


def _write_ended(folder: Path, values: Counter[str], files: list[str]) -> None:
    """Replace the file in one step; the names in it keep a crash right after from counting twice."""
    new = folder / f"{_ENDED}.new"
    new.write_text(json.dumps({"values": values, "files": files}), encoding="utf-8")
    new.replace(folder / _ENDED)


def _is_dead(path: Path) -> bool:
    try:
        with locked(path, wait=0):
            return True
    except OSError:
        return False


def _read(path: Path) -> Counter[str]:
    """Return the numbers in a file; one whose process was killed in its first moment has none."""
    try:
        return Counter({key: value for key, value, _, _ in _Dict.read_all_values_from_file(str(path))})
    except (struct.error, RuntimeError):
        return Counter()


# -- the series of a gateway -----------------------------------------------------------------------------


def series_of(runtime: Runtime, folder: str | None = None) -> Series:
    """Return the series of a gateway in this process. To be called after the fork.

    Shared by the processes of a server in ``folder``, in PROMETHEUS_MULTIPROC_DIR, or in a private one.
    They outlive a reload of the gateway.
    """

    def listening() -> Series:
        series = Series(_folder(folder, bool(runtime.multiprocess)))

        def take(name: str, label: str, amount: int) -> bool:
            if not series.closed:
                metric = HAPPENED[name]
                series.record(metric, (label,) if metric.labels else (), amount)
            return not series.closed

        runtime.events.listen(take)
        return series

    return runtime.lasting("series", listening)


def _folder(configured: str | None, multiprocess: bool) -> Path | None:
    folder = configured or os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder:
        # Below it: what is in the folder itself belongs to prometheus-client.
        return Path(folder, "plugmw")
    if not multiprocess:
        return None
    base = private_folder()
    for old in base.glob(f"metrics-*-{_namespace()}"):
        pid = int(old.name.split("-")[1])
        if not is_alive(pid) or old.name != _server(pid):
            shutil.rmtree(old, ignore_errors=True)
    return base / _server(os.getppid())


def _server(pid: int) -> str:
    return _name(pid).replace("workers-", "metrics-").removesuffix(".table")
