"""What importing costs: ``python -m bench.imports``; see ``README.md``."""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.driver import table
from bench.servers import ROOT

STATEMENTS = {
    "import plugmw": "import plugmw",
    "Gateway, Plugin": "from plugmw import Gateway, Plugin",
    "a Gateway": "from plugmw import Gateway; Gateway(lambda environ, start_response: [])",
    "werkzeug.datastructures": "import werkzeug.datastructures",
}
REFERENCE = "werkzeug.datastructures"
#: Each costs about 0.1 s, and is loaded only by what uses it.
HEAVY = ("requests", "gunicorn", "cryptography", "webob")
LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")


def importtime(statement: str) -> float:
    """Return the microseconds that the imports of a statement take in a fresh interpreter.

    ``-X importtime`` also lists, before the mark, what the interpreter imports for itself.
    """
    code = f"import sys; sys.stderr.write('BEGIN\\n'); sys.stderr.flush()\n{statement}"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stderr.partition("BEGIN\n")[2].splitlines()
    return float(sum(int(found[1]) for found in map(LINE.match, lines) if found))


def loaded(statement: str) -> list[str]:
    """Return which heavy packages a statement loads."""
    code = f"{statement}\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line; 1 if a heavy package is loaded."""
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="fresh interpreters of each statement")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(argv)
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    shuffle = random.Random(1).shuffle
    order = list(STATEMENTS)
    for name in order:
        importtime(STATEMENTS[name])  # writes the .pyc files
    for _ in range(options.rounds):
        shuffle(order)
        for name in order:
            times[name].append(importtime(STATEMENTS[name]))
    medians = {name: statistics.median(found) for name, found in times.items()}
    heavy = {name: loaded(text) for name, text in STATEMENTS.items()}
    head = ["statement", "ms", f"x {REFERENCE}", f"loads of {', '.join(HEAVY)}"]
    rows: list[list[Any]] = [
        [
            STATEMENTS[name],
            medians[name] / 1000,
            medians[name] / medians[REFERENCE],
            " ".join(found) or "none",
        ]
        for name, found in heavy.items()
    ]
    print(table(head, rows))
    if options.json:
        result = [dict(zip(head, row, strict=True)) for row in rows]
        Path(options.json).write_text(json.dumps({"python": sys.version, "imports": result}, indent=1))
    return int(any(found for name, found in heavy.items() if name != REFERENCE))


if __name__ == "__main__":
    sys.exit(main())
