"""The least versions of setup.py, which a run of the tests of their own is made with."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.servers import ROOT


@pytest.mark.slow
def test_every_requirement_names_the_least_version_that_the_tests_run_with():
    command = [sys.executable, str(ROOT / "tools/lowest.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+(; python_version < '[\d.]+')?", line) for line in lines)
    assert {"werkzeug", "flask", "pytest"} <= {line.partition("==")[0] for line in lines}
