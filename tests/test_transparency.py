"""Flask and Django are what they are, under no plugins and under plugins that do nothing in every phase."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.compare import ask, differences
from tests.support.real_apps import REQUESTS, flask_app
from tests.support.servers import ROOT, require_module

FLASK = {"plain": {}, "debug": {"debug": True}, "testing": {"testing": True}}
DJANGO = {"plain": {}, "debug": {"debug": True}, "propagating": {"propagate": True}}


@pytest.mark.parametrize("options", FLASK.values(), ids=FLASK)
def test_flask_is_unchanged(options):
    require_module("flask")
    assert differences(flask_app(**options)) == []


@pytest.mark.parametrize("options", DJANGO.values(), ids=DJANGO)
def test_django_is_unchanged(options):
    require_module("django")
    command = [sys.executable, "-W", "error", "-m", "tests.support.compare", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_apps_do_what_they_are_there_for():
    require_module("flask")
    app = flask_app()
    statuses = {
        (method, path): ask(app, method, path, headers).status[:3] for method, path, headers in REQUESTS
    }
    assert statuses["GET", "/json"] == statuses["GET", "/large"] == "200"
    paths = ("/redirect", "/empty", "/forbidden", "/not-there", "/crash")
    assert [statuses["GET", path] for path in paths] == ["303", "204", "403", "404", "500"]
    assert statuses["POST", "/json"] == "405"
    assert ask(app, "GET", "/file", {"Range": "bytes=5-9"}).body == b"56789"
    assert ask(flask_app(testing=True), "GET", "/crash", {}).raised is not None
