"""The command of the stress: ``python -m tests.stress``; see the package's docstring."""

from __future__ import annotations

import argparse
import sys
import time

from tests.stress.running import PARTS, run

#: Turns of each part: of every thread or greenlet, or reloads, forks and damages.
TURNS = {"crowds": 300, "reloads": 400, "forks": 400, "damage": 400}


def main(argv: list[str] | None = None) -> int:
    """Run what was asked for; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--times", type=float, default=1.0, help="as many turns as usual (%(default)s)")
    parser.add_argument("--only", choices=tuple(PARTS), help="only this part")
    parser.add_argument("--kinds", default="threads,greenlets", help="kinds of crowds (%(default)s)")
    options = parser.parse_args(argv)
    wrong = 0
    for part, kinds in PARTS.items():
        for kind in kinds:
            if options.only not in (None, part) or kind not in options.kinds.split(","):
                continue
            begun = time.monotonic()
            outcome = run(part, kind, max(1, round(TURNS[part] * options.times)))
            wrong += len(outcome.wrong)
            print(f"{part}, {kind}: {outcome.asked} asked in {time.monotonic() - begun:.0f} s", flush=True)
            for problem in outcome.wrong:
                print(f"WRONG: {problem}", flush=True)
    print("all is well" if not wrong else f"{wrong} wrong", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
