"""request-transformer: configuration, what the app sees, and what is refused."""

from __future__ import annotations

import io
import json

import pytest
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.test import Client

from plugmw import ConfigError, Plugin
from plugmw.contrib.request_transformer import RequestTransformer
from plugmw.testing import gateway, get, hello_app

FORM = "application/x-www-form-urlencoded"


def saw(config, *plugins, gate=None, **request):
    """Return the environ the app saw, its body under ``body``; None if the app was not called."""
    seen = []

    def app(environ, start_response):
        length = environ.get("CONTENT_LENGTH")
        seen.append({**environ, "body": environ["wsgi.input"].read(int(length or 0))})
        return hello_app(environ, start_response)

    get([*plugins, RequestTransformer(**config)], gate, app=app, **request)
    return seen[0] if seen else None


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "method in small letters": (
        {"http_method": "get"},
        "http_method: got 'get', expected a method in capitals",
    ),
    "header without a colon": (
        {"add": {"headers": ["just_a_key"]}},
        "add.headers[0]: invalid value: just_a_key",
    ),
    "header with a bad name": (
        {"append": {"headers": ["a.b:c"]}},
        "append.headers[0]: 'a.b' is not a valid header",
    ),
    "header with a line break": (
        {"replace": {"headers": ["a:b\nc"]}},
        "replace.headers[0]: the value of 'a' has a control character",
    ),
    "removed header with a bad name": (
        {"remove": {"headers": ["a", "b c"]}},
        "remove.headers[1]: 'b c' is not a valid header",
    ),
    "rename without a colon": ({"rename": {"headers": ["a"]}}, "rename.headers[0]: invalid value: a"),
    "rename of a bad name": (
        {"rename": {"headers": ["a.b:c"]}},
        "rename.headers[0]: 'a.b' is not a valid header",
    ),
    "rename to a bad name": (
        {"rename": {"headers": ["a:b c"]}},
        "rename.headers[0]: 'b c' is not a valid header",
    ),
    "rename to nothing": ({"rename": {"headers": ["a:"]}}, "rename.headers[0]: '' is not a valid header"),
    "rename to a hop-by-hop one": (
        {"rename": {"headers": ["a:Connection"]}},
        "rename.headers[0]: 'Connection'",
    ),
    "rename of framing": (
        {"rename": {"headers": ["content_length:a"]}},
        "rename.headers[0]: 'content_length' is not for plugins to change: framing is the server's",
    ),
    "set framing": (
        {"add": {"headers": ["Transfer-Encoding:chunked"]}},
        "add.headers[0]: 'Transfer-Encoding'",
    ),
    "set framing in another spelling": (
        {"replace": {"headers": ["Content_Length:0"]}},
        "replace.headers[0]: 'Content_Length' is not for plugins to change",
    ),
    "remove framing": ({"remove": {"headers": ["Content-Length"]}}, "remove.headers[0]: 'Content-Length'"),
    "append to host": (
        {"append": {"headers": ["Host:b"]}},
        "append.headers[0]: there is one Host only: use replace",
    ),
    "query without a value": ({"add": {"querystring": ["q1:"]}}, "add.querystring[0]: key 'q1' has no value"),
    "body without a colon": ({"append": {"body": ["p"]}}, "append.body[0]: key 'p' has no value"),
    "query without a name": (
        {"replace": {"querystring": [":v"]}},
        "replace.querystring[0]: key '' has no value",
    ),
    "rename of a query to nothing": (
        {"rename": {"querystring": ["q"]}},
        "rename.querystring[0]: key 'q' has no value",
    ),
    "null list": ({"add": {"headers": None}}, "add.headers: got None, expected a list of strings"),
    "null record": ({"remove": None}, "remove: got None, expected a mapping"),
    "call": ({"add": {"querystring": ["a:b", "q1:$(ERROR())"]}}, "add.querystring[1]: got '$(ERROR())'"),
    "open template": ({"replace": {"uri": "/$(uri_captures.a"}}, "replace.uri: got '$(uri_captures.a'"),
    "template, while they are off": (
        {"add": {"headers": ["a:$(headers.b)"]}, "templates": False},
        "add.headers[0]: got an expression in '$(headers.b)'",
    ),
    "path without a slash": ({"replace": {"uri": "a"}}, "replace.uri: the path does not start with /"),
    "path with dots": ({"replace": {"uri": "/a/%2e./b"}}, "replace.uri: the path has a .. segment"),
    "path to add": ({"add": {"uri": "/a"}}, 'add.uri: unknown field "uri"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        RequestTransformer(**config)
    assert message in str(caught.value)


def test_without_rules_nothing_is_touched():
    class Input(io.BytesIO):
        def read(self, *size):
            raise AssertionError("the body was read")

    stream = Input(b"a=1")
    environ = {"wsgi.input": stream, "CONTENT_LENGTH": "3", "CONTENT_TYPE": FORM, "QUERY_STRING": "b&a=%7e"}
    seen = []
    get(RequestTransformer(), environ={**environ, "plugmw.testing.saw": seen}, method="POST")
    assert {key: seen[0][key] for key in environ} == environ


# -- headers, query, body -----------------------------------------------------------------------------


def test_the_value_may_have_more_colons():
    assert saw({"add": {"headers": ["h2:value:2"]}})["HTTP_H2"] == "value:2"


def test_all_header_operations_at_once():
    config = {
        "add": {"headers": ["X-aDDed:a1", "x-aDDed2:b1", "x-Added3:c2"]},
        "remove": {"headers": ["X-To-Remove"]},
        "append": {"headers": ["X-aDDed:a2", "X-aDDed:a3"]},
        "replace": {"headers": ["x-to-Replace:false"]},
    }
    headers = {"X-addeD": "a0", "x-to-remove": "1", "x-to-replace": "true", "x-added3": "c1"}
    found = saw(config, headers=headers)
    wanted = {"HTTP_X_ADDED": "a0, a2, a3", "HTTP_X_ADDED2": "b1", "HTTP_X_ADDED3": "c1"}
    assert {key: found[key] for key in wanted} == wanted
    assert found["HTTP_X_TO_REPLACE"] == "false"
    assert "HTTP_X_TO_REMOVE" not in found


QUERIES = {
    "untouched without rules": ({"add": {"headers": ["a:b"]}}, "b=%7e&a=+&c", "b=%7e&a=+&c"),
    "sorted and escaped with any": ({"remove": {"querystring": ["z"]}}, "b=%7e&a=+&c&a=1", "a=%20&a=1&b=~&c"),
    "added": ({"add": {"querystring": ["q[1]:v w"]}}, "", "q%5B1%5D=v%20w"),
    "emptied": ({"remove": {"querystring": ["a"]}}, "a=1&a=2", ""),
    "split at & only": ({"add": {"querystring": ["b:1"]}}, "a=1;b=2", "a=1%3Bb%3D2&b=1"),
    "renamed": ({"rename": {"querystring": ["a:b"]}}, "a=1&b=2", "b=1"),
}


@pytest.mark.parametrize(("config", "before", "after"), QUERIES.values(), ids=QUERIES)
def test_changes_the_query(config, before, after):
    raw = f"/x?{before}"
    found = saw(config, environ={"QUERY_STRING": before, "RAW_URI": raw, "REQUEST_URI": raw})
    assert found["QUERY_STRING"] == after
    assert found["RAW_URI"] == found["REQUEST_URI"] == ("/x?" + after if after else "/x")


ADD = {"add": {"body": ["p1:v1"]}}


def test_changes_a_form_and_its_length():
    found = saw(ADD, method="POST", data="hello=world", content_type=FORM)
    assert (found["body"], found["CONTENT_LENGTH"]) == (b"hello=world&p1=v1", "17")


def test_changes_chunked_json():
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    stream = io.BytesIO(b'{"a":1}')
    config = {"append": {"body": ["a:b"]}}
    found = saw(
        config, method="POST", content_type="application/json", environ={**environ, "wsgi.input": stream}
    )
    assert (json.loads(found["body"]), found["CONTENT_LENGTH"]) == ({"a": ["b"]}, "11")
    assert "HTTP_TRANSFER_ENCODING" not in found


def test_what_cannot_be_read_goes_on_byte_for_byte():
    found = saw(ADD, method="POST", data="malformed json body", content_type="application/json")
    assert (found["body"], found["CONTENT_LENGTH"]) == (b"malformed json body", "19")


def test_the_type_counts_as_it_is_after_the_header_rules():
    config = {"add": {"body": ["p:v"], "headers": ["Content-Type:application/json"]}}
    found = saw(config, method="POST", data=b"", content_type="")
    assert (found["CONTENT_TYPE"], found["body"]) == ("application/json", b'{"p":"v"}')
    config = {"add": {"body": ["p:v"]}, "remove": {"headers": ["content-type"]}}
    found = saw(config, method="POST", data=b"a=1", content_type=FORM)
    assert (found.get("CONTENT_TYPE"), found["body"]) == (None, b"a=1")


def test_a_body_above_the_limit_is_answered_413():
    found = get(
        RequestTransformer(**ADD), {"max_request_body": 5}, method="POST", data="a=12345", content_type=FORM
    )
    assert found.status_code == 413


# -- method -------------------------------------------------------------------------------------------


def test_replaces_the_method():
    assert saw({"http_method": "DELETE"}, method="POST")["REQUEST_METHOD"] == "DELETE"


def test_a_form_moves_into_the_query_of_a_method_without_a_body():
    config = {"http_method": "GET", "add": {"querystring": ["c:3"]}}
    found = saw(config, method="POST", data="a=1&b=2", content_type=FORM, query_string="a=0")
    assert (found["REQUEST_METHOD"], found["QUERY_STRING"]) == ("GET", "a=0&a=1&b=2&c=3")
    assert (found["body"], found["CONTENT_LENGTH"]) == (b"a=1&b=2", "7")


@pytest.mark.parametrize(
    ("method", "kind"), [("PUT", FORM), ("GET", "application/json")], ids=["with a body", "no form"]
)
def test_no_other_body_moves_into_the_query(method, kind):
    found = saw({"http_method": method}, method="POST", data="a=1", content_type=kind, query_string="z&a=%7e")
    assert found["QUERY_STRING"] == "z&a=%7e"


# -- templates ----------------------------------------------------------------------------------------

ROUTES = {"routes": [{"name": "r", "paths": ["~/requests/user1/(?P<user1>\\w+)/user2/(?P<user2>[^/]+)"]}]}
PATH = "/requests/user1/foo/user2/bar"


def test_captures_go_into_the_query():
    config = {"add": {"querystring": ["p1:$(uri_captures.user1)", "p2[x][1]:$(uri_captures[2])"]}}
    assert saw(config, gate=ROUTES, path=PATH)["QUERY_STRING"] == "p1=foo&p2%5Bx%5D%5B1%5D=bar"


def test_captures_go_into_the_path():
    found = saw(
        {"replace": {"uri": "/v%32/$(uri_captures.user2 or 'x')"}},
        gate=ROUTES,
        path=PATH,
        query_string="q=1",
        environ={"RAW_URI": f"{PATH}?q=1"},
    )
    assert (found["PATH_INFO"], found["RAW_URI"], found["QUERY_STRING"]) == ("/v2/bar", "/v2/bar?q=1", "q=1")


def test_templates_see_the_request_as_it_arrived():
    config = {
        "remove": {"headers": ["x-a"], "querystring": ["q"]},
        "add": {
            "headers": ["x-b:$(headers['x-a'])", "x-c:$(query_params.q)", "x-d:$(headers['x-b'] or 'none')"]
        },
        "replace": {"uri": "/$(headers['x-a'])"},
    }
    found = saw(config, headers={"X-A": "a"}, query_string="q=1")
    assert [found[f"HTTP_X_{name}"] for name in "BCD"] == ["a", "1", "none"]
    assert (found["PATH_INFO"], found["QUERY_STRING"]) == ("/a", "")


def test_templates_see_the_context_of_earlier_plugins():
    class Earlier(Plugin):
        name, priority = "earlier", 900

        def access(self, x):
            x.ctx["my_version"] = "1.2.3"

    found = saw({"add": {"querystring": ["v:$(shared.my_version)"]}}, Earlier())
    assert found["QUERY_STRING"] == "v=1.2.3"


def test_what_a_client_sends_is_no_template():
    found = saw({"add": {"headers": ["a:$(query_params.q)"]}}, query_string="q=$(headers.host)")
    assert found["HTTP_A"] == "$(headers.host)"


def test_values_are_carried_as_wsgi_has_them():
    config = {"add": {"headers": ["a:$(query_params.q)", "b:é"]}, "replace": {"uri": "/$(query_params.q)"}}
    found = saw(config, query_string="q=%C3%A9%FF")
    assert (found["HTTP_A"], found["HTTP_B"], found["PATH_INFO"]) == (
        "\xc3\xa9\xff",
        "\xc3\xa9",
        "/\xc3\xa9\xff",
    )


REFUSED = {
    "line break in a header": ({"add": {"headers": ["a:$(query_params.q)"]}}, "q=a%0d%0ab:c"),
    "NUL in a header": ({"replace": {"headers": ["host:$(query_params.q)"]}}, "q=%00"),
    "control character in a header": ({"append": {"headers": ["a:$(query_params.q)"]}}, "q=%08"),
    "line break in the query": ({"add": {"querystring": ["a:$(query_params.q)"]}}, "q=%0a"),
    "line break in the path": ({"replace": {"uri": "/$(query_params.q)"}}, "q=%0a"),
    "path without a slash": ({"replace": {"uri": "$(query_params.q)"}}, "q=x"),
    "path upwards": ({"replace": {"uri": "/files/$(query_params.q)"}}, "q=../admin"),
    "path upwards, encoded": ({"replace": {"uri": "/files/$(query_params.q)"}}, "q=%252e%252e/admin"),
    "path upwards, in two": ({"replace": {"uri": "/files/.$(query_params.q)"}}, "q=./admin"),
}


@pytest.mark.parametrize(("config", "query"), REFUSED.values(), ids=REFUSED)
def test_refuses_a_request_whose_templates_yield_what_must_not_be_sent(config, query, caplog):
    calls = []
    answer = get(RequestTransformer(**config), app=lambda *a: calls.append(a), query_string=query)
    assert (answer.status_code, answer.json["message"], calls) == (500, "An unexpected error occurred", [])
    assert "request refused: " in caplog.text


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_refuses_a_form_that_has_more_in_it_than_is_looked_at(method, caplog):
    calls = []
    config = {"remove": {"body": ["admin"]}, "http_method": method}
    answer = get(
        RequestTransformer(**config),
        app=lambda *a: calls.append(a),
        method="POST",
        data="a=b&" * 1000 + "admin=1",
        content_type=FORM,
    )
    assert (answer.status_code, calls) == (413, [])
    assert "request refused: got a form of 1001 fields, expected at most 1000 (request " in caplog.text


def test_nothing_half_changed_is_left_when_a_request_is_refused():
    config = {
        "http_method": "PUT",
        "remove": {"headers": ["x-a"], "querystring": ["q"]},
        "add": {"headers": ["x-b:1"], "querystring": ["z:$(query_params.q)"]},
        "replace": {"uri": "/new"},
    }
    seen = {}

    class Last(Plugin):
        name, priority = "last", -5

        def log(self, x):
            seen.update(x.environ)

    get([RequestTransformer(**config), Last()], query_string="q=%0a", headers={"X-A": "1"})
    assert (seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("GET", "/", "q=%0a")
    assert (seen["HTTP_X_A"], "HTTP_X_B" in seen) == ("1", False)


# -- through an app -----------------------------------------------------------------------------------


def test_sees_what_earlier_plugins_changed_and_later_ones_see_what_it_changes():
    class Later(Plugin):
        name, priority = "later", 5

        def access(self, x):
            x.exit(
                200,
                f"{x.method} {x.path} {x.request.GET['a']} {x.request.headers['X-B']} {x.request.POST['p']}",
            )

    config = {
        "http_method": "PUT",
        "replace": {"uri": "/new"},
        "add": {"querystring": ["a:1"], "headers": ["X-B:2"], "body": ["p:3"]},
    }
    answer = get(
        [RequestTransformer(**config), Later()],
        method="POST",
        data="a=b",
        content_type=FORM,
        query_string="q=1",
    )
    assert answer.text == "PUT /new 1 2 3"


def test_is_good_wsgi_on_both_sides():
    wrapped = gateway(RequestTransformer(**ADD, replace={"uri": "/x"}), app=LintMiddleware(hello_app))
    with Client(LintMiddleware(wrapped)).post("/", data={"a": "b"}) as answer:
        assert answer.status_code == 200
