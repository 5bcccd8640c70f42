"""One normalised path, and every other way to read it."""

from __future__ import annotations

import pytest

from plugmw.wsgi.paths import (
    SENDABLE,
    TOO_MANY,
    escape,
    full_path,
    interpretations,
    is_plain,
    normalise,
    unescape,
)

NORMAL = {
    "/": "/",
    "": "/",
    "a": "/a",
    "/a/b": "/a/b",
    "/a/b/": "/a/b/",
    "//a": "/a",
    "/a//b///c": "/a/b/c",
    "/a/./b": "/a/b",
    "/a/../b": "/b",
    "/a/b/..": "/a/",
    "/a/b/.": "/a/b/",
    "/..": "/",
    "/../../a": "/a",
    "/a/../..": "/",
    "/.hidden": "/.hidden",
    "/...": "/...",
    "/a/..b": "/a/..b",
    "///": "/",
}


@pytest.mark.parametrize(("path", "normal"), NORMAL.items(), ids=[repr(path) for path in NORMAL])
def test_a_path_is_normalised(path, normal):
    assert normalise(path) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize("path", ["/", "/a/b-c_d~e.f", "/caf\xc3\xa9", "/a:b@c"])
def test_a_plain_path_reads_one_way(path):
    assert is_plain(path)
    assert interpretations(path) == {path}


READINGS = {
    "/a/../admin": "/admin",
    "/admin/../x": "/admin/../x",
    "//admin": "/admin",
    "/%61dmin": "/admin",
    "/%2561dmin": "/admin",
    "/a%2f..%2fadmin": "/admin",
    "/admin;x=1": "/admin",
    "/admin;x=1/y": "/admin/y",
    "/a/..;/admin": "/admin",
    "\\admin": "/admin",
    "/a\\..\\admin": "/admin",
    "/ad\tmin": "/admin",
    "/ad\x00min": "/admin",
    "/admin ": "/admin",
    "/%5cadmin": "/admin",
    "/a/%2e%2e/admin": "/admin",
}


@pytest.mark.parametrize(("path", "reading"), READINGS.items(), ids=[repr(path) for path in READINGS])
def test_lenient_readings_are_found(path, reading):
    assert not is_plain(path)
    assert reading in interpretations(path)
    assert path in interpretations(path)


def test_a_path_made_to_have_very_many_readings_is_cut():
    path = "/%" + "25" * 500 + "61"
    assert len(interpretations(path)) >= TOO_MANY
    assert len(interpretations(path)) < TOO_MANY + 10


JOINS = {
    ("", "/a"): "/a",
    ("/v1", "/a"): "/v1/a",
    ("/v1", ""): "/v1",
    ("/v1/", "/a"): "/v1/a",
    ("/v1/", ""): "/v1/",
    ("", ""): "/",
    ("", "*"): "/*",
    ("/v1", "//a"): "/v1//a",
}


@pytest.mark.parametrize(("parts", "path"), JOINS.items(), ids=list(map(str, JOINS)))
def test_script_name_and_path_are_joined_by_one_slash(parts, path):
    assert full_path({"SCRIPT_NAME": parts[0], "PATH_INFO": parts[1]}) == path


def test_a_server_may_leave_both_out():
    assert full_path({}) == "/"


@pytest.mark.parametrize(
    ("path", "escaped"),
    [("/a b", "/a%20b"), ("/\xc3\xa9%", "/%C3%A9%25"), ("/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@")],
)
def test_what_a_path_may_not_hold_is_escaped(path, escaped):
    assert escape(path) == escaped
    assert unescape(escaped) == path


def test_what_cannot_be_sent_is_escaped_in_a_target_that_has_escapes_already():
    assert escape("/a%2F b\xe9", SENDABLE) == "/a%2F%20b%E9"
