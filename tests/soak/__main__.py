"""The command of the soak: ``python -m tests.soak``; see the package's docstring."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.soak.mixing import PATIENCE, mixed
from tests.soak.soaking import WORKERS, Plan, soak
from tests.soak.streaming import stream

Tell = Callable[[str], None]


def soaked(kind: str, options: argparse.Namespace, tell: Tell) -> list[str]:
    """Soak one kind of worker; return what was wrong."""
    warm = min(options.warm, options.requests // 3)
    share = Plan(options.requests, warm=warm, legs=options.legs, seconds=options.seconds)
    with tempfile.TemporaryDirectory(prefix="plugmw-soak-") as folder:
        outcome = soak(Path(folder), kind, share, tell)
    tell(f"{kind}: {outcome.sent} sent, {outcome.answered} answered, {outcome.left} left half-way")
    tell(f"{kind}: {outcome.totals}, {outcome.lines} lines of file-log")
    if outcome.sent < options.requests:
        tell(f"{kind}: stopped after {outcome.sent} of {options.requests} requests")
    return outcome.problems()


def streamed(kind: str, options: argparse.Namespace, tell: Tell) -> list[str]:
    """Stream through one kind of worker; return what was wrong."""
    with tempfile.TemporaryDirectory(prefix="plugmw-soak-") as folder:
        return stream(Path(folder), kind, options.mib, tell)


def both(options: argparse.Namespace, tell: Tell) -> list[str]:
    """Ask one gateway from many threads, then from many greenlets; return what was wrong."""
    found = []
    for kind in ("threads", "greenlets"):
        outcome = mixed(kind, options.turns, PATIENCE)
        tell(f"{kind}: {outcome.asked} asked, {len(outcome.wrong)} wrong")
        found += outcome.wrong
    return found


def main(argv: list[str] | None = None) -> int:
    """Run what was asked for; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=333_334, help="per kind of worker (%(default)s)")
    parser.add_argument("--warm", type=int, default=50_000, help="first ones, not counted (%(default)s)")
    parser.add_argument("--legs", type=int, default=10, help="readings after the warm-up (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=7200, help="at most, per kind of worker (%(default)s)"
    )
    parser.add_argument("--workers", default=",".join(WORKERS), help="kinds of workers (%(default)s)")
    parser.add_argument("--mib", type=int, default=1024, help="MiB streamed each way (%(default)s)")
    parser.add_argument("--turns", type=int, default=300, help="per thread and greenlet (%(default)s)")
    parser.add_argument("--only", choices=("soak", "mix", "stream"), help="only this part")
    options = parser.parse_args(argv)
    tell: Tell = lambda line: print(line, flush=True)  # noqa: E731
    problems: list[str] = []
    if options.only in (None, "mix"):
        problems += both(options, tell)
    for kind in options.workers.split(","):
        if options.only in (None, "stream"):
            problems += streamed(kind, options, tell)
        if options.only in (None, "soak"):
            problems += soaked(kind, options, tell)
    for problem in problems:
        tell(f"WRONG: {problem}")
    tell("all is well" if not problems else f"{len(problems)} wrong")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
