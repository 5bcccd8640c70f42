"""One part of the stress in a process of its own.

outcome = run("crowds", "greenlets", turns=20)
outcome.asked, outcome.wrong
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from tests.support.servers import ROOT

#: How many of each ask at once.
CROWD: Final = {"threads": 32, "greenlets": 200}
#: Seconds between two switches of threads, where Python allows itself 0.005.
SWITCH: Final = 1e-6
#: The parts, each a module here, and the kinds of crowds it is for.
PARTS: Final = {
    "crowds": ("threads", "greenlets"),
    "reloads": ("threads", "greenlets"),
    "forks": ("threads",),
    "damage": ("threads",),
}
#: What is told of the things that are wrong.
TOLD: Final = 5


@attrs.define
class Outcome:
    """How many requests there were, and what was wrong."""

    asked: int = 0
    wrong: list[str] = attrs.Factory(list)


@attrs.define
class Stress:
    """What the threads of a part share."""

    kind: str
    turns: int
    folder: Path
    outcome: Outcome = attrs.Factory(Outcome)
    lock: Any = attrs.Factory(threading.Lock)

    @property
    def size(self) -> int:
        """How many there are in the crowd."""
        return CROWD[self.kind]

    def note(self, problem: str | None = None, asked: int = 0) -> None:
        """Count requests, and take down what was wrong."""
        with self.lock:
            self.outcome.asked += asked
            if problem and len(self.outcome.wrong) < TOLD:
                self.outcome.wrong.append(problem)

    def expect(self, what: str, value: object, wanted: object) -> None:
        """Take down a value that is not what it should be."""
        if value != wanted:
            self.note(f"{what}: got {value!r}, expected {wanted!r}")

    @contextmanager
    def crowd(self, work: Callable[[int], None]) -> Iterator[None]:
        """Run ``work(number)`` in the whole crowd, from one moment on, until all have ended."""
        together = threading.Barrier(self.size)

        def one(number: int) -> None:
            together.wait()
            try:
                work(number)
            except BaseException as error:
                self.note(f"{number}: {error!r}")

        threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(self.size)]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()


def run(part: str, kind: str, turns: int, seconds: float = 3600.0) -> Outcome:
    """Run a part; raises if its process dies, or takes longer than so many seconds."""
    command = [sys.executable, "-m", "tests.stress.running", part, kind, str(turns)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, timeout=seconds, check=True)
    return Outcome(**json.loads(done.stdout))


def pause() -> None:
    """Let others run."""
    time.sleep(0)


def descriptors() -> set[str]:
    """Return what is open in this process, as far as it is a file or a socket."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:  # that of the listing
            continue
    return {each for each in found if "anon_inode" not in each}  # gevent's own


def main(part: str, kind: str, turns: str) -> None:
    """Run a part in this process, and print what came out as JSON."""
    if kind == "greenlets":
        from gevent import monkey

        monkey.patch_all()
    else:
        sys.setswitchinterval(SWITCH)
    errors = _Errors()
    logging.basicConfig(level=logging.ERROR, handlers=[errors])
    module = importlib.import_module(f"tests.stress.{part}")
    module.prepare()
    before = descriptors()
    with tempfile.TemporaryDirectory(prefix="plugmw-stress-") as folder:
        stress = Stress(kind, int(turns), Path(folder))
        module.stress(stress)
        gc.collect()
        stress.expect("left open", sorted(descriptors() - before), [])
    if stress.outcome.wrong:
        stress.outcome.wrong += [f"logged {count} times: {text}" for text, count in errors.counts.items()]
    print(json.dumps(attrs.asdict(stress.outcome)))


class _Errors(logging.Handler):
    """Counts what is logged, the first few of them, to say why something is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = f"{record.name}: {record.msg} {error!r}"
        if text in self.counts or len(self.counts) < TOLD:
            self.counts[text] = self.counts.get(text, 0) + 1


if __name__ == "__main__":
    main(*sys.argv[1:])
