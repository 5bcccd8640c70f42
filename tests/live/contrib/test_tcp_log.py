"""tcp-log: configuration, lines to a real server, and through an app; at the end real gunicorn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.sinks import TCP, tcp_sink


# -- through an app -----------------------------------------------------------------------------------
def test_lines_of_four_workers_arrive_whole_and_once(gunicorn):
    with tcp_sink() as sink:
        server = gunicorn(
            f"""
            from plugmw import Gateway
            from plugmw.contrib.tcp_log import TCPLog
            from plugmw.testing import hello_app
            app = Gateway(hello_app, plugins=[TCPLog(host="127.0.0.1", port={sink.port})])
            """,
            workers=4,
        )

        def ask(number):
            with requests.Session() as session:
                for turn in range(50):
                    headers = {"X-Big": "x" * 3000}
                    answer = session.get(f"{server.url}/{number}/{turn}", headers=headers, timeout=10)
                    assert answer.status_code == 200

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))
        assert server.stop() == 0
        found = [entry["request"]["uri"] for entry in sink.entries(400)]
        assert len(set(found)) == len(found) == 400


def test_a_server_that_is_killed_and_comes_back_gets_what_came_meanwhile(gunicorn):
    sink = TCP()
    server = gunicorn(
        f"""
        from plugmw import Gateway
        from plugmw.contrib.tcp_log import TCPLog
        from plugmw.testing import hello_app
        app = Gateway(hello_app, plugins=[TCPLog(host="127.0.0.1", port={sink.port})])
        """,
    )
    try:
        requests.get(f"{server.url}/before", timeout=10)
        sink.wait(1)
        sink.stop()
        for number in range(5):
            assert requests.get(f"{server.url}/{number}", timeout=10).status_code == 200
        server.wait_for("failed to connect to 127.0.0.1")
        sink = TCP(port=sink.port)
        assert [entry["request"]["uri"] for entry in sink.entries(5)] == [f"/{n}" for n in range(5)]
        assert server.stop() == 0
    finally:
        sink.stop()
