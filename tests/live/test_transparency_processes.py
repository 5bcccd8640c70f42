"""Flask and Django are what they are, under no plugins and under plugins that do nothing in every phase."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.compare import differences
from tests.support.real_apps import flask_app
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
