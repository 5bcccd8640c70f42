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
    require_module("gunicorn")
    app = "plugmw:wrap('wrapped_site:application', 'bad.yaml')"
    return subprocess.run(
        [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", *options, app],
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
