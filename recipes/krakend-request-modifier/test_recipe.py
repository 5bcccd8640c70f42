"""The README's session, from the recipe under gunicorn."""

from pathlib import Path

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


def test_answers_as_the_readme_shows(gunicorn):
    server = gunicorn("app:app", args=["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")])
    check_sessions(HERE / "README.md", server.url)
