"""udp-log: configuration, datagrams to a real socket, and through an app; at the end real gunicorn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.sinks import udp_sink


# -- through an app -----------------------------------------------------------------------------------
def test_datagrams_of_four_workers(gunicorn):
    with udp_sink() as sink:
        server = gunicorn(
            f"""
            from plugmw import Gateway
            from plugmw.contrib.udp_log import UDPLog
            from plugmw.testing import hello_app
            app = Gateway(hello_app, plugins=[UDPLog(host="127.0.0.1", port={sink.port})])
            """,
            workers=4,
        )

        def ask(number):
            with requests.Session() as session:
                for turn in range(125):
                    assert session.get(f"{server.url}/{number}/{turn}", timeout=10).status_code == 200

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))
        assert server.stop() == 0
        found = [entry["request"]["uri"] for entry in sink.entries(1000)]
        assert len(set(found)) == len(found) == 1000
