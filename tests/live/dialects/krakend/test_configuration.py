"""``krakend.json``: what is accepted, what is refused and where, and that it runs."""

from __future__ import annotations

import requests

from tests.unit.dialects.krakend.test_configuration import DOCUMENT, EXAMPLE


def test_the_document_s_own_file_runs_in_every_worker(gunicorn, folder, tmp_path):
    folder("krakend-server-example.py", EXAMPLE)
    text = DOCUMENT.replace("PATTERN", ".py").replace("FOLDER", "./plugins/")
    (tmp_path / "krakend.json").write_text(text)
    # Run elsewhere: the folder is beside the file.
    server = gunicorn(
        f"""
        import logging
        from plugmw import Gateway

        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s: %(message)s")
        app = Gateway.from_krakend(None, {str(tmp_path / "krakend.json")!r})
        """,
        workers=2,
    )
    for _ in range(4):
        assert requests.get(f"{server.url}/hijack-me", timeout=10).text == 'Hello, "/hijack-me"'
        assert requests.get(f"{server.url}/__health", timeout=10).json()["status"] == "ok"
    server.wait_for("INFO: [PLUGIN: Server] Injecting plugin krakend-server-example")
