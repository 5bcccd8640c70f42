"""``kong.service``: what the service is asked, and what it answered."""

from __future__ import annotations

import attrs
import pytest

from plugmw.dialects.kong import kong
from plugmw.dialects.kong.pdk import Unsupported
from plugmw.wsgi import keys
from plugmw.wsgi.upstream_request import UpstreamRequest
from tests.support.kong import both, during, plugin, through

ask, told, service = kong.service.request, kong.service.response, kong.service


def seen_after(call, **request):
    """Return the environ that the app sees after ``call`` in access."""
    saw = []

    def app(environ, start_response):
        saw.append({**environ, "body": environ["wsgi.input"].read()})
        start_response("200 OK", [])
        return [b""]

    through(plugin(access=lambda config: call()), app=app, **request)
    return saw[0]


# -- the request -----------------------------------------------------------------------------------------


def test_sets_a_complete_path_with_its_escapes():
    saw = seen_after(lambda: ask.set_path("/a b%2Fc/é"), path="/old", environ={"SCRIPT_NAME": "/m"})
    assert (saw["SCRIPT_NAME"], saw["PATH_INFO"]) == ("", "/a b/c/Ã©")
    assert saw[keys.UPSTREAM].path == "/a%20b%2Fc/%C3%A9"


def test_a_path_set_in_access_is_not_stripped_and_the_clients_is_still_known():
    route = {"name": "r", "paths": ["/api"], "strip_path": True}
    seen = []

    def change():
        ask.set_path("/api/new")
        seen.append(kong.request.get_path())

    saw = seen_after(change, path="/api/old", config={"routes": [route]})
    assert (saw["PATH_INFO"], seen) == ("/api/new", ["/api/old"])


def test_a_path_set_in_rewrite_is_routed():
    routes = [{"name": "a", "paths": ["/a"]}, {"name": "b", "paths": ["/b"]}]
    found = []

    def later(config):
        found.append(kong.router.get_route()["name"])

    made = plugin(rewrite=lambda config: ask.set_path("/b"), log=later)
    through(made, path="/a", config={"routes": routes})
    assert found == ["b"]


@pytest.mark.parametrize(
    ("call", "query"),
    [
        (lambda: ask.set_raw_query("x=%20"), "x=%20"),
        (lambda: ask.set_query({"b": [1, "é"], "a": True, "c": False, "d": "x y"}), "a&b=1&b=%C3%A9&d=x%20y"),
        (lambda: ask.set_query({"a": [], "b": 1.5}), "b=1.5"),
        (lambda: ask.clear_query_arg("a"), "b=3"),
        (lambda: ask.clear_query_arg("none"), "a=1&%61=2&b=3"),
    ],
)
def test_changes_the_query(call, query):
    assert seen_after(call, query_string="a=1&%61=2&b=3")["QUERY_STRING"] == query


def test_sets_the_method():
    assert seen_after(lambda: ask.set_method("PATCH"))["REQUEST_METHOD"] == "PATCH"


def test_changes_request_headers():
    def change():
        ask.set_header("X-One", ["a", "b"])
        ask.add_header("X-One", "c")
        ask.add_header("X-New", 1)
        ask.set_headers({"X-Two": True, "Host": "new.example"})
        ask.clear_header("X-Old")

    saw = seen_after(change, headers={"X-Old": "1"})
    assert (saw["HTTP_X_ONE"], saw["HTTP_X_NEW"], saw["HTTP_X_TWO"]) == ("a, b, c", "1", "true")
    assert saw["HTTP_HOST"] == "new.example"
    assert attrs.asdict(saw[keys.UPSTREAM]) == attrs.asdict(UpstreamRequest(host_header="new.example"))
    assert "HTTP_X_OLD" not in saw


def test_adding_a_host_replaces_it():
    assert seen_after(lambda: ask.add_header("host", "b"), headers={"Host": "a"})["HTTP_HOST"] == "b"


def test_of_several_headers_all_are_set_or_none():
    def change():
        with pytest.raises(ValueError):
            ask.set_headers({"X-A": "1", "X-B": "a\nb"})

    assert "HTTP_X_A" not in seen_after(change)


@pytest.mark.parametrize("body", ["é", "é".encode()])
def test_sets_a_raw_body(body):
    saw = seen_after(lambda: ask.set_raw_body(body), method="POST", data=b"old")
    assert (saw["body"], saw["CONTENT_LENGTH"]) == ("é".encode(), "2")


@pytest.mark.parametrize(
    ("kind", "given", "sent", "body"),
    [
        ("application/json", None, "application/json", b'{"b":1,"a":"x"}'),
        ("application/json", "text/plain", "application/json", b'{"b":1,"a":"x"}'),
        (None, "application/json; charset=utf-8", "application/json; charset=utf-8", b'{"b":1,"a":"x"}'),
        ("application/x-www-form-urlencoded", None, "application/x-www-form-urlencoded", b"a=x&b=1"),
        (
            "multipart/form-data; boundary=bb",
            None,
            "multipart/form-data; boundary=bb",
            b'--bb\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
            b'--bb\r\nContent-Disposition: form-data; name="b"\r\n\r\n1\r\n--bb--\r\n',
        ),
    ],
)
def test_sets_a_body_of_a_type(kind, given, sent, body):
    results = []
    saw = seen_after(
        lambda: results.append(ask.set_body({"b": 1, "a": "x"}, kind)),
        method="POST",
        environ={"CONTENT_TYPE": given or ""},
    )
    assert (saw["CONTENT_TYPE"], saw["body"], results) == (sent, body, [(True, None)])


def test_a_multipart_boundary_is_in_no_value():
    saw = seen_after(lambda: ask.set_body({"a": "--bb", "b": True}, "multipart/form-data; boundary=bb"))
    assert "boundary=bb" not in saw["CONTENT_TYPE"]
    assert b"true" in saw["body"]


def test_a_body_without_a_type_is_an_expected_failure():
    text = "content type was neither explicitly given as an argument or received as a header"
    assert during("access", ask.set_body, {}) == (None, text)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("set_scheme", (1,), TypeError, "scheme must be a string"),
        ("set_scheme", ("ftp",), ValueError, "invalid scheme: ftp"),
        ("set_path", (1,), TypeError, "path must be a string"),
        ("set_path", ("a",), ValueError, "path must start with /"),
        ("set_raw_query", (1,), TypeError, "query must be a string"),
        ("set_query", ("a",), TypeError, "args must be a table"),
        ("set_query", ({1: "a"},), TypeError, "arg keys must be strings"),
        ("set_query", ({"a": None},), TypeError, "arg values must be strings, numbers or booleans"),
        ("clear_query_arg", (1,), TypeError, "query argument name must be a string"),
        ("set_method", (1,), TypeError, "method must be a string"),
        ("set_method", ("CONNECT",), ValueError, "invalid method: CONNECT"),
        ("set_header", (1, "a"), TypeError, "invalid header name 1: got int, expected string"),
        ("add_header", ("a", None), TypeError, 'invalid header value for "a": got NoneType'),
        ("clear_header", (1,), TypeError, "header must be a string"),
        ("set_headers", ("a",), TypeError, "headers must be a table"),
        ("set_raw_body", (1,), TypeError, "body must be a string"),
        ("set_body", ("a",), TypeError, "args must be a table"),
        ("set_body", ({}, 1), TypeError, "mime must be a string"),
        ("set_body", ({}, "text/plain"), ValueError, "unsupported content type text/plain"),
        ("set_body", ({1: "a"}, "multipart/form-data"), TypeError, "invalid key 1 must be a string"),
        (
            "set_body",
            ({"a": []}, "multipart/form-data"),
            TypeError,
            'invalid value "a" must be a string, num',
        ),
    ],
)
def test_wrong_arguments_raise_with_kongs_text(name, arguments, error, text):
    with pytest.raises(error, match=f"^{text}"):
        during("access", getattr(ask, name), *arguments)


# -- the target ------------------------------------------------------------------------------------------


def test_decisions_about_the_target_are_kept_for_the_upstream():
    def change():
        ask.set_scheme("https")
        service.set_retries(0)
        service.set_timeouts(1, 2, 3)

    told = UpstreamRequest(
        scheme="https", retries=0, connect_timeout=0.001, write_timeout=0.002, read_timeout=0.003
    )
    assert attrs.asdict(seen_after(change)[keys.UPSTREAM]) == attrs.asdict(told)


def test_a_target_is_for_services_with_an_address():
    with pytest.raises(Unsupported, match="the service is the wrapped app, which has no address"):
        during("access", service.set_target, "a", 1)
    during("rewrite", service.set_target, "a", 1)


def test_there_are_no_upstreams():
    assert during("access", service.set_upstream, "x") == (None, "could not find an Upstream named 'x'")


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("set_upstream", (1,), TypeError, "host must be a string"),
        ("set_target", (1, 1), TypeError, "host must be a string"),
        ("set_target", ("a", "1"), TypeError, "port must be an integer"),
        ("set_target", ("a", 65536), ValueError, "port must be an integer between 0 and 65535: given 65536"),
        ("set_retries", ("1",), TypeError, "retries must be an integer"),
        ("set_retries", (-1,), ValueError, "retries must be an integer between 0 and 32767: given -1"),
        ("set_timeouts", ("1", 1, 1), TypeError, "connect_timeout must be an integer"),
        (
            "set_timeouts",
            (1, 0, 1),
            ValueError,
            "write_timeout must be an integer between 1 and 2147483646: given 0",
        ),
        ("set_timeouts", (1, 1, 2147483647), ValueError, "read_timeout must be an integer between 1 and"),
    ],
)
def test_wrong_targets_raise_with_kongs_text(name, arguments, error, text):
    with pytest.raises(error, match=f"^{text}"):
        during("access", getattr(service, name), *arguments)


# -- the answer ------------------------------------------------------------------------------------------


def app(environ, start_response):
    start_response("201 Created", [("Content-Type", "application/json"), ("X-A", "1"), ("X-A", "2")])
    return iter([b'{"a":', b" 1}"])


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["header_filter", "body_filter", "log"])
def test_status_and_headers_are_the_services_own(phase):
    def change():
        kong.response.set_header("X-A", "changed")

    assert both(change, phase, told.get_status, app=app) == 201
    assert both(change, phase, lambda: told.get_header("x_a"), app=app) == "1"
    assert both(change, phase, told.get_headers, app=app)["X-A"] == ["1", "2"]
    assert both(change, phase, lambda: told.get_headers(1), app=app).err == "truncated"


def test_a_service_that_was_not_asked_has_no_status():
    seen = []
    log = plugin("log", 1, log=lambda config: seen.append((told.get_status(), told.get_header("a"))))
    through(plugin(access=lambda config: kong.response.exit(200)), log)
    assert seen == [(None, None)]


@pytest.mark.parametrize("phase", ["header_filter", "body_filter", "log"])
def test_buffering_gives_the_body_from_the_headers_on(phase):
    assert both(ask.enable_buffering, phase, told.get_raw_body, app=app) == b'{"a": 1}'
    assert both(ask.enable_buffering, phase, told.get_body, app=app) == ({"a": 1}, None, "application/json")


def test_a_response_handler_buffers_too():
    assert during("response", told.get_raw_body, app=app) == b'{"a": 1}'
    assert during("response", told.get_body, "text/x", app=app)[1] == "unsupported content type 'text/x'"


def test_a_buffered_body_is_the_services_own_after_a_change():
    def access(config):
        ask.enable_buffering()

    def change(config):
        kong.response.set_raw_body("changed")

    seen = []
    log = plugin("log", 1, log=lambda config: seen.append(told.get_raw_body()))
    answer = through(plugin(access=access, body_filter=change), log, app=app)
    assert (answer.data, seen) == (b"changed", [b'{"a": 1}'])


def test_a_late_app_is_buffered_too():
    def late(environ, start_response):
        yield b""
        start_response("200 OK", [])
        yield b"a"
        yield b"b"

    assert both(ask.enable_buffering, "header_filter", told.get_raw_body, app=late) == b"ab"


def test_without_an_answer_the_buffered_body_is_empty():
    seen = []

    def access(config):
        ask.enable_buffering()
        kong.response.exit(200, "mine")

    log = plugin("log", 1, log=lambda config: seen.append(told.get_raw_body()))
    assert through(plugin(access=access), log).data == b"mine"
    assert seen == [b""]


def test_a_buffered_answer_over_the_limit_is_an_error():
    answer = through(
        plugin(access=lambda config: ask.enable_buffering()), app=app, config={"max_response_body": 7}
    )
    assert answer.status_code == 500


@pytest.mark.parametrize("call", [told.get_raw_body, told.get_body])
def test_without_buffering_there_is_no_body(call):
    with pytest.raises(RuntimeError, match=r"only available with buffered proxying \(see: kong.service"):
        during("header_filter", call, app=app)


@pytest.mark.parametrize(
    ("name", "argument", "text"),
    [("get_header", 1, "name must be a string"), ("get_headers", "1", "max_headers must be a number")],
)
def test_wrong_names_raise_with_kongs_text(name, argument, text):
    with pytest.raises(TypeError, match=f"^{text}$"):
        during("log", getattr(told, name), argument)


@pytest.mark.parametrize("query", ["a=\n", "\0", "a=1\r\nX: y", "\x7f"])
def test_a_query_with_control_characters_is_refused(query):
    with pytest.raises(ValueError, match="query must not have control characters"):
        during("access", kong.service.request.set_raw_query, query)
