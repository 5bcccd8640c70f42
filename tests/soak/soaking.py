"""The soak itself: legs of requests against one gunicorn, and what its workers hold after each.

outcome = soak(folder, "gthread", Plan(requests=1_000_000))
outcome.problems()                        # sentences; none is good
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import attrs

from tests.soak import ledger
from tests.soak.clients import Tally, Work, run
from tests.soak.readings import Reading, read
from tests.support.servers import Server, start_gunicorn

#: gunicorn's kinds of workers, with what each is started with.
WORKERS: dict[str, list[str]] = {"sync": [], "gthread": ["--threads", "4"], "gevent": []}
#: Seconds until what is under way has ended.
PATIENCE = 30.0


@attrs.frozen
class Plan:
    """How much: requests in all, of which the first ``warm`` do not count; ``legs`` of the rest.

    ``growth`` is the KiB that a worker may hold more after the last leg than after the first. ``seconds``:
    no request begins later than that.
    """

    requests: int
    warm: int = 50_000
    legs: int = 10
    clients: int = 4
    workers: int = 2
    growth: int = 4096
    seconds: float = 7200.0


@attrs.define
class Outcome:
    """What was sent, counted and read."""

    plan: Plan
    sent: int = 0
    answered: int = 0
    left: int = 0
    wrong: list[str] = attrs.Factory(list)
    kinds: Counter[str] = attrs.Factory(Counter)
    #: Requests sent so far, and a reading of each worker, after the warm-up and after each leg.
    readings: list[tuple[int, list[Reading]]] = attrs.Factory(list)
    totals: dict[str, int] = attrs.Factory(dict)
    #: Lines that the bundled file-log has written.
    lines: int = 0

    def add(self, tally: Tally) -> None:
        self.answered += tally.answered
        self.left += tally.left
        self.sent += tally.answered + tally.left
        self.wrong += tally.wrong
        self.kinds += tally.kinds

    def problems(self) -> list[str]:
        """Say what is not as it must be."""
        return [*self.wrong, *self._uncounted(), *self._grown()]

    def _uncounted(self) -> list[str]:
        found, totals = [], self.totals
        if totals["again"] or totals["logged"] != totals["reached"]:
            found.append(f"not logged exactly once: {totals}")
        if totals["closed"] != totals["begun"]:
            found.append(f"not closed exactly once: {totals}")
        if self.lines != totals["reached"]:
            found.append(f"{self.lines} lines of file-log for {totals['reached']} requests")
        if not self.answered <= totals["reached"] <= self.sent:
            found.append(f"{totals['reached']} reached, {self.answered} answered, {self.sent} sent")
        return found

    def _grown(self) -> list[str]:
        found = []
        first, last = self.readings[0][1], self.readings[-1][1]
        earlier = [readings for _, readings in self.readings[:-1]] or [first]
        if [one.pid for one in first] != [one.pid for one in last]:
            return [f"workers {[one.pid for one in first]} have become {[one.pid for one in last]}"]
        for number, (before, after) in enumerate(zip(first, last)):
            if after.anonymous - before.anonymous > self.plan.growth:
                found.append(f"memory grew by {after.anonymous - before.anonymous} KiB: {before}, {after}")
            if after.descriptors > before.descriptors:
                found.append(f"more descriptors: {before}, {after}")
            # A pool makes its last thread when so many requests have met, which may be after the warm-up.
            if after.threads > max(readings[number].threads for readings in earlier):
                found.append(f"more threads: {before}, {after}")
        return found


def soak(folder: Path, kind: str, plan: Plan, tell: Callable[[str], None] = lambda line: None) -> Outcome:
    """Run a soak against gunicorn with workers of a kind, with its files in ``folder``."""
    outcome = Outcome(plan)
    until = time.time() + plan.seconds
    args = ["--keep-alive", "75", "--timeout", "120", *WORKERS[kind]]
    server = start_gunicorn(
        folder, "tests.soak.served:app", workers=plan.workers, worker_class=kind, args=args
    )
    try:
        with ProcessPoolExecutor(plan.clients, multiprocessing.get_context("spawn")) as pool:
            for number, size in enumerate(sizes(plan)):
                _leg(pool, server, number, size, until, outcome)
                outcome.readings.append((outcome.sent, _at_rest(folder, server, outcome.readings)))
                tell(f"{kind}: {outcome.sent} requests: {_told(outcome.readings[-1][1])}")
                if outcome.wrong or time.time() > until:
                    break
    finally:
        server.stop()
    outcome.totals = ledger.totals(folder)
    outcome.lines = _lines(folder / "file.log")
    return outcome


def sizes(plan: Plan) -> list[int]:
    """Return how many requests the warm-up and each leg have."""
    rest = plan.requests - plan.warm
    return [plan.warm, *(rest * (n + 1) // plan.legs - rest * n // plan.legs for n in range(plan.legs))]


def _leg(
    pool: ProcessPoolExecutor, server: Server, number: int, size: int, until: float, outcome: Outcome
) -> None:
    count = outcome.plan.clients
    shares = [size * (n + 1) // count - size * n // count for n in range(count)]
    works = [Work(server.port, number * count + n, share, until) for n, share in enumerate(shares)]
    for tally in pool.map(run, works):
        outcome.add(tally)


def _at_rest(folder: Path, server: Server, earlier: list[tuple[int, list[Reading]]]) -> list[Reading]:
    """Read the workers when every request is logged and the connections of clients that left are closed.

    What has not come to rest within :data:`PATIENCE` is read as it is.
    """
    end = time.monotonic() + PATIENCE
    while True:
        before = ledger.totals(folder)
        time.sleep(0.2)
        totals, readings = ledger.totals(folder), [read(pid) for pid in server.worker_pids()]
        quiet = totals == before and totals["logged"] == totals["reached"]
        closed = not earlier or all(
            after.descriptors <= before.descriptors for before, after in zip(earlier[0][1], readings)
        )
        if (quiet and closed) or time.monotonic() > end:
            return readings


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _told(readings: list[Reading]) -> str:
    return "; ".join(
        f"worker {one.pid} {one.anonymous} KiB, {one.descriptors} descriptors, {one.threads} threads"
        for one in readings
    )
