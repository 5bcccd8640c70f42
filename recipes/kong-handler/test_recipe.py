"""The README's session against the recipe under gunicorn with two workers."""

from pathlib import Path

import requests

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent
ARGS = ["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")]


def test_answers_as_the_readme_shows(gunicorn):
    check_sessions(HERE / "README.md", gunicorn("app:app", workers=2, args=ARGS).url)


def test_starts_once_in_each_worker_and_logs(gunicorn):
    server = gunicorn("app:app", workers=2, args=ARGS)
    server.wait_for("[my-custom-plugin] started in worker", times=2)
    server.wait_for("[my-custom-plugin] configurations: 2", times=2)
    answer = requests.get(f"{server.url}/loud", timeout=10)
    assert int(answer.headers["X-Worker"]) in server.worker_pids()
    assert answer.headers["Content-Length"] == str(len(answer.content))
    server.wait_for("[my-custom-plugin] /loud 200")
