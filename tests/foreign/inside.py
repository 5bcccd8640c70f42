"""Run a suite in the process that this file is the script of, with its apps wrapped; write down the outcomes.

    cd SUITE; python .../tests/foreign/inside.py pytest OPTION ...     # by pytest
    cd SUITE; python .../tests/foreign/inside.py runtests.py LABEL ... # by a script of unittest's kind

Suites call their tests ``tests``, too, so ours are under that name only until the suite begins.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path


def main() -> int:
    """Run what the command line names; return the exit status."""
    root = str(Path(__file__).resolve().parents[2])
    sys.path[0] = root
    from tests.foreign import plugin

    # From here on as in a run of the suite alone, so that it is the same framework that is tested.
    sys.path[0] = os.getcwd()
    plugin.begin()
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    runner, *options = sys.argv[1:]
    try:
        if runner == "pytest":
            import pytest

            return int(pytest.main(options, plugins=[plugin]))
        sys.argv = [runner, *options]
        runpy.run_path(runner, run_name="__main__")
        return 0
    finally:
        plugin.end()


if __name__ == "__main__":
    sys.exit(main())
