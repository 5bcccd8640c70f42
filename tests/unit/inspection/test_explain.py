"""explain: the route, the calls, the exit, and that a dry run leaves no trace."""

from __future__ import annotations

import socket

import pytest

from plugmw.errors import ConfigError, ConfigErrors, LoadError
from plugmw.inspection.explain import Request, explain
from plugmw.kernel.dry_run import SideEffect
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.schema.patterns import LONGEST
from tests.support.samples import Caller, Key, Limit, Log, Rewriter, Wrapper

ROUTES = [
    {"name": "api", "paths": ["/api"], "service": "orders"},
    {"name": "admin", "paths": ["/admin"], "methods": ["GET"]},
]


def told(*plugins, method="GET", target="/", headers=(), run=False, consumer=None, **config):
    address = config.pop("address", "127.0.0.1")
    request = Request(method, target, headers, address)
    return explain(config, request, plugins=plugins, run=run, consumer=consumer)


def made(**members):
    return type("Made", (Plugin,), {"name": "made", **members})()


def cells(told_, name="made"):
    return next(row["phases"] for row in told_["entries"] if row["name"] == name)


# -- the request --------------------------------------------------------------------------------------


def test_a_target_is_decoded_once_as_a_server_does():
    environ = Request("GET", "/a%20b/%252e?x=%20").environ()
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a b/%2e", "x=%20")


def test_a_path_that_starts_with_two_slashes_is_no_host():
    assert Request("GET", "//admin/x").environ()["PATH_INFO"] == "//admin/x"


@pytest.mark.parametrize(
    ("target", "scheme", "host", "port", "path"),
    [
        ("https://shop.example/a?b", "https", "shop.example", "443", "/a"),
        ("http://shop.example:8080", "http", "shop.example:8080", "8080", "/"),
        ("/a", "http", "localhost", "80", "/a"),
    ],
)
def test_a_whole_url_gives_scheme_and_host(target, scheme, host, port, path):
    environ = Request("GET", target).environ()
    names = ("wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT", "PATH_INFO")
    assert tuple(environ[name] for name in names) == (scheme, host, port, path)


def test_repeated_headers_are_joined_and_a_host_replaces():
    headers = [("X-A", "1"), ("x-a", "2"), ("Host", "example.org"), ("Content-Type", "text/css")]
    environ = Request("GET", "/", headers).environ()
    assert (environ["HTTP_X_A"], environ["HTTP_HOST"]) == ("1,2", "example.org")
    assert environ["CONTENT_TYPE"] == "text/css"


# -- the route ----------------------------------------------------------------------------------------


def test_says_which_route_matches_and_why():
    route = told(routes=ROUTES, target="/admin/x")["route"]
    assert (route["outcome"], route["name"]) == ("matched", "admin")
    assert route["because"] == "the path starts with /admin, the method is one of its methods"


def test_names_the_service_of_the_route():
    assert told(routes=ROUTES, target="/api")["route"]["service"] == "orders"


def test_names_host_headers_and_patterns_as_reasons():
    routes = [{"name": "r", "paths": ["~/a+"], "hosts": ["localhost"], "headers": {"x-a": ["1"]}}]
    because = told(routes=routes, target="/aa", headers=[("X-A", "1")])["route"]["because"]
    assert because == "the path matches ~/a+, the host is one of its hosts, the headers are there"


def test_says_that_a_file_has_no_routes():
    assert told()["route"]["outcome"] == "no routes"


def test_says_that_no_route_matches():
    found = told(routes=ROUTES, target="/other")
    assert (found["route"]["outcome"], found["answer"]["by"]) == ("unrouted", "the app")


def test_says_that_requests_without_a_route_are_refused():
    found = told(Limit(minute=1), routes=ROUTES, target="/other", unrouted="404")
    assert (found["route"]["outcome"], found["entries"]) == ("refused", [])
    assert (found["answer"]["status"], found["answer"]["by"]) == (404, "plugmw")


def test_says_which_readings_of_a_path_make_it_ambiguous():
    found = told(routes=ROUTES, target="/api/%252e%252e/admin")
    assert (found["route"]["outcome"], found["answer"]["status"]) == ("ambiguous", 400)
    assert {"path": "/admin", "route": "admin"} in found["route"]["readings"]


def test_a_reading_without_a_route_is_told_too():
    found = told(routes=ROUTES, target="/x/%252e%252e/admin")
    assert {"path": "/x/%2e%2e/admin", "route": None} in found["route"]["readings"]


DECIDED = {
    "a method in another case": ({"paths": ["/"], "methods": ["GET"]}, {"method": "get"}, "ambiguous", 400),
    "a path longer than patterns look at": (
        {"paths": ["~/a+"]}, {"target": "/" + "a" * LONGEST}, "ambiguous", 400,
    ),
    "two interpretations": ({"paths": ["/admin"]}, {"target": "/x/%252e%252e/admin"}, "ambiguous", 400),
    "none": ({"paths": ["/admin"]}, {"target": "/x"}, "refused", 404),
    "https only": ({"paths": ["/"], "protocols": ["https"]}, {"target": "/x"}, "insecure", 426),
    "https only, by https": (
        {"paths": ["/"], "protocols": ["https"]}, {"target": "https://localhost/x"}, "matched", 200,
    ),
    "a match": ({"paths": ["/"]}, {"target": "/x"}, "matched", 200),
}  # fmt: skip


@pytest.mark.parametrize("rewriting", [False, True])
@pytest.mark.parametrize("name", DECIDED)
def test_tells_what_the_gateway_decides(name, rewriting):
    route, request, outcome, status = DECIDED[name]
    plugins = [made(rewrite=lambda self, x: None)] if rewriting else []
    found = told(*plugins, routes=[{"name": "r", **route}], unrouted="404", **request)
    assert (found["route"]["outcome"], found["answer"]["status"]) == (outcome, status)
    assert found["answer"]["by"] == ("the app" if outcome == "matched" else "plugmw")
    assert found["route"]["because"]
    assert found["route"]["name"] == ("r" if outcome in ("matched", "insecure") else None)


LOSERS = {
    "kinds": ({"paths": ["/a"]}, "has fewer kinds of conditions"),
    "hosts": ({"paths": ["/a"], "hosts": ["*.example"]}, "has only wildcard hosts"),
    "headers": ({"headers": {"x-a": ["1"]}, "hosts": ["h.example"]}, "has fewer headers"),
    "prefix": (
        {"paths": ["/a"], "hosts": ["h.example"]},
        "has a path prefix, and regular expressions come first",
    ),
    "priority": ({"paths": ["~/a"], "hosts": ["h.example"]}, "has a lower regex_priority"),
    "length": ({"paths": ["/a"], "hosts": ["h.example"]}, "has a shorter path"),
    "order": ({"paths": ["/a"], "hosts": ["h.example"]}, "is later in the file"),
}
WINNERS = {
    "kinds": {"paths": ["/a"], "hosts": ["h.example"]},
    "hosts": {"paths": ["/a"], "hosts": ["h.example"]},
    "headers": {"headers": {"x-a": ["1"], "x-b": ["1"]}, "hosts": ["h.example"]},
    "prefix": {"paths": ["~/a"], "hosts": ["h.example"]},
    "priority": {"paths": ["~/a"], "hosts": ["h.example"], "regex_priority": 1},
    "length": {"paths": ["/ab"], "hosts": ["h.example"]},
    "order": {"paths": ["/a"], "hosts": ["h.example"]},
}


@pytest.mark.parametrize("kind", LOSERS)
def test_says_why_another_route_that_matches_loses(kind):
    loser, because = LOSERS[kind]
    routes = [{"name": "winner", **WINNERS[kind]}, {"name": "loser", **loser}]
    if kind == "hosts":
        routes[1]["hosts"] = ["h.*"]
    headers = [("X-A", "1"), ("X-B", "1")]
    route = told(routes=routes, target="http://h.example/ab", headers=headers)["route"]
    assert (route["name"], route["also"]) == ("winner", [{"name": "loser", "because": because}])


def test_a_route_that_matches_by_two_paths_is_told_once():
    routes = [{"name": "a", "paths": ["/a/b"]}, {"name": "b", "paths": ["/a", "/"]}]
    route = told(routes=routes, target="/a/b")["route"]
    assert route["also"] == [{"name": "b", "because": "has a shorter path"}]


def test_routes_on_the_request_as_rewrite_left_it():
    routes = [{"name": "new", "paths": ["/new"]}]
    found = told(Rewriter(), routes=routes, target="/old")
    assert (found["route"]["name"], found["request"]["path"]) == ("new", "/new/old")
    assert cells(found, "rewriter") == {"rewrite": "ran"}


def test_an_exit_in_rewrite_comes_before_routing():
    plugin = made(rewrite=lambda self, x: x.exit(418))
    found = told(plugin, Limit(minute=1), routes=ROUTES, target="/api")
    assert found["route"]["outcome"] == "not reached"
    assert [row["name"] for row in found["entries"]] == ["made"]
    assert (found["answer"]["by"], found["answer"]["phase"]) == ("made", "rewrite")


# -- the calls ----------------------------------------------------------------------------------------


def test_tells_the_exit_and_what_it_kept_from_running():
    found = told(Key(key="k"), Limit(minute=1))
    assert cells(found, "key") == {"access": "exit 401"}
    assert cells(found, "limit") == {"access": "not called"}
    answer = found["answer"]
    assert (answer["status"], answer["by"], answer["phase"]) == (401, "key", "access")
    assert "No API key found" in answer["body"]
    assert not found["app"]["called"]


def test_tells_the_names_of_changed_headers_and_never_their_values():
    consumers = [{"username": "alice"}]
    found = told(Key(key="secret"), Limit(minute=7), consumers=consumers, headers=[("apikey", "secret")])
    key, limit = found["entries"]
    assert key["request_headers"] == ["X-Consumer-Id", "X-Consumer-Username"]
    assert limit["response_headers"] == ["X-RateLimit-Limit"]
    assert "secret" not in str(found)


def test_steps_are_in_the_order_of_the_calls():
    first = made(name="first", priority=2, access=lambda self, x: None, header_filter=lambda self, x: None)
    second = made(name="second", access=lambda self, x: None, body_filter=lambda self, x, chunk, eof: chunk)
    steps = [(step["entry"], step["phase"]) for step in told(first, second)["steps"]]
    assert steps == [
        ("first", "access"),
        ("second", "access"),
        ("first", "header_filter"),
        ("second", "body_filter"),
    ]


def test_a_failure_is_told_with_what_it_was():
    found = told(made(access=lambda self, x: 1 / 0))
    assert cells(found) == {"access": "failed"}
    assert found["entries"][0]["details"] == ["ZeroDivisionError: division by zero"]
    assert (found["answer"]["status"], found["answer"]["by"]) == (500, "made")
    assert "ZeroDivisionError" in found["messages"][0]


def test_a_failure_that_is_passed_over_does_not_make_the_answer():
    found = told(Entry(made(access=lambda self, x: 1 / 0), on_error="open"))
    assert (cells(found), found["answer"]["by"]) == ({"access": "failed"}, "the app")


def test_a_failing_body_filter_is_told():
    found = told(made(body_filter=lambda self, x, chunk, eof: 1 / 0))
    assert cells(found) == {"body_filter": "failed"}


def test_an_exception_that_leaves_the_gateway_is_told():
    def wrap(self, app):
        return lambda environ, start_response: 1 / 0

    answer = told(made(wrap=wrap))["answer"]
    assert (answer["status"], answer["error"]) == (None, "ZeroDivisionError: division by zero")


def test_a_wrapper_that_answers_is_named():
    def wrap(self, app):
        def answering(environ, start_response):
            start_response("202 Accepted", [])
            return [b"mine"]

        return answering

    answer = told(made(wrap=wrap))["answer"]
    assert (answer["status"], answer["by"], answer["phase"]) == (202, "made", "wrap")


def test_an_app_inside_a_wrapper_that_uses_write_is_heard():
    def wrap(self, app):
        def answering(environ, start_response):
            start_response("200 OK", [])(b"written")
            return []

        return answering

    assert told(made(wrap=wrap))["answer"]["body"] == "written"


def test_says_which_variant_is_in_force():
    plugins = [Entry(Limit(minute=1)), Entry(Limit(minute=9), consumer="alice"), Key(key="k")]
    consumers = [{"username": "alice"}]
    (_, row) = told(*plugins, consumers=consumers, headers=[("apikey", "k")])["entries"]
    assert (row["choice"], row["scope"]["consumer"]) == ("made", "alice")


def test_says_that_no_variant_applies():
    only = Entry(Limit(minute=9), consumer="alice")
    (row,) = told(only, consumers=[{"username": "alice"}])["entries"]
    assert (row["choice"], row["scope"], row["phases"]) == ("none applies", None, {"access": "not called"})


def test_says_that_a_choice_was_not_reached():
    only = Entry(Limit(minute=9), consumer="alice")
    found = told(Key(key="k"), only, consumers=[{"username": "alice"}])
    assert found["entries"][1]["choice"] == "not reached"


def test_a_choice_passed_by_on_the_way_to_a_later_exit_applies_to_nobody():
    only = Entry(Limit(minute=9), consumer="alice")
    late = made(priority=1, access=lambda self, x: x.exit(204))
    assert told(only, late, consumers=[{"username": "alice"}])["entries"][0]["choice"] == "none applies"


# -- a given consumer ---------------------------------------------------------------------------------


def test_a_given_consumer_stands_in_for_authentication():
    plugins = [Key(key="k"), Entry(Limit(minute=9), consumer="alice")]
    found = told(*plugins, consumers=[{"username": "alice"}], consumer="alice")
    assert cells(found, "key") == {"access": "stood in"}
    assert cells(found, "limit") == {"access": "ran"}
    assert (found["request"]["consumer"], found["notes"]) == ("alice", [])


def test_a_consumer_without_a_username_is_named_by_its_id():
    found = told(Key(key="k"), consumers=[{"custom_id": "c1", "id": "42"}], consumer="c1")
    assert found["request"]["consumer"] == "42"


def test_notes_that_nothing_would_authenticate_the_given_consumer():
    found = told(Limit(minute=1), consumers=[{"username": "alice"}], consumer="alice")
    assert found["notes"] == [
        "no entry here authenticates, so nobody is known to the others whoever is given as consumer"
    ]


def test_refuses_an_unknown_consumer():
    with pytest.raises(LookupError, match='no consumer "bob"'):
        told(Key(key="k"), consumer="bob")


# -- a dry run ----------------------------------------------------------------------------------------


def test_an_entry_that_calls_out_is_stopped_told_and_passed_over():
    found = told(Caller())
    assert cells(found, "caller") == {"access": "skipped"}
    assert found["entries"][0]["details"] == ["would connect to localhost:9"]
    assert found["answer"]["by"] == "the app"


def test_log_is_not_called():
    assert cells(told(made(log=lambda self, x: 1 / 0))) == {"log": "skipped"}


def test_an_entry_that_cannot_start_is_not_called():
    found = told(Log())
    assert found["entries"][0]["details"] == ["has effects outside the request"]
    starter = made(init_worker=lambda self: socket.gethostbyname("x.example"), access=lambda self, x: 1 / 0)
    found = told(starter)
    assert cells(found) == {"access": "skipped"}
    assert found["entries"][0]["details"] == ["would look up x.example in init_worker"]


def test_a_wrapper_that_cannot_start_is_left_out():
    def wrap(self, app):
        return lambda environ, start_response: 1 / 0

    found = told(made(init_worker=lambda self: socket.gethostbyname("x.example"), wrap=wrap))
    assert (cells(found), found["answer"]["by"]) == ({"wrap": "skipped"}, "the app")


def test_a_wrapper_that_calls_out_is_left_out():
    def wrap(self, app):
        return lambda environ, start_response: socket.gethostbyname("x.example")

    found = told(made(wrap=wrap))
    assert (cells(found), found["answer"]["by"]) == ({"wrap": "skipped"}, "the app")


def test_a_body_filter_that_calls_out_leaves_the_body_as_it_is():
    found = told(made(body_filter=lambda self, x, chunk, eof: socket.gethostbyname("x.example")))
    assert (cells(found), found["answer"]["body"]) == ({"body_filter": "skipped"}, "the app\n")


def test_a_body_filter_that_cannot_start_leaves_the_body_as_it_is():
    plugin = made(
        init_worker=lambda self: socket.gethostbyname("x.example"),
        body_filter=lambda self, x, chunk, eof: b"never",
    )
    found = told(plugin)
    assert (cells(found), found["answer"]["body"]) == ({"body_filter": "skipped"}, "the app\n")


def test_building_that_calls_out_is_refused():
    with pytest.raises(SideEffect, match=r"look up x\.example"):
        told(made(wrap=lambda self, app: socket.gethostbyname("x.example")))


def test_a_wrapper_that_cannot_be_built_is_told():
    with pytest.raises(LoadError, match="the chain cannot be compiled: ZeroDivisionError: division by zero"):
        told(made(wrap=lambda self, app: 1 / 0))


def test_errors_of_building_the_gateway_are_passed_on():
    def fail(self):
        raise ConfigError("x", "got x")

    with pytest.raises(ConfigErrors, match="got x"):
        told(made(configure=fail, access=lambda self, x: None))


def test_a_service_is_not_asked():
    found = told(services=[{"name": "far", "url": "http://127.0.0.1:9"}], routes=FAR)
    assert found["answer"]["status"] == 200


FAR = [{"name": "r", "paths": ["/"], "service": "far"}]


def test_a_plugin_that_calls_out_when_closed_is_let_be():
    plugin = made(access=lambda self, x: None, close=lambda self: socket.gethostbyname("x.example"))
    assert cells(told(plugin)) == {"access": "ran"}


def test_counters_are_in_memory_whatever_the_file_says():
    seen = []
    plugin = made(access=lambda self, x: seen.append(type(self.runtime.store).__name__))
    told(plugin, store="redis://localhost:1/0")
    assert seen == ["MemoryStore"]


def test_a_real_run_starts_logs_and_closes_once_per_plugin():
    calls = []
    plugin = made(
        init_worker=lambda self: calls.append("init_worker"),
        log=lambda self, x: calls.append("log"),
        close=lambda self: calls.append("close"),
    )
    routes = [{"name": "a", "paths": ["/"]}]
    told(Entry(plugin), Entry(plugin, route="a"), run=True, routes=routes)
    assert calls.count("init_worker") == calls.count("log") == 1
    assert "close" in calls


def test_a_plugin_that_fails_to_start_is_told():
    found = told(made(init_worker=lambda self: 1 / 0, access=lambda self, x: None))
    assert found["steps"][0]["phase"] == "init_worker"
    assert found["steps"][0]["outcome"] == "failed"


def test_what_plugins_log_is_told():
    found = told(made(access=lambda self, x: self.logger.warning("look")))
    assert found["messages"] == ["warning: look"]


def test_a_bad_configuration_is_refused_as_everywhere():
    with pytest.raises(ConfigErrors):
        told(store="nonsense://")


def test_a_wrapped_stretch_is_traced_on_both_sides():
    inner = made(priority=1, access=lambda self, x: None)
    found = told(Limit(minute=1), Wrapper(), inner)
    steps = [(step["entry"], step["phase"]) for step in found["steps"]]
    assert steps == [("limit", "access"), ("wrapper", "wrap"), ("made", "access")]
