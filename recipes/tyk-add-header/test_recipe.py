"""The README's session against the recipe under gunicorn, with its upstream."""

import json
import shutil
from pathlib import Path

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


def test_answers_as_the_readme_shows(gunicorn, tmp_path):
    upstream = gunicorn("echo:app", args=["--chdir", str(HERE)])
    folder = tmp_path / "recipe"
    shutil.copytree(HERE, folder)
    definition = json.loads((folder / "api.json").read_text(encoding="utf-8"))
    definition["proxy"]["target_url"] = f"{upstream.url}/"
    (folder / "api.json").write_text(json.dumps(definition), encoding="utf-8")
    server = gunicorn("app:app", args=["--chdir", str(folder), "--config", str(HERE / "gunicorn.conf.py")])
    check_sessions(folder / "README.md", server.url)
