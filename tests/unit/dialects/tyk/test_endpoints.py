"""Plugins of single endpoints."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugmw.dialects.tyk import endpoints
from plugmw.dialects.tyk.definition import load_definitions, translate
from plugmw.dialects.tyk.endpoints import Endpoint, First
from plugmw.documents.translated import Options
from plugmw.schema.patterns import LONGEST
from plugmw.wsgi import readings
from tests.support.wsgi import environ_of
from tests.unit.dialects.tyk.conftest import headers_seen
from tests.unit.dialects.tyk.test_definition import definition, problems, warnings

ENDPOINTS = """
def _mark(name):
    def hook(rw, r):
        r.Header.Add("X-Endpoint", name)
    return hook

one, two, three = map(_mark, ["one", "two", "three"])
"""


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/users/5", "one"),
        ("GET", "/api/users/5/posts", "one"),
        ("POST", "/api/users/5", "two"),
        ("GET", "/api/exact", "three"),
        ("GET", "/api/exact/not", None),
        ("GET", "/api/other", None),
        ("DELETE", "/api/users/5", None),
        ("GET", "/api/a/../users/5", "one"),
        ("GET", "/api/users%2f5", "one"),
        ("post", "/api/users/5", "two"),
    ],
)
def test_endpoints_have_plugins_of_their_own_and_the_first_that_matches_runs(
    serve, tmp_path, method, path, expected
):
    file = str(tmp_path / "plugin.so")
    plugins = [
        {"path": "/users", "method": "GET", "plugin_path": file, "func_name": "none", "disabled": True},
        {"path": "/users/{id}", "method": "GET", "plugin_path": file, "func_name": "one"},
        {"path": "/users", "method": "POST", "plugin_path": file, "func_name": "two"},
        {"path": "/users", "method": "GET", "plugin_path": file, "func_name": "three"},
        {"path": "^/exact$", "method": "GET", "plugin_path": file, "func_name": "three"},
    ]
    versions = {"Default": {"use_extended_paths": True, "extended_paths": {"go_plugin": plugins}}}
    client = serve(ENDPOINTS, version_data={"not_versioned": True, "versions": versions})
    assert headers_seen(client.open(path, method=method)).get("X-Endpoint") == expected


def test_the_readings_of_a_request_are_worked_out_once_for_all_endpoints(monkeypatch):
    asked = []
    monkeypatch.setattr(endpoints, "paths", lambda environ: asked.append(environ) or readings.paths(environ))
    x = SimpleNamespace(environ=environ_of("/a/../x"), route=None)
    every = [Endpoint("GET", path) for path in ("/a", "/b", "^/x")]
    assert [First(every[:count], one)(x) for count, one in enumerate(every)] == [True, False, True]
    assert len(asked) == 1
    # What a hook has changed is looked at as it is then.
    x.environ["PATH_INFO"] = "/b"
    assert [one(x) for one in every] == [False, True, False]
    assert len(asked) == 2


def test_a_path_that_is_too_long_to_be_looked_at_is_one_of_every_endpoint_of_its_method():
    x = SimpleNamespace(environ=environ_of("/" + "a" * LONGEST), route=None)
    first, second, other = Endpoint("GET", "/x"), Endpoint("GET", "/y"), Endpoint("POST", "/y")
    assert First([], first)(x)
    assert First([first], second)(x)
    assert not First([first], other)(x)
    x.environ = environ_of("/" + "a" * (LONGEST - 1))
    assert not First([], first)(x)


def test_a_pattern_is_text_and_a_path_is_what_wsgi_carries():
    x = SimpleNamespace(environ=environ_of("/caf\u00c3\u00a9"), route=None)
    assert [Endpoint("GET", path)(x) for path in ("/café$", "/caf.$", "/cafe")] == [True, True, False]


def test_an_endpoint_of_get_is_one_of_head():
    x = SimpleNamespace(environ=environ_of("/x", "HEAD"), route=None)
    assert Endpoint("GET", "/x")(x)
    assert not Endpoint("POST", "/x")(x)


def test_an_endpoint_that_names_head_is_meant_though_one_of_get_stands_before_it():
    get, head = Endpoint("GET", "/x"), Endpoint("HEAD", "/x")
    x = SimpleNamespace(environ=environ_of("/x", "HEAD"), route=None)
    assert First([get], head)(x)
    assert not First([head], Endpoint("HEAD", "/x"))(x)
    assert not First([get], Endpoint("GET", "/x"))(x)


def test_an_endpoint_is_meant_by_one_reading_that_no_endpoint_before_it_is_meant_by():
    x = SimpleNamespace(environ=environ_of("/x;/y", "POST", HTTP_X_HTTP_METHOD_OVERRIDE="GET"), route=None)
    first, second = Endpoint("GET", "/x"), Endpoint("POST", "/x")
    assert First([], first)(x)
    assert First([first], second)(x)
    assert not First([second], Endpoint("POST", ";"))(x)


def paths(**extended):
    versions = {"v1": {"use_extended_paths": True, "extended_paths": extended}}
    return definition(version_data={"not_versioned": True, "versions": versions})


def test_endpoints_that_are_not_complete_are_errors():
    good = {"path": "/x", "method": "GET", "plugin_path": "p.so", "func_name": "F"}
    found = problems(paths(go_plugin=[5, {**good, "path": ""}, {**good, "path": "("}]))
    place = "version_data.versions.v1.extended_paths.go_plugin"
    assert found[:2] == [
        f"{place}[0]: is not complete, expected path, method, plugin_path and func_name",
        f"{place}[1]: is not complete, expected path, method, plugin_path and func_name",
    ]
    assert found[2].startswith(f"{place}[2].path: got '(', expected a regular expression")


def test_other_extended_paths_are_errors_if_they_decide_who_may_pass_and_warnings_otherwise():
    listed = [{"path": "/x"}]
    found = problems(paths(white_list=listed, black_list=[{"disabled": True}], ignored=listed, cache=["x"]))
    place = "version_data.versions.v1.extended_paths"
    assert [message.partition(",")[0] for message in found] == [
        f"{place}.white_list: has no counterpart",
        f"{place}.ignored: has no counterpart",
    ]
    assert warnings(paths(cache=["x"], transform=[])) == [
        f"{place}.cache: is left out: requests to these endpoints go on as others"
    ]


def test_extended_paths_that_are_switched_off_do_nothing():
    made = paths(white_list=[{"path": "/x"}])
    made["version_data"]["versions"]["v1"]["use_extended_paths"] = False
    assert not warnings(made)


def test_versions_are_an_error():
    made = paths()
    made["version_data"]["not_versioned"] = False
    assert not warnings(made)
    made["version_data"]["versions"]["v2"] = {}
    expected = (
        "version_data.not_versioned: versions have no counterpart, expected true, and an API per version"
    )
    assert problems(made) == [expected]


@pytest.mark.parametrize("where", [{"key": "X-Version"}, {"location": "url"}])
def test_a_single_version_that_requests_have_to_name_is_an_error(where):
    made = {**paths(), "definition": where}
    assert not problems_of(made)
    made["version_data"]["not_versioned"] = False
    assert problems_of(made) == [
        "version_data.not_versioned: versions have no counterpart, expected true, and an API per version"
    ]


def problems_of(fields):
    """Return what is wrong with a definition, nothing if it is good."""
    plan = translate(load_definitions(fields), Options())
    return [str(error) for error in plan.errors]
