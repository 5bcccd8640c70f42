"""The README's session; the spans that a collector gets; the lines of the log."""

import http.server
import json
import threading
from pathlib import Path

import pytest

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


@pytest.fixture
def collector():
    """Yield (url, spans): a Zipkin collector that keeps what it gets."""
    spans = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            spans.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v2/spans", spans
    server.shutdown()
    thread.join()
    server.server_close()


def test_reports_to_all_three(gunicorn, collector, monkeypatch, tmp_path):
    url, spans = collector
    monkeypatch.setenv("ZIPKIN_URL", url)
    monkeypatch.setenv("ACCESS_LOG", str(tmp_path / "access.log"))
    args = ["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")]
    server = gunicorn("app:app", workers=4, args=args)
    check_sessions(HERE / "README.md", server.url)
    server.stop()
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    orders = [line for line in lines if line.get("route", {}).get("name") == "orders"]
    assert [line["response"]["status"] for line in orders] == [200, 200]
    assert max(line["latencies"]["proxy"] for line in orders) >= 50
    kinds = [
        span["kind"] for span in spans if span.get("tags", {}).get("http.path", "").startswith("/orders")
    ]
    assert kinds == ["SERVER", "SERVER"]
