"""The README's session and log, from the recipe under gunicorn."""

import re
import shutil
from pathlib import Path

import pytest
import requests

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


def krakend_lines(log):
    """Return the lines of KrakenD's format, without their dates."""
    return re.findall(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (KRAKEND .*)$", log, re.M)


def test_answers_and_logs_as_the_readme_shows(gunicorn):
    server = gunicorn("app:app", args=["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")])
    check_sessions(HERE / "README.md", server.url)
    server.wait_for("KRAKEND DEBUG: request:")
    shown = re.search(r"^```text\n(.*?)^```", (HERE / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert krakend_lines(server.log()) == shown[1].splitlines()


def test_a_missing_config_leaves_the_app_unwrapped_and_is_logged(gunicorn, tmp_path):
    shutil.copytree(HERE, tmp_path / "recipe")
    path = tmp_path / "recipe" / "gateway.yaml"
    path.write_text(path.read_text(encoding="utf-8").partition("      extra_config:")[0], encoding="utf-8")
    server = gunicorn(
        "app:app", args=["--chdir", str(path.parent), "--config", str(HERE / "gunicorn.conf.py")]
    )
    server.wait_for(
        "KRAKEND ERROR: [PLUGIN: Server] Error getting the plugin handler: configuration not found"
    )
    assert requests.get(f"{server.url}/hijack-me", timeout=10).json() == {"error": "not found"}
