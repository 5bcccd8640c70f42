"""The README's session against the recipe under gunicorn with two workers, and the same files as a bundle."""

import json
import subprocess
import sys
from pathlib import Path

import requests

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent
ARGS = ["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")]
KEY = {"Authorization": "47a0c79c427728b3"}
APP = """
import os, sys
os.chdir({here!r})
sys.path.insert(0, "")
from app import people
from plugmw import Gateway
app = Gateway(people, {definition!r})
"""


def test_answers_as_the_readme_shows(gunicorn):
    check_sessions(HERE / "README.md", gunicorn("app:app", workers=2, args=ARGS).url)


def test_what_hooks_log_is_in_the_log_of_the_server(gunicorn):
    server = gunicorn("app:app", workers=2, args=ARGS)
    answer = requests.get(f"{server.url}/people/", headers=KEY, timeout=10)
    assert (answer.headers["X-Signed"], answer.headers["Content-Length"]) == ("yes", str(len(answer.content)))
    server.wait_for("greeting ann on API people")


def test_the_same_files_work_as_a_bundle(gunicorn, tmp_path):
    build = ["bundle", "build", "-y", "-o", str(tmp_path / "people.zip")]
    subprocess.run([sys.executable, "-m", "plugmw", *build], cwd=HERE / "bundle", check=True, timeout=60)
    definition = json.loads((HERE / "api.json").read_text())
    del definition["custom_middleware"]
    definition["custom_middleware_bundle"] = "people.zip"
    conf = {"enable_bundle_downloader": True, "bundle_base_url": tmp_path.as_uri()}
    definition["plugmw"] = {"tyk_conf": {**conf, "middleware_path": str(tmp_path / "middleware")}}
    (tmp_path / "api.json").write_text(json.dumps(definition))
    app = APP.format(here=str(HERE), definition=str(tmp_path / "api.json"))
    server = gunicorn(app, workers=2)
    assert requests.get(f"{server.url}/people/", timeout=10).json() == {"error": "Forbidden"}
    assert requests.get(f"{server.url}/people/", headers=KEY, timeout=10).json()["signed_for"] == "ann"
