"""Run conformance cases: ``python -m tests.conformance FILE.json [--plugin NAME] [--list-failures]``.

Prints a line per failing case with what was expected and found, and ends with ``N passed, N failed``;
exits 1 if any failed, 2 if the file cannot be used. An unknown key in a case is a failure, never skipped.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from tests.conformance import logs, traffic


def run_case(case: dict[str, Any]) -> list[str]:
    """Run one case; return what was wrong, an empty list if nothing was."""
    runner = traffic if isinstance(case.get("expect"), list) else logs
    try:
        return runner.run(case)
    except Exception as error:
        logging.getLogger("conformance").debug("%s", case.get("id"), exc_info=error)
        return [f"the case could not be run: {type(error).__name__}: {error}"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="cases: a JSON list")
    parser.add_argument("--plugin", help="only the cases of this plugin")
    parser.add_argument("--list-failures", action="store_true", help="only the ids of failing cases")
    given = parser.parse_args(argv)
    try:
        cases = json.loads(given.file.read_text(encoding="utf-8"))
        assert isinstance(cases, list), "expected a JSON list of cases"
    except (OSError, ValueError, AssertionError) as error:
        print(f"{given.file}: {error}", file=sys.stderr)
        return 2
    logging.getLogger("plugmw").addHandler(logging.NullHandler())
    logging.getLogger("plugmw").propagate = False
    passed = failed = 0
    for case in cases:
        if given.plugin and case.get("plugin") != given.plugin:
            continue
        problems = run_case(case)
        passed, failed = passed + (not problems), failed + bool(problems)
        if problems and given.list_failures:
            print(case.get("id"))
        elif problems:
            print(f"{case.get('id')}: {'; '.join(problems)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
