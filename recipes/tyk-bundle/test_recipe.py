"""The README's session, with the bundle on a real web server and two workers."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.support.servers import PATIENCE, ROOT, require_program
from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


class Shelf(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Make the bundle in a copy of the recipe and serve it."""
    require_program("openssl")
    made = shutil.copytree(
        HERE, tmp_path / "recipe", ignore=shutil.ignore_patterns("keys", "middleware", "shelf")
    )
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    subprocess.run(["sh", "./bundle"], cwd=made, check=True, env=os.environ)
    handler = partial(Shelf, directory=str(made / "shelf"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setenv("TYK_GW_BUNDLEBASEURL", f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()

        def down():
            server.shutdown()
            server.server_close()

        yield made, down
        server.shutdown()
        thread.join()


@pytest.fixture
def server(gunicorn, recipe):
    folder, _ = recipe
    options = ["--chdir", str(folder), "--config", str(folder / "gunicorn.conf.py")]
    return gunicorn("app:app", workers=2, args=options)


def test_answers_as_the_readme_shows(server, recipe):
    check_sessions(recipe[0] / "README.md", server.url)


def test_with_the_web_server_down_a_reload_changes_nothing_and_no_request_fails(server, recipe):
    folder, down = recipe
    requests.get(f"{server.url}/hello/", timeout=10)
    down()
    end = time.monotonic() + PATIENCE
    with (folder / "api.json").open("a") as file:
        file.write("\n")
    answers = set()
    while server.log().count("Connection refused; the last good one stays") < 2:
        answer = requests.get(f"{server.url}/hello/", timeout=10)
        answers.add((answer.status_code, answer.text))
        assert time.monotonic() < end, server.log()
    assert answers == {(200, "hello from the bundle\n")}
