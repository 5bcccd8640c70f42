"""The README's session, run against the recipe under gunicorn with four workers."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.servers import ROOT
from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


def manage(command, database):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE": str(database)}
    command = [sys.executable, "manage.py", *command.split()]
    return subprocess.run(command, cwd=HERE, env=env, text=True, capture_output=True)


def test_answers_as_the_readme_shows(gunicorn, tmp_path):
    database = tmp_path / "db.sqlite3"
    assert manage("migrate --verbosity 0", database).returncode == 0
    server = gunicorn(
        "mysite.wsgi",
        workers=4,
        args=["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")],
        env={"DATABASE": str(database)},
    )
    check_sessions(HERE / "README.md", server.url)


def test_passes_the_system_checks(tmp_path):
    checked = manage("check", tmp_path / "db.sqlite3")
    assert checked.stdout == "System check identified no issues (0 silenced).\n"
