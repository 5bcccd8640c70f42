"""The README's session against the recipe under gunicorn, and the same function in a gateway."""

from pathlib import Path

import requests

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent
ARGS = ["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")]


def test_answers_as_the_readme_shows(gunicorn):
    check_sessions(HERE / "README.md", gunicorn("app:app", args=ARGS).url)


def test_does_the_same_in_a_gateway(gunicorn):
    server = gunicorn("plugmw:wrap('app:orders', 'gateway.yaml')", args=ARGS)
    answer = requests.get(server.url, timeout=10)
    assert answer.json() == {"message": "Hi! I'm a response plugin"}
    assert answer.headers["X-Response-Added"] == "resp-added"
