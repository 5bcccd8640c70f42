"""The plugin, named in each of the three ways, and the README's session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT
from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


@pytest.fixture
def installed(tmp_path):
    """Make a folder that looks to Python as after `pip install .`, without a network."""
    found = tmp_path / "plugmw_greeting-1.0.dist-info"
    found.mkdir()
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: plugmw-greeting\nVersion: 1.0\n")
    (found / "entry_points.txt").write_text("[plugmw.plugins]\ngreeting = greeting:Greeting\n")
    return tmp_path


@pytest.mark.parametrize("name", ["gateway.yaml", "gateway.folder.yaml", "gateway.entry-point.yaml"])
def test_is_found(name, installed):
    path = os.pathsep.join([str(ROOT), str(installed)])
    checked = subprocess.run(
        [sys.executable, "-m", "plugmw", "check", name],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        capture_output=True,
    )
    assert (checked.stdout, checked.stderr) == (f"{name}: good, 1 entry, 0 routes\n", "")


def test_setup_offers_the_entry_point_that_is_tested_here():
    assert '"greeting = greeting:Greeting"' in (HERE / "setup.py").read_text()


def test_answers_as_the_readme_shows(gunicorn):
    server = gunicorn("app:app", args=["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")])
    check_sessions(HERE / "README.md", server.url)
