"""The README's session against four real workers, in a copy of the recipe."""

import shutil
from pathlib import Path

import requests

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


def test_changes_are_taken_and_bad_ones_refused_as_the_readme_shows(gunicorn, tmp_path):
    copy = Path(shutil.copytree(HERE, tmp_path / "recipe"))
    args = ["--chdir", str(copy), "--config", str(copy / "gunicorn.conf.py")]
    server = gunicorn("app:app", workers=4, args=args)
    for _ in range(20):  # until the workers have loaded
        assert requests.get(server.url, timeout=10).headers["X-Version"] == "1"
    check_sessions(copy / "README.md", server.url, copy)
    server.wait_for(
        'reload refused, the configuration in force stays: gateway.yaml: plugins[0].name: no plugin "verison"'
    )
