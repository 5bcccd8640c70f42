"""Code of plugin authors that ends the process ends its request, in every dialect. (Tyk: test_hooks.)."""

from __future__ import annotations

from tests.unit.dialects.test_user_code import LEAVES
from tests.unit.dialects.test_user_code import write as write


def test_under_gunicorns_threads_a_function_that_leaves_ends_neither_worker_nor_master(gunicorn, write):
    from tests.support.raw import get

    lib = write("lib/leaves.py", LEAVES)
    source = f"""
        from plugmw import Functions
        from plugmw.testing import hello_app
        app = Functions(hello_app, {lib!r})
        """
    server = gunicorn(source, workers=2, worker_class="gthread", args=["--threads", "4"])
    before = server.worker_pids()
    for _ in range(8):
        assert get(server.port, "/_PLUGIN/leaves/Leave").status == 500
    assert get(server.port, "/").status == 200
    assert server.worker_pids() == before
    assert server.stop() == 0
