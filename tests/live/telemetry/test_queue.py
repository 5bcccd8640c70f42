"""The delivery queue: batches, delays, retries, bounds, counts, stopping. No test waits for the clock."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.servers import ROOT, require_module
from tests.unit.telemetry.test_queue import all_lines as all_lines


@pytest.mark.parametrize("gevent", [False, True], ids=["threads", "gevent"])
def test_a_process_that_ends_sends_what_waits(gevent):
    if gevent:
        require_module("gevent")
    code = f"""
if {gevent}:
    import gevent.monkey
    gevent.monkey.patch_all()
import logging
from plugmw.telemetry.queue import Queue
from plugmw.telemetry.queue_config import QueueConfig
settings = QueueConfig(max_batch_size=10, max_coalescing_delay=1000)
queue = Queue("test", settings, lambda batch: print(batch, flush=True), logging.getLogger())
queue.put("a")
queue.put("b")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("['a', 'b']\n", "")
