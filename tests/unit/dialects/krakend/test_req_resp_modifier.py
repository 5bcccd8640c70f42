"""req-resp-modifier: modifiers over the requests and responses of a gateway."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from werkzeug.test import Client

from plugmw import ConfigError
from plugmw.dialects.krakend.req_resp_modifier import ReqRespModifier
from plugmw.dialects.krakend.wrappers import ModifierError, RequestWrapper, ResponseWrapper
from plugmw.testing import gateway, get


def app(environ, start_response):
    """Answer with what the app sees."""
    lines = [
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"].encode("latin-1").decode(),
        environ["QUERY_STRING"],
        environ.get("HTTP_X_A", "-"),
        environ.get("HTTP_HOST", "-"),
        environ.get("CONTENT_LENGTH") or "-",
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode(),
    ]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "1"), ("ETag", '"x"')])
    return ["|".join(lines).encode()]


@pytest.fixture
def plugin(monkeypatch):
    """Make the plugin with one modifier for requests, one for responses, or both."""

    def make(request=None, response=None, **config):
        class Registerer:
            def register_modifiers(self, f):
                for name, modifier in (("req", request), ("res", response)):
                    if modifier is not None:
                        f(name, lambda extra, modifier=modifier: modifier, name == "req", name == "res")

        module = SimpleNamespace(ModifierRegisterer=Registerer())
        monkeypatch.setattr("plugmw.dialects.krakend.loader.load_module", lambda name: module)
        return ReqRespModifier(module="mine", **config)

    return make


def changing(**changes):
    """A modifier that sets attributes, or calls them with what is there."""

    def modifier(wrapper):
        for name, change in changes.items():
            setattr(wrapper, name, change(getattr(wrapper, name)) if callable(change) else change)

    return modifier


REQUESTS = {
    "nothing": ({}, "POST|/a|q=1&q=2|1|localhost|4|body"),
    "method": ({"method": "PUT"}, "PUT|/a|q=1&q=2|1|localhost|4|body"),
    "path": ({"path": "/grün"}, "POST|/grün|q=1&q=2|1|localhost|4|body"),
    "query": ({"query": {"z": ["1"], "b": ["2", "3"]}}, "POST|/a|b=2&b=3&z=1|1|localhost|4|body"),
    "a header": ({"headers": {"x-a": ["5", "6"]}}, "POST|/a|q=1&q=2|5, 6|localhost|4|body"),
    "no header": ({"headers": {}}, "POST|/a|q=1&q=2|-|localhost|4|body"),
    "body": ({"body": "longer body"}, "POST|/a|q=1&q=2|1|localhost|11|longer body"),
    "a stream": ({"body": io.BytesIO(b"s")}, "POST|/a|q=1&q=2|1|localhost|1|s"),
    "body in place": ({"body": lambda body: body + b"!"}, "POST|/a|q=1&q=2|1|localhost|5|body!"),
}


@pytest.mark.parametrize(("changes", "seen"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_modifier_changes_what_the_app_sees(plugin, changes, seen):
    answer = get(
        plugin(changing(**changes)),
        app=app,
        path="/a?q=1&q=2",
        method="POST",
        headers={"X-A": "1"},
        data="body",
    )
    assert answer.text == seen


def test_a_new_query_is_in_the_raw_target_too(plugin):
    seen = []
    environ = {"RAW_URI": "/a?q=1", "QUERY_STRING": "q=1", "plugmw.testing.saw": seen}
    get(plugin(changing(query={"z": ["1"]})), path="/a", environ=environ)
    assert (seen[0]["RAW_URI"], seen[0]["QUERY_STRING"]) == ("/a?z=1", "z=1")


def test_a_request_modifier_may_return_an_object_with_gos_getters(plugin):
    class Mine:
        def __init__(self, request):
            self.Params, self.Query, self.Path = request.Params, request.Query, request.Path
            self.Method, self.Body = request.Method, lambda: io.BytesIO(b"go")

        def Headers(self):
            return {"X-A": ["go"]}

    answer = get(plugin(Mine), app=app, path="/a")
    assert answer.text == "GET|/a||go|localhost|2|go"


def test_a_request_modifier_sees_the_request(plugin):
    seen = []
    get(
        plugin(seen.append),
        app=app,
        path="/gr%C3%BCn?q=1&empty=",
        method="POST",
        headers={"x-request-id": "7"},
        data="b",
        content_type="text/x",
    )
    (request,) = seen
    assert isinstance(request, RequestWrapper)
    assert (request.method, request.path, request.query) == ("POST", "/grün", {"q": ["1"], "empty": [""]})
    assert request.headers == {"X-Request-Id": ["7"], "Content-Type": ["text/x"]}
    assert (request.params, request.url) == ({}, None)
    assert not request.context.done.is_set()


def test_a_body_nobody_reads_is_not_read(plugin):
    reads = []

    class Input(io.BytesIO):
        def read(self, *args):
            reads.append(args)
            return super().read(*args)

    environ = {"wsgi.input": Input(b"body"), "CONTENT_LENGTH": "4", "REQUEST_METHOD": "POST"}

    def quiet(environ, start_response):
        start_response("200 OK", [])
        return []

    get(plugin(changing(path="/x")), app=quiet, environ=environ)
    assert reads == []


def test_a_request_modifier_may_answer(plugin):
    def modifier(request):
        answer = ResponseWrapper(status_code=402, headers={"X-Why": ["a", "b"]})
        answer.data = {"pay": "first"}
        return answer

    answer = get(plugin(modifier), app=app)
    assert (answer.status_code, answer.json) == (402, {"pay": "first"})
    assert answer.headers.getlist("X-Why") == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "status", "body"),
    [
        ({"status_code": 404}, 404, None),
        ({"body": "a longer body than that of the app"}, 200, "a longer body than that of the app"),
        ({"data": {"a": 1}}, 200, '{"a":1}'),
        ({"io": io.BytesIO(b"stream")}, 200, "stream"),
    ],
    ids=["status", "body", "data", "io"],
)
def test_a_response_modifier_changes_what_the_client_gets(plugin, changes, status, body):
    answer = get(plugin(response=changing(**changes)), app=app)
    assert answer.status_code == status
    assert answer.text == (body or "GET|/||-|localhost|-|")
    assert answer.headers.get("Content-Length") == (str(len(answer.data)) if body else None)
    assert ("ETag" in answer.headers) == ("status_code" in changes)


def test_a_response_modifier_changes_headers(plugin):
    def modifier(response):
        del response.headers["X-App"]
        response.headers["x-many"] = ["1", "2"]

    answer = get(plugin(response=modifier), app=app)
    assert "X-App" not in answer.headers
    assert answer.headers.getlist("X-Many") == ["1", "2"]
    assert answer.headers["ETag"] == '"x"'


def test_a_change_of_another_header_keeps_repeated_cookies(plugin):
    def cookies(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "text/x")])
        return []

    answer = get(plugin(response=lambda r: r.headers.update({"X-A": ["1"]})), app=cookies)
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_a_response_modifier_sees_the_request_after_the_request_modifiers(plugin):
    seen = []
    found = plugin(changing(path="/new"), lambda response: seen.append(response.request.path))
    get(found, app=app)
    assert seen == ["/new"]


def test_a_response_modifier_sees_the_request_without_request_modifiers_too(plugin):
    seen = []
    get(plugin(response=lambda response: seen.append(response.Request().Method())), app=app)
    assert seen == ["GET"]


def test_a_response_streams_when_there_is_no_response_modifier(plugin):
    def streams(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"a"
        raise KeyError("half-way")

    answer = Client(gateway(plugin(changing()), app=streams)).get("/", buffered=False)
    iterator = iter(answer.response)
    assert next(iterator) == b"a"
    with pytest.raises(KeyError):
        next(iterator)


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize(("tell", "body"), [(False, ""), (True, '{"status":"ko"}')], ids=["hidden", "told"])
def test_an_error_with_a_status_is_that_answer(plugin, side, tell, body, caplog):
    def modifier(wrapper):
        raise ModifierError('{"status":"ko"}', 429, "application/json", {"Retry-After": "7"})

    answer = get(plugin(**{side: modifier}, return_error_msg=tell), app=app)
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (429, body, "7")
    assert answer.headers.get("Content-Type") == ("application/json" if tell else None)
    assert '{"status":"ko"}' in caplog.text


@pytest.mark.parametrize("side", ["request", "response"])
def test_any_other_exception_is_a_clean_500(plugin, side, caplog):
    def modifier(wrapper):
        raise ValueError("secret")

    answer = get(plugin(**{side: modifier}, return_error_msg=True), app=app)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_strict_refuses_a_name_that_nobody_registers(plugin):
    with pytest.raises(ConfigError, match='no plugin "other"'):
        get(plugin(changing(), name="other", strict=True))


def test_is_found_by_its_name(plugin):
    plugin(changing(method="PUT"))
    entry = {"name": "req-resp-modifier", "config": {"module": "mine"}}
    assert get([entry], app=app).text.startswith("PUT|")
