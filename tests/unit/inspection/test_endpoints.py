"""What show and explain say of a krakend.json: its endpoints, and the calls that a request would make."""

import json
import re

import pytest

from plugmw.cli import main
from plugmw.configuration.plan import read_plan
from plugmw.inspection import description
from plugmw.inspection.explain import Request, explain

PLUGIN = """
class Registerer:
    def register_modifiers(self, f):
        f("moves", self.moves, True, False)

    def register_clients(self, f):
        f("mine", lambda context, extra: self.never)

    def moves(self, extra):
        def modify(req):
            req.path = "/moved"
        return modify

    def never(self, environ, start_response):
        raise AssertionError("no client is asked")

ClientRegisterer = ModifierRegisterer = Registerer()
"""


def document(*endpoints, **fields):
    return {"version": 3, "host": ["http://users:8080"], "endpoints": list(endpoints), **fields}


def endpoint(path="/users/{id}", *patterns, **fields):
    backends = [one if isinstance(one, dict) else {"url_pattern": one} for one in patterns or ("/v2/{id}",)]
    return {"endpoint": path, "backend": backends, **fields}


def calls(explanation):
    return [(call["method"], call["url"]) for call in explanation["endpoint"]["calls"]]


def test_explain_tells_the_endpoint_and_its_backend_calls_in_order():
    told = explain(document(endpoint("/users/{id}", "/v2/{id}", "/v3/{id}")), Request("GET", "/users/7"))
    assert told["endpoint"] == {
        "outcome": "matched",
        "method": "GET",
        "endpoint": "/users/{id}",
        "where": "endpoints[0]",
        "calls": [
            {
                "method": "GET",
                "url": f"http://users:8080/{version}/7",
                "hosts": ["http://users:8080"],
                "times": 1,
                "plugin": None,
                "headers": ["User-Agent", "X-Forwarded-For", "X-Forwarded-Host"],
                "where": f"endpoints[0].backend[{number}]",
            }
            for number, version in enumerate(("v2", "v3"))
        ],
    }
    assert (told["answer"]["status"], told["answer"]["by"], told["app"]["called"]) == (200, "krakend", False)


def test_explain_makes_the_calls_of_the_endpoint_that_matches_and_no_others():
    both = document(endpoint("/a", "/one"), endpoint("/b", "/two", method="POST"))
    told = explain(both, Request("POST", "/b"))
    assert (told["endpoint"]["where"], calls(told)) == (
        "endpoints[1]",
        [("POST", "http://users:8080/two")],
    )


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no", 200), ("PUT", "/users/7", 405)])
def test_explain_says_that_no_endpoint_matches(method, path, status):
    told = explain(document(endpoint()), Request(method, path))
    assert (told["endpoint"]["outcome"], calls(told), told["answer"]["status"]) == ("none", [], status)


def test_a_refusal_before_the_endpoints_is_told_as_not_reached():
    told = explain(
        document(endpoint()),
        Request("GET", "/users/7"),
        plugins=[{"name": "ip-restriction", "config": {"deny": ["127.0.0.1"]}}],
    )
    assert (told["endpoint"]["outcome"], told["answer"]["by"]) == ("not reached", "ip-restriction")


def test_queries_are_those_that_the_endpoint_lets_through_and_other_values_are_hidden():
    one = document(endpoint("/x", "/y?key=secret", input_query_strings=["q"]))
    assert calls(explain(one, Request("GET", "/x?q=1&z=2"))) == [("GET", "http://users:8080/y?key=...&q=1")]


def test_calls_at_once_and_further_hosts_are_told():
    one = endpoint("/x", {"url_pattern": "/y", "host": ["http://a", "http://b"]}, concurrent_calls=3)
    (call,) = explain(document(one), Request("GET", "/x"))["endpoint"]["calls"]
    assert (call["url"], call["hosts"], call["times"]) == ("http://a/y", ["http://a", "http://b"], 3)


def test_modifiers_run_and_client_plugins_are_named_and_not_asked(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    extra = {"plugin/req-resp-modifier": {"name": ["moves"]}, "plugin/http-client": {"name": "mine"}}
    one = endpoint("/x", {"url_pattern": "/y", "extra_config": extra})
    told = explain(document(one, plugin={"folder": str(tmp_path)}), Request("GET", "/x"))
    (call,) = told["endpoint"]["calls"]
    assert (call["url"], call["plugin"]) == ("http://users:8080/moved", "mine")


def test_a_backend_that_is_the_app_counts_as_calling_it():
    told = explain(document(endpoint("/x", {"url_pattern": "/y", "host": ["app:"]})), Request("GET", "/x"))
    assert (calls(told), told["app"]["called"]) == ([("GET", "app:/y")], True)


def test_show_lists_all_endpoints_and_explain_prints_the_calls(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    one = endpoint("/a/{id}", "/v2/{id}", {"url_pattern": "/v3?key=secret"})
    one["backend"][1]["disable_host_sanitize"] = True
    one["backend"][1]["host"] = ["http://me:secret@h1", "http://h2"]
    two = endpoint("/b", "/c", method="PUT", concurrent_calls=2)
    (tmp_path / "krakend.json").write_text(json.dumps(document(one, two)))
    assert main(["show", "krakend.json"]) == 0
    listed = capsys.readouterr().out.partition("\nendpoints\n")[2]
    assert [line.split("  ") for line in re.sub(" {2,}", "  ", listed).splitlines()] == [
        ["", "method", "endpoint", "backend", "from"],
        ["", "GET", "/a/{id}", "GET http://users:8080/v2/{id}", "endpoints[0].backend[0]"],
        ["", "GET http://h1/v3?key=... (or http://h2)", "endpoints[0].backend[1]"],
        ["", "PUT", "/b", "PUT http://users:8080/c", "endpoints[1].backend[0]"],
    ]
    assert main(["explain", "krakend.json", "PUT", "/b"]) == 0
    assert capsys.readouterr().out.splitlines()[4:6] == [
        "endpoint: PUT /b (endpoints[1])",
        "  asks PUT http://users:8080/c (endpoints[1].backend[0]), 2 times at once",
    ]


def test_show_of_other_files_has_no_endpoints():
    assert "endpoints" not in description.show(read_plan({}))
