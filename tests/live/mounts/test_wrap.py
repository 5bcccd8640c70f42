"""wrap: a gateway round an app that is named, in code and on gunicorn's command line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import raw
from tests.support.servers import ROOT, require_module
from tests.unit.mounts.test_wrap import BAD_LINES
from tests.unit.mounts.test_wrap import site as site


def test_serves_an_app_whose_code_knows_nothing_of_it(gunicorn, site):
    server = gunicorn(
        "plugmw:wrap('wrapped_site:application', 'good.yaml')",
        workers=2,
        args=["--chdir", str(site), "--config", "python:plugmw.mounts.gunicorn"],
    )
    answer = raw.get(server.port)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.header("x-correlation-id")


def start(site, *options):
    """Run gunicorn until it gives up."""
    app = "plugmw:wrap('wrapped_site:application', 'bad.yaml')"
    return run(site, "gunicorn", "--bind", "127.0.0.1:0", *options, app)


def run(site, *command):
    """Run a program of Python's in the folder of a site until it ends."""
    require_module("gunicorn")
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("workers", [1, 4])
def test_a_bad_configuration_ends_the_start_with_its_lines_once(site, workers):
    ended = start(site, "--workers", str(workers))
    assert [line for line in ended.stdout.splitlines() if "plugins[" in line] == BAD_LINES
    assert "Traceback" not in ended.stdout
    assert "App failed to load" in ended.stdout
    assert ended.returncode == 4


def test_a_bad_configuration_ends_the_start_with_preload_too(site):
    ended = start(site, "--preload", "--workers", "4")
    assert ended.stdout.splitlines() == ["", f"Error: {BAD_LINES[0]}", BAD_LINES[1], ""]
    assert ended.returncode == 1


FLASK = """
from flask import Flask
from plugmw.mounts.flask import PlugMW

app = Flask(__name__)
PlugMW(app, "bad.yaml")
"""


@pytest.mark.parametrize(
    "command",
    [["gunicorn", "--check-config", "flask_site:app"], ["flask", "--app", "flask_site", "routes"]],
    ids=["check-config", "flask"],
)
def test_what_is_wrong_is_all_that_a_check_and_a_command_of_flask_show(site, command):
    require_module("flask")
    (site / "flask_site.py").write_text(FLASK)
    done = run(site, *command)
    lines = [line.removeprefix("Error: ").removeprefix(f"{site}/") for line in done.stdout.splitlines()]
    assert (done.returncode, lines) == (1, BAD_LINES)


def test_a_worker_that_speaks_asgi_gets_a_sentence(gunicorn, site):
    pytest.importorskip("gunicorn.workers.gasgi")
    server = gunicorn(
        "plugmw:wrap('wrapped_site:application', 'good.yaml')",
        worker_class="asgi",
        args=["--chdir", str(site)],
    )
    assert raw.get(server.port).status == 500
    server.wait_for("called as an ASGI app, expected WSGI: run the server with WSGI workers")
