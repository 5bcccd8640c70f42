"""What a guard sees of a request."""

from __future__ import annotations

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from plugmw.wsgi.paths import TOO_MANY
from plugmw.wsgi.readings import arguments, covered, host_names, methods, mount, mounted_path, paths
from tests.support.wsgi import environ_of


@pytest.mark.parametrize(
    ("method", "headers", "ways"),
    [
        ("GET", {}, ("GET",)),
        ("HEAD", {}, ("HEAD",)),
        ("get", {}, ("get", "GET")),
        ("POST", {"HTTP_X_HTTP_METHOD_OVERRIDE": " delete "}, ("POST", "DELETE")),
        ("POST", {"HTTP_X_HTTP_METHOD": "PUT", "HTTP_X_METHOD_OVERRIDE": "patch"}, ("POST", "PUT", "PATCH")),
        ("POST", {"HTTP_X_HTTP_METHOD_OVERRIDE": "POST"}, ("POST",)),
        ("POST", {"HTTP_X_HTTP_METHOD_OVERRIDE": ""}, ("POST",)),
    ],
)
def test_a_method_is_read_as_sent_first(method, headers, ways):
    assert methods(environ_of("/", method, **headers)) == ways


def test_a_guard_on_get_covers_head():
    assert covered(["GET", "POST"]) == {"GET", "HEAD", "POST"}
    assert covered(["HEAD"]) == {"HEAD"}


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("example.org", "example.org", "80"),
        ("Example.ORG.", "example.org", "80"),
        ("example.org..", "example.org", "80"),
        ("example.org.:8080", "example.org", "8080"),
        ("example.org:", "example.org", "80"),
        ("example.org:0080", "example.org", "80"),
        ("example.org:0", "example.org", "0"),
        ("me:word@example.org:81", "example.org", "81"),
        (" example.org ", "example.org", "80"),
        ("[::1]:81", "[::1]", "81"),
        ("[::1]", "[::1]", "80"),
        ("a:b", "a:b", "80"),
        ("", "", "80"),
    ],
)
def test_a_host_has_one_form(host, name, port):
    assert host_names(host, "http") == (name, f"{name}:{port}")


def test_a_port_that_is_not_there_is_the_schemes():
    assert host_names("a", "https") == ("a", "a:443")
    assert host_names("a:80", "https") == ("a", "a:80")


SPOOFS = {
    "gunicorn's header": ({"HTTP_SCRIPT_NAME": "/x"}, True),
    "with slashes": ({"HTTP_SCRIPT_NAME": "x/"}, True),
    "the last of several": ({"HTTP_SCRIPT_NAME": "/y,/x"}, True),
    "a part of it": ({"HTTP_X_FORWARDED_PREFIX": "/x"}, True),
    "a middleware's": ({"HTTP_X_SCRIPT_NAME": "/x"}, True),
    "of another mount": ({"HTTP_X_FORWARDED_PREFIX": "/y"}, False),
    "another header": ({"HTTP_X_ORIGINAL_URI": "/x"}, False),
    "none": ({}, False),
}


@pytest.mark.parametrize("name", SPOOFS)
def test_path_info_is_read_alone_where_a_client_could_have_said_the_mount(name):
    headers, alone = SPOOFS[name]
    path = paths(environ_of("/admin", SCRIPT_NAME="/x", **headers))
    assert (path.normal, path.too_many) == ("/x/admin", False)
    assert set(path.ways) == ({"/x/admin", "/admin"} if alone else {"/x/admin"})


@pytest.mark.parametrize("name", SPOOFS)
def test_a_mount_that_a_client_could_have_said_is_none(name):
    headers, said = SPOOFS[name]
    assert mount(environ_of("/admin", SCRIPT_NAME="/x", **headers)) == ("" if said else "/x")
    assert mount(environ_of("/admin", **headers)) == ""


def test_a_mount_below_one_that_a_client_says_is_read_without_that():
    environ = environ_of("/admin", SCRIPT_NAME="/evil/x", HTTP_X_FORWARDED_PREFIX="/evil")
    assert set(paths(environ).ways) == {"/evil/x/admin", "/x/admin"}


def test_what_a_client_says_is_read_as_the_mount_that_the_server_is_started_with(monkeypatch):
    monkeypatch.setenv("SCRIPT_NAME", "/site")
    environ = environ_of("/admin", SCRIPT_NAME="/site/x", HTTP_SCRIPT_NAME="/site/x")
    assert set(paths(environ).ways) == {"/site/x/admin", "/x/admin", "/admin", "/site/admin"}
    environ = environ_of("/admin", SCRIPT_NAME="/site", HTTP_SCRIPT_NAME="/site")
    assert set(paths(environ).ways) == {"/site/admin"}
    assert mount(environ) == "/site"


def test_what_a_client_says_is_read_as_the_mount_that_proxy_fix_has_replaced():
    environ = environ_of("/admin", SCRIPT_NAME="/x", HTTP_X_FORWARDED_PREFIX="/x")
    fix = ProxyFix(lambda environ, _: [set(paths(environ).ways)], x_prefix=1)
    assert fix({**environ, "SCRIPT_NAME": "/site"}, None) == [{"/x/admin", "/admin", "/site/admin"}]


@pytest.mark.parametrize(
    ("said", "script"),
    [('"/public"', "/public"), ('"/pub\\lic"', "/public"), ("/z,/c,d", "/c,d"), ("/x\xa0", "/x\xa0")],
    ids=["quoted", "escaped in quotes", "the last of two", "a blank that is none"],
)
def test_a_mount_is_a_clients_however_the_server_reads_the_header(said, script):
    environ = environ_of("/admin", SCRIPT_NAME=script, HTTP_X_FORWARDED_PREFIX=said)
    assert "/admin" in paths(environ).ways
    assert mount(environ) == ""


def test_proxy_fix_unquotes_a_prefix_and_its_app_is_guarded_all_the_same():
    environ = environ_of("/admin", HTTP_X_FORWARDED_PREFIX='"/public"')
    fix = ProxyFix(lambda environ, _: [set(paths(environ).ways), environ["SCRIPT_NAME"]], x_prefix=1)
    assert fix(environ, None) == [{"/public/admin", "/admin"}, "/public"]


def test_a_slash_that_frameworks_put_behind_the_mount_is_read():
    assert set(paths(environ_of("admin", SCRIPT_NAME="/x")).ways) == {"/xadmin", "/x/admin"}
    assert set(paths(environ_of("", SCRIPT_NAME="/x")).ways) == {"/x", "/x/"}
    assert set(paths(environ_of("admin", SCRIPT_NAME="/x/")).ways) == {"/x/admin"}
    assert set(paths(environ_of("")).ways) == {"/"}


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"SCRIPT_NAME": "/x", "PATH_INFO": "/a"}, "/x/a"),
        ({"SCRIPT_NAME": "/x/", "PATH_INFO": "/a"}, "/x/a"),
        ({"SCRIPT_NAME": "/x", "PATH_INFO": "a"}, ""),
        ({"SCRIPT_NAME": "/x", "PATH_INFO": ""}, ""),
        ({"SCRIPT_NAME": "/x", "PATH_INFO": "/a", "HTTP_X_FORWARDED_PREFIX": "/y"}, ""),
    ],
)
def test_a_path_below_a_mount_is_known_at_once_where_nobody_could_cut_it_elsewhere(environ, path):
    assert mounted_path(environ) == path


def test_every_reading_of_a_path_is_one_of_its_ways():
    path = paths(environ_of("/a/%2e%2e/b"))
    assert path.normal == "/a/%2e%2e/b"
    assert {"/a/%2e%2e/b", "/b", "/a/../b"} <= set(path.ways)
    assert not path.too_many


def test_a_path_that_has_too_many_readings_says_so():
    assert paths(environ_of("/a/%" + "25" * TOO_MANY + "41;x\\ //y")).too_many


@pytest.mark.parametrize(
    ("query", "values"),
    [("a=0&a=1", ["0", "1"]), ("a", [""]), ("", [""]), ("%61=%31&b=2", ["1"]), ("a=1;a=2", ["1;a=2"])],
)
def test_an_argument_has_all_its_values(query, values):
    assert arguments(environ_of(QUERY_STRING=query), "a") == values
