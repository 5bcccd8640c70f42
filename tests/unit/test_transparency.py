"""Flask and Django are what they are, under no plugins and under plugins that do nothing in every phase."""

from __future__ import annotations

from tests.support.compare import ask
from tests.support.real_apps import REQUESTS, flask_app
from tests.support.servers import require_module


def test_the_apps_do_what_they_are_there_for():
    require_module("flask")
    app = flask_app()
    statuses = {
        (method, path): ask(app, method, path, headers).status[:3] for method, path, headers in REQUESTS
    }
    assert statuses["GET", "/json"] == statuses["GET", "/large"] == "200"
    paths = ("/redirect", "/empty", "/forbidden", "/not-there", "/crash")
    assert [statuses["GET", path] for path in paths] == ["303", "204", "403", "404", "500"]
    assert statuses["POST", "/json"] == "405"
    assert ask(app, "GET", "/file", {"Range": "bytes=5-9"}).body == b"56789"
    assert ask(flask_app(testing=True), "GET", "/crash", {}).raised is not None
