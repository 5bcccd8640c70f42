"""Middleware plugins of every shape."""

from __future__ import annotations

import logging

import pytest
from werkzeug.test import Client

from plugmw import Functions
from plugmw.dialects.prest.loading import Folder
from plugmw.dialects.prest.middlewares import wrapped
from plugmw.errors import LoadError
from tests.unit.dialects.prest.conftest import app

DIRECT = """
def {0}MiddlewareLoad(rw, rq, next):
    rw.header().add("Link", "{0}")
    next(rw, rq)
"""
LOADER = """
def {0}MiddlewareLoad():
    def handler(rw, rq, next):
        rw.header().add("Link", "{0}")
        next(rw, rq)
    return handler
"""
WSGI = """
def {0}MiddlewareLoad(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("Link", "{0}")], exc_info)
        return app(environ, start)
    return wrapped
"""
LOADS_WSGI = WSGI.replace("{0}MiddlewareLoad(app)", "made(app)") + "\ndef {0}MiddlewareLoad(): return made\n"


@pytest.fixture
def seen(lib, write):
    """Write middlewares by name, and ask a path for those it passed."""

    def seen(sources, path="/", **config):
        for name, source in sources.items():
            write(f"middlewares/{name}.py", source.format(name))
        items = [{"file": name, "func": name} for name in sources]
        response = Client(Functions(app, lib, middlewares=items, **config)).get(path)
        assert response.status_code == 200
        return response.headers.getlist("Link")

    return seen


@pytest.mark.parametrize(
    "source", [DIRECT, LOADER, WSGI, LOADS_WSGI], ids=["func", "loader", "wsgi", "loads-wsgi"]
)
def test_every_shape_is_used(seen, source):
    assert seen({"Hello": source}) == ["Hello"]


def test_all_entries_are_used_the_first_one_outermost(seen):
    stop = """
def {0}MiddlewareLoad(rw, rq, next):
    if rq.url_path == "/stop":
        rw.write("stopped")
    else:
        next(rw, rq)
"""
    # An outer one adds its header after the inner ones.
    assert seen({"A": DIRECT, "B": LOADER}) == ["B", "A"]
    assert seen({"A": DIRECT, "Stop": stop, "B": DIRECT}, "/stop") == ["A"]


def test_they_are_round_the_functions_too_but_in_compat(seen):
    assert seen({"Hello": DIRECT}, "/_PLUGIN/hello/Hello") == ["Hello"]
    assert seen({"Hello": DIRECT}, "/_PLUGIN/hello/Hello", compat=True) == []
    assert seen({"Hello": DIRECT}, "/", compat=True) == ["Hello"]


UNUSABLE = {
    "missing": (None, 'plugin.Open("Hello"): realpath failed'),
    "empty": ("", "plugin: symbol HelloMiddlewareLoad not found in plugin Hello"),
    "no-callable": ("HelloMiddlewareLoad = 5", "is no func(rw, rq, next), nor returns one"),
    "two-arguments": ("def HelloMiddlewareLoad(a, b): ...", "is no func(rw, rq, next), nor returns one"),
    "loads-nothing": ("def HelloMiddlewareLoad(): ...", "is no func(rw, rq, next), nor returns one"),
    "no-app": ("def HelloMiddlewareLoad(app): ...", "returned NoneType, expected a WSGI app"),
    "raises": ("def HelloMiddlewareLoad(): raise OSError('no disk')", "no disk"),
    "syntax": ("def broken(", 'plugin.Open("Hello"): cannot be loaded'),
}


@pytest.mark.parametrize(("source", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_one_that_cannot_be_used_is_logged_and_left_out(lib, write, source, reason, caplog):
    write("middlewares/Good.py", DIRECT.format("Good"))
    if source is not None:
        write("middlewares/Hello.py", source)
    items = [{"file": name, "func": name} for name in ("Good", "Hello")]
    response = Client(Functions(app, lib, middlewares=items, strict=False)).get("/")
    assert (response.text, response.headers.getlist("Link")) == ("the app", ["Good"])
    assert any(message.startswith("middleware Hello of Hello left out: ") for message in caplog.messages)
    assert reason in caplog.text


def test_with_strict_it_is_an_error(lib):
    with pytest.raises(LoadError, match="realpath failed"):
        wrapped(app, Folder(lib, logging.getLogger()), [("no", "No")], logging.getLogger(), strict=True)


def test_a_library_cannot_be_a_middleware(lib, write, monkeypatch):
    from plugmw.dialects.prest import native

    write("n.so", "")
    monkeypatch.setattr(native, "open_library", lambda path, **options: object())
    with pytest.raises(LoadError, match="is in a library, expected a Python file"):
        wrapped(app, Folder(lib, logging.getLogger()), [("n", "N")], logging.getLogger(), strict=True)


def test_they_are_imported_when_the_worker_starts(lib, write, tmp_path):
    sign = tmp_path / "imported"
    write("middlewares/hello.py", f"open({str(sign)!r}, 'w').close()\n" + DIRECT.format("Hello"))
    served = Functions(app, lib, middlewares=[{"file": "hello", "func": "Hello"}])
    assert not sign.exists()
    served.start()
    assert sign.exists()
