"""Conformance: every sample case through a real gateway, and that the runner sees what is wrong."""

from __future__ import annotations

import subprocess
import sys

from tests.support.servers import ROOT
from tests.unit.test_conformance import CASES, written


def test_the_command_says_by_its_status_whether_all_passed(tmp_path):
    file = written(tmp_path, {**CASES["galileo/token-required"], "odd": 1})
    command = [sys.executable, "-m", "tests.conformance", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "0 passed, 1 failed")
