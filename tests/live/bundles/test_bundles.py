"""Bundles by name: fetched, checked, kept; what stays when something is wrong, with servers and processes."""

import subprocess
import sys
import textwrap

from tests.support.bundles import bundle
from tests.support.servers import ROOT, require_module
from tests.unit.bundles.test_bundles import OLD


def test_greenlets_of_one_worker_wait_for_each_other(tmp_path, server):
    """A lock that blocked the thread would block the greenlet that has it."""
    require_module("gevent")
    server.has["a.zip"] = bundle(OLD)
    code = """
        from gevent import monkey
        monkey.patch_all()
        import sys
        from gevent import joinall, spawn
        from plugmw.bundles import Bundles
        made = [Bundles(sys.argv[1], sys.argv[2]) for _ in range(4)]
        done = joinall([spawn(one.get, "a.zip") for one in made], timeout=20)
        print(len({job.get(block=False).hash for job in done}))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), server.url]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert len(server.asked) == 1
