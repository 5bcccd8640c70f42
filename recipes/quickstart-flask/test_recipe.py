"""The README's session, run against the recipe under gunicorn with four workers."""

import time
from pathlib import Path

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent


def test_answers_as_the_readme_shows(gunicorn):
    server = gunicorn(
        "app:app", workers=4, args=["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")]
    )
    # Limits are per minute of the clock: begin where one is not about to end.
    if time.time() % 60 > 50:
        time.sleep(61 - time.time() % 60)
    check_sessions(HERE / "README.md", server.url)
