"""The docs say all that there is: plugins, fields, phases, errors, commands; and link only to what exists."""

from __future__ import annotations

from tests.support.servers import ROOT


def test_the_session_of_the_readme_is_what_happens(gunicorn):
    import time

    from tests.support.transcript import check_sessions

    recipe = ROOT / "recipes/quickstart-flask"
    server = gunicorn(
        "app:app", workers=4, args=["--chdir", str(recipe), "--config", str(recipe / "gunicorn.conf.py")]
    )
    if time.time() % 60 > 50:
        time.sleep(61 - time.time() % 60)
    check_sessions(ROOT / "README.md", server.url)
