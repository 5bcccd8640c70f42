"""The README's session and log, from the recipe under gunicorn."""

import json
import re
import shutil
import socket
from pathlib import Path

import pytest
import requests

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent
ADDRESS = "localhost:8080"


def krakend_lines(log):
    """Return the lines of KrakenD's format, without their dates and the ids of requests."""
    lines = re.findall(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (KRAKEND .*)$", log, re.M)
    return list(map(_without_id, lines))


def _without_id(line):
    return re.sub(r"request [0-9a-f]{32}$", "request ...", line)


@pytest.fixture
def recipe(tmp_path):
    """A copy of the recipe in which the gateway, which is its own backend, has a port that is free."""
    shutil.copytree(HERE, tmp_path / "recipe")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    for name in ("krakend.json", "README.md"):
        path = tmp_path / "recipe" / name
        path.write_text(path.read_text(encoding="utf-8").replace(ADDRESS, address), encoding="utf-8")
    return tmp_path / "recipe", address


def serve(gunicorn, recipe):
    folder, address = recipe
    bind = ["--bind", address.replace("localhost", "127.0.0.1")]
    config = str(HERE / "gunicorn.conf.py")
    return gunicorn("app:app", args=["--chdir", str(folder), "--config", config, *bind])


def test_answers_and_logs_as_the_readme_shows(gunicorn, recipe):
    server = serve(gunicorn, recipe)
    check_sessions(recipe[0] / "README.md")
    server.wait_for("KRAKEND REFUSED: ")
    shown = re.search(r"^```text\n(.*?)^```", (HERE / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert krakend_lines(server.log()) == list(map(_without_id, shown[1].splitlines()))


def test_a_missing_config_refuses_every_request_and_is_logged(gunicorn, recipe):
    path = recipe[0] / "krakend.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["extra_config"]["plugin/http-server"]["krakend-server-example"]
    path.write_text(json.dumps(document), encoding="utf-8")
    server = serve(gunicorn, recipe)
    server.wait_for(
        "KRAKEND ERROR: [PLUGIN: Server] Error getting the plugin handler: configuration not found"
    )
    assert requests.get(f"{server.url}/hijack-me", timeout=10).status_code == 500
    assert requests.get(f"{server.url}/test/7", timeout=10).status_code == 500
