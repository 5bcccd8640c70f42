"""Which route a request takes: Kong's traditional router."""

from __future__ import annotations

import pytest

from plugmw.routing.router import Route, Router, without_port
from plugmw.schema.patterns import LONGEST
from plugmw.wsgi.paths import TOO_MANY
from plugmw.wsgi.proxies import Trusted
from tests.support.wsgi import environ_of

NOBODY = Trusted()


def environ(path="/", method="GET", host="example.org", **more):
    return environ_of(path, method, HTTP_HOST=host, **more)


def took(routes, path="/", **request):
    found = Router(routes).match(environ(path, **request), NOBODY, path)
    return found.route.name if found else None


def decided(routes, path="/", unrouted="pass", trusted=NOBODY, **request):
    """Return what is decided, having made sure that the request is left as it was."""
    asked = environ(path, **request)
    before = dict(asked)
    decision = Router(routes, unrouted).decide(asked, trusted)
    assert asked == before
    return decision


PREFIXES = [Route("root", paths=["/"]), Route("a", paths=["/a"]), Route("ab", paths=["/a/b", "/other"])]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "root"),
        ("/x", "root"),
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/b/c", "ab"),
        ("/ab", "a"),
        ("/other", "ab"),
    ],
)
def test_the_longest_prefix_wins(path, name):
    assert took(PREFIXES, path) == name
    assert Router(PREFIXES).simple


def test_nothing_matches_nothing():
    assert took([], "/") is None
    assert took([Route("a", paths=["/a"])], "/b") is None
    assert took([Route("a", paths=["/a"])], "") is None


def test_a_path_beyond_ascii_is_matched_as_wsgi_has_it():
    latin = "/café".encode().decode("latin-1")
    assert took([Route("r", paths=["/café"])], latin) == "r"
    assert took([Route("r", paths=["~/café$"])], latin) == "r"


def test_of_equals_the_first_in_the_file_wins():
    assert took([Route("one", paths=["/a"]), Route("two", paths=["/a"])], "/a") == "one"


def test_methods_are_compared_exactly():
    routes = [Route("r", methods=["POST"])]
    assert took(routes, method="POST") == "r"
    assert took(routes, method="post") is None
    assert took(routes, method="GET") is None


HOSTS = {
    "plain": (["example.org"], "example.org", True),
    "any case": (["Example.ORG"], "eXample.org", True),
    "another": (["example.org"], "example.com", False),
    "a suffix is no match": (["example.org"], "evil-example.org", False),
    "any port": (["example.org"], "example.org:8080", True),
    "its own port": (["example.org:8080"], "example.org:8080", True),
    "another port": (["example.org:8080"], "example.org:9090", False),
    "no port where one is wanted": (["example.org:8080"], "example.org", False),
    "leading wildcard": (["*.example.org"], "a.b.example.org", True),
    "leading wildcard, any port": (["*.example.org"], "a.example.org:80", True),
    "leading wildcard wants something": (["*.example.org"], "example.org", False),
    "trailing wildcard": (["example.*"], "example.co.uk", True),
    "dots are dots": (["*.example.org"], "a.examplexorg", False),
    "wildcard with a port": (["*.example.org:81"], "a.example.org:80", False),
    "one of several": (["a.example", "*.b.example"], "x.b.example", True),
    "an IPv6 address": (["[::1]"], "[::1]:80", True),
    "a dot at the end": (["example.org"], "example.org.", True),
    "a dot at the end, and a port": (["example.org"], "Example.Org.:8080", True),
    "a dot at the end, its own port": (["example.org:8080"], "example.org.:8080", True),
    "a dot at the end of the route's": (["example.org."], "example.org", True),
    "a dot at the end and a wildcard": (["*.example.org"], "a.example.org.", True),
    "a colon and no port": (["example.org"], "example.org:", True),
    "the scheme's own port": (["example.org:80"], "example.org", True),
    "zeros before its port": (["example.org:80"], "example.org:080", True),
    "somebody before the host": (["example.org"], "me@example.org", True),
}


@pytest.mark.parametrize(("hosts", "host", "matches"), HOSTS.values(), ids=HOSTS)
def test_hosts_match(hosts, host, matches):
    assert took([Route("r", hosts=hosts)], host=host) == ("r" if matches else None)


GETTING, HEADING = Route("get", paths=["/a"], methods=["GET"]), Route("head", methods=["HEAD"])
SAME = Route("same", paths=["/a"], methods=["HEAD"])


@pytest.mark.parametrize(
    ("routes", "path", "name"),
    [
        ([GETTING], "/a", "get"),
        ([GETTING, Route("root", paths=["/"])], "/a", "get"),
        ([GETTING, HEADING], "/a", "get"),
        ([GETTING, HEADING], "/b", "head"),
        ([GETTING, SAME], "/a", "same"),
        ([HEADING], "/a", "head"),
    ],
)
def test_head_takes_a_route_of_get_after_those_that_name_it(routes, path, name):
    assert took(routes, path, method="HEAD") == name


def test_a_route_of_head_is_none_of_get():
    assert took([HEADING], "/a") is None


def test_headers_match_any_of_their_values_in_any_case():
    routes = [Route("r", headers={"X-Kind": ["A", "b"], "X-Other": ["1"]})]
    assert took(routes, HTTP_X_KIND="B", HTTP_X_OTHER="1") == "r"
    assert took(routes, HTTP_X_KIND="c", HTTP_X_OTHER="1") is None
    assert took(routes, HTTP_X_KIND="a") is None


@pytest.mark.parametrize("value", ["v2,other", "other, V2", "v2"])
def test_a_header_that_came_twice_takes_the_route_of_any_of_its_values(value):
    routes = [Route("all"), Route("guarded", headers={"X-Version": ["v2"]})]
    assert took(routes, HTTP_X_VERSION=value) == "guarded"


@pytest.mark.parametrize("value", ["v1,v2", "v2,v1"])
def test_a_header_that_came_twice_with_values_of_two_routes_takes_neither(value):
    routes = [Route("one", headers={"X-Version": ["v1"]}), Route("two", headers={"X-Version": ["v2"]})]
    decision = decided(routes, HTTP_X_VERSION=value)
    assert (decision.outcome, decision.route) == ("ambiguous", None)
    assert decision.because == "a header came with values of several routes, so it is refused"


def test_more_kinds_of_conditions_win_over_a_longer_path():
    routes = [Route("path", paths=["/a/b/c"]), Route("both", paths=["/a"], methods=["GET"])]
    assert took(routes, "/a/b/c") == "both"
    assert took(routes, "/a/b/c", method="POST") == "path"


def test_plain_hosts_win_over_wildcards_and_more_headers_over_fewer():
    wild, plain = Route("wild", hosts=["*.org"]), Route("plain", hosts=["example.org"])
    assert took([wild, plain]) == "plain"
    few, many = Route("few", headers={"A": ["1"]}), Route("many", headers={"A": ["1"], "B": ["1"]})
    assert took([few, many], HTTP_A="1", HTTP_B="1") == "many"


def test_regular_expressions_win_over_prefixes_and_go_by_their_priority():
    prefix, low = Route("prefix", paths=["/a/long/prefix"]), Route("low", paths=["~/a/.*"])
    high = Route("high", paths=[r"~/a/\w+"], regex_priority=5)
    assert took([prefix, low, high], "/a/long/prefix") == "high"
    assert took([prefix, low], "/a/long/prefix") == "low"
    assert took([prefix, low], "/b") is None


def test_a_regular_expression_is_anchored_at_the_start_only():
    assert took([Route("r", paths=["~/a"])], "/abc") == "r"
    assert took([Route("r", paths=["~/a$"])], "/abc") is None
    assert took([Route("r", paths=["~/b"])], "/a/b") is None


def test_a_pattern_that_stands_behind_the_best_prefix_is_not_tried():
    routes = [Route("both", paths=["/a"], methods=["GET"]), Route("pattern", paths=["~/a"])]
    assert took(routes, "/a") == "both"


def test_a_pattern_whose_route_does_not_admit_the_request_leaves_the_next():
    routes = [Route("post", paths=["~/a"], methods=["POST"]), Route("any", paths=["~/a"])]
    assert took(routes, "/a") == "any"


def test_candidates_are_listed_the_winner_first():
    routes = [
        Route("root", paths=["/"]),
        Route("a", paths=["/a"]),
        Route("p", paths=["~/a/."]),
        Route("no", paths=["/no"]),
    ]
    found = Router(routes).candidates(environ("/a/b"), NOBODY, "/a/b")
    assert [(rule.route.name, rule.path) for rule in found] == [("p", "~/a/."), ("a", "/a"), ("root", "/")]
    assert [rule.rank for rule in found] == sorted(rule.rank for rule in found)


# -- what is decided ----------------------------------------------------------------------------------------

API, ADMIN = Route("api", paths=["/api"]), Route("admin", paths=["/admin"])
POSTED, PATTERN = Route("posted", methods=["POST"]), Route("pattern", paths=["~/a+"])
SECURE = Route("secure", paths=["/s"], protocols=["https"])
DECISIONS = {
    "no routes": ([], {"path": "/x"}, "no routes", None, "every request takes the one chain"),
    "a match": ([API, ADMIN], {"path": "/api/x"}, "matched", "api", ""),
    "a match of an odd path": ([API, ADMIN], {"path": "/api//x"}, "matched", "api", ""),
    "none": ([API], {"path": "/x"}, "unrouted", None, "no route has all its conditions met"),
    "none, refused": ([API], {"path": "/x", "unrouted": "404"}, "refused", None, "no route"),
    "a method in another case": (
        [POSTED], {"method": "post"}, "ambiguous", None, "could read the method as POST",
    ),
    "a method in another case where it makes no difference": (
        [API, POSTED], {"path": "/api", "method": "get"}, "matched", "api", "",
    ),
    "a method that a header asks for": (
        [POSTED], {"HTTP_X_HTTP_METHOD_OVERRIDE": "post"}, "ambiguous", None, "could read the method as POST",
    ),
    "a mount": ([ADMIN, API], {"path": "/admin", "SCRIPT_NAME": "/api"}, "matched", "api", ""),
    "a mount that a client names": (
        [ADMIN], {"path": "/admin", "SCRIPT_NAME": "/x", "HTTP_SCRIPT_NAME": "/x"}, "ambiguous", None,
        "could read the path",
    ),
    "a mount that a client names where it makes no difference": (
        [ADMIN], {"path": "/b", "SCRIPT_NAME": "/x", "HTTP_SCRIPT_NAME": "/x"}, "unrouted", None, "no route",
    ),
    "a mount without a slash behind it": (
        [Route("r", paths=["/x/admin"])], {"path": "admin", "SCRIPT_NAME": "/x"}, "ambiguous", None,
        "could read the path",
    ),
    "another method": ([POSTED], {"method": "get"}, "unrouted", None, "no route"),
    "a long path and patterns": (
        [PATTERN], {"path": "/" + "a" * LONGEST}, "ambiguous", None, f"expected at most {LONGEST}",
    ),
    "a long path and prefixes": ([API], {"path": "/api/" + "a" * LONGEST}, "matched", "api", ""),
    "two interpretations": (
        [API, ADMIN], {"path": "/api/%2e%2e/admin"}, "ambiguous", None, "could read the path",
    ),
    "too many interpretations": (
        [API], {"path": "/api/%" + "25" * TOO_MANY + "41;x\\ //y"}, "ambiguous", None, "could read the path",
    ),
    "https only, by http": ([SECURE], {"path": "/s"}, "insecure", "secure", "secure is for https only"),
    "https only, by https": (
        [SECURE], {"path": "/s", "wsgi.url_scheme": "https"}, "matched", "secure", "",
    ),
    "https only, as a trusted peer says": (
        [SECURE],
        {"path": "/s", "trusted": Trusted(["127.0.0.1"]), "REMOTE_ADDR": "127.0.0.1",
         "HTTP_X_FORWARDED_PROTO": "https"},
        "matched", "secure", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DECISIONS)
def test_where_a_request_goes_is_decided_once_and_with_a_reason(name):
    routes, request, outcome, route, because = DECISIONS[name]
    decision = decided(routes, **request)
    assert (decision.outcome, decision.route and decision.route.name) == (outcome, route)
    assert because in decision.because
    assert bool(decision.interpretations) == ("could read the path" in because)


def test_the_interpretations_of_an_ambiguous_path_are_told():
    assert "/admin" in decided([API, ADMIN], "/api/%2e%2e/admin").interpretations


def test_a_rule_says_what_a_request_has_met():
    route = Route("r", paths=["/a", "~/b"], hosts=["h"], methods=["GET"], headers={"x-a": ["1"]})
    router = Router([route])
    found = [router.match(environ(path, host="h", HTTP_X_A="1"), NOBODY, path) for path in ("/a", "/b")]
    end = ", the host is one of its hosts, the method is one of its methods, the headers are there"
    assert [rule.because for rule in found] == [f"the path starts with /a{end}", f"the path matches ~/b{end}"]


# -- what a route tells about itself ------------------------------------------------------------------------


def test_a_route_is_described_without_what_is_not_set():
    told = Route("r", service="s", paths=["/a"], methods=["GET"]).described()
    assert (told["id"], told["name"], told["service"], told["paths"]) == ("r", "r", {"name": "s"}, ["/a"])
    assert "hosts" not in told
    assert Route("r", id="7").described()["id"] == "7"


def test_the_part_that_matched_is_the_longest():
    route = Route("r", paths=["/a", "/a/b", "~/a/b/."])
    assert [route.matched(path) for path in ("/a/x", "/a/b", "/a/b/cd", "/z")] == ["/a", "/a/b", "/a/b/c", ""]


def test_captures_are_those_of_the_first_expression_that_matches():
    route = Route("r", paths=["/a", r"~/b/(\w+)", r"~/c/(?P<id>\d+)(?P<more>x)?"])
    assert route.captures("/a") == {"unnamed": [], "named": {}}
    assert route.captures("/b/one") == {"unnamed": ["one"], "named": {}}
    assert route.captures("/c/5") == {"unnamed": ["5", ""], "named": {"id": "5"}}


def test_captures_beyond_ascii_are_found_as_wsgi_has_them():
    latin = "/café/x".encode().decode("latin-1")
    route = Route("r", paths=["~/café/(.)"])
    assert (route.captures(latin)["unnamed"], route.matched(latin)) == (["x"], latin)


@pytest.mark.parametrize(
    ("host", "bare"), [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a:b", "a:b")]
)
def test_a_port_is_cut(host, bare):
    assert without_port(host) == bare
