"""A server of bundles that is down, hangs, trickles, or has no good bundle: at the start, and at a reload."""

from __future__ import annotations

import json
import os

import pytest

from tests.security.load import WORKERS, Load, ask
from tests.security.test_fault_bundles import FAULTS
from tests.security.test_fault_bundles import server as server
from tests.support.waiting import until

SOURCE = """
    import os
    from plugmw import Gateway
    from plugmw.mounts.gunicorn import *

    def site(environ, start_response):
        version = environ.get("HTTP_X_VERSION", "none")
        start_response("200 OK", [("Content-Length", "0"), ("X-Version", version)])
        return []

    app = Gateway.from_tyk(site, {path!r})
    os.write(1, b"READY\\n")
"""


# -- under load ---------------------------------------------------------------------------------------


def definition(folder, server):
    """Write an API whose hooks are in the bundle, and return the file's path."""
    conf = {
        "enable_bundle_downloader": True,
        "allow_unsigned_bundles": True,
        "bundle_base_url": server.url,
        "middleware_path": str(folder / "middleware"),
    }
    path = folder / "api.json"
    fields = {
        "name": "Test",
        "api_id": "7",
        "active": True,
        "use_keyless": True,
        "proxy": {"listen_path": "/"},
        "version_data": {"not_versioned": True, "versions": {}},
        "custom_middleware_bundle": "one.zip",
        "plugmw": {"store": "memory://", "tyk_conf": conf},
    }
    path.write_text(json.dumps(fields))
    return path


#: Every fault once, and under every kind of worker the one in which somebody has to wait.
CASES = [("sync", ["hanging"]), ("gevent", ["hanging"])]
CASES += [("gthread", ["missing", "forged", "hanging"])]


@pytest.mark.parametrize(("kind", "faults"), CASES, ids=[kind for kind, _ in CASES])
def test_a_reload_while_the_server_fails_blocks_no_request(gunicorn, tmp_path, server, kind, faults):
    path = definition(tmp_path, server)
    args = ["--config", "python:plugmw.mounts.gunicorn", *WORKERS[kind]]
    served = gunicorn(SOURCE.format(path=str(path)), workers=2, worker_class=kind, args=args)
    served.wait_for("READY", 2)
    with Load(served.port) as load:
        for fault in faults:
            told = served.log().count("the last good one stays")
            FAULTS[fault][0](server)
            os.utime(path)  # asks for a reload
            load.wait(30)
            if fault == "hanging":
                server.resume()
            else:
                served.wait_for("the last good one stays", told + 2)
            server.has("1")
        assert versions(served.port) == {"1"}
        server.has("4")
        os.utime(path)
        until(lambda: versions(served.port) == {"4"})
    assert load.bad == []
    assert {got.answer.header("x-version") for got in load.got} == {"1", "4"}
    assert served.stop() == 0


def versions(port):
    return {ask(port, "/").answer.header("x-version") for _ in range(10)}
