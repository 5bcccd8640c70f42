"""A folder of plugin files, and an app round which its functions stand."""

from __future__ import annotations

import textwrap

import pytest

HELLO = """
    import json

    HTTPVars: dict = {}
    URLQuery: dict

    def GETHelloHandler():
        resp = {"http_vars": HTTPVars, "url_query": URLQuery, "msg": "Hello plugin caller!"}
        return json.dumps(resp, separators=(",", ":"))

    def GETHelloWithStatusHandler():
        return GETHelloHandler(), 202
"""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app"]


@pytest.fixture
def write(tmp_path):
    """Write a file of the folder ``tmp_path/lib``; returns its path."""

    def write(name, text):
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def lib(tmp_path, write):
    """The folder, with prestd's example in it."""
    write("hello.py", HELLO)
    return str(tmp_path / "lib")
