"""Libraries that end the process they run in."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.native import built
from tests.support.servers import PATIENCE, ROOT

PROGRAM = """
import sys, threading
from plugmw.dialects.prest.native import open_library
from tests.support.native import HELLO, request
library = open_library(sys.argv[1])
def ask():
    getattr(library, sys.argv[2])(request("GET"), *HELLO)
if sys.argv[3] == "thread":
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
else:
    ask()
sys.exit(int(sys.argv[3]))
"""
#: (function, how) -> the status of the process.
ENDS = {
    ("GETOrderlyExitHandler", "0"): 1,
    ("GETOrderlyExitHandler", "thread"): 1,
    ("GETHelloHandler", "0"): 0,
    ("GETHelloHandler", "3"): 3,
}


@pytest.mark.parametrize(("function", "how"), ENDS, ids=" ".join)
def test_exit_in_a_library_ends_the_process_with_status_1_and_nothing_else_does(function, how):
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", PROGRAM, str(built("traps.c")), function, how],
        cwd=ROOT,
        capture_output=True,
        timeout=PATIENCE,
        text=True,
    )
    assert done.returncode == ENDS[function, how], done.stderr
    told = "plugmw: a native function called exit(); this process ends\n" if done.returncode == 1 else ""
    assert done.stderr == told
