"""Modifiers at an endpoint and at its backends: what each may change, and what their errors become."""

from __future__ import annotations

import io

import pytest

from plugmw import __version__
from plugmw.dialects.krakend.wrappers import ModifierError, RequestWrapper, ResponseWrapper
from tests.support.wsgi import Closing
from tests.unit.dialects.krakend.running import (
    MODIFIERS,
    backend,
    by_path,
    endpoint,
    json_app,
    loader_of,
    modified,
    raising,
    replying,
    run,
)

BAD = replying(b"no", "404 Not Found", ("Content-Type", "text/plain"))
BOTH = pytest.mark.parametrize("compat", [False, True], ids=["sane", "compat"])


def changing(**changes):
    """A modifier that sets attributes, or calls them with what is there."""

    def modifier(wrapper):
        for name, change in changes.items():
            setattr(wrapper, name, change(getattr(wrapper, name)) if callable(change) else change)

    return modifier


def raises(error):
    def modifier(wrapper):
        raise error

    return modifier


def at(place, *names, path="/b/{id}", **fields):
    """An endpoint with modifiers of its own, or of its one backend."""
    inner = {"extra_config": modified(*names)} if place == "backend" else {}
    outer = {"extra_config": modified(*names)} if place == "endpoint" else {}
    return endpoint("/x/{id}", backend(path, **inner), **outer, **fields)


def asked(place, modifier, method="GET", compat=False, **fields):
    """What the backend sees of a request that went through a request modifier."""
    seen = []
    loader = loader_of(requests={"r": modifier})
    made = at(place, "r", method=method, input_headers=["x-a"], input_query_strings=["q"], **fields)
    krakend = run(made, app=json_app({"a": 1}, seen=seen), loader=loader, compat=compat)
    found = krakend.open(
        "/x/7?q=1", method=method, headers={"X-A": "1"}, data=b"body" if method == "POST" else None
    )
    assert found.status_code == 200, found.text
    (environ,) = seen
    return environ


def line(environ):
    return f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}"


# -- what a request modifier changes ---------------------------------------------------------------------


@BOTH
def test_params_query_headers_and_body_of_an_endpoints_request_count(compat):
    modifier = changing(
        params={"Id": "8 9"}, query={"z": ["1", "2"]}, headers={"x-new": ["a", "b"]}, body="new body"
    )
    environ = asked("endpoint", modifier, "POST", compat)
    assert line(environ) == "GET /b/8%209?z=1&z=2"
    assert (environ["HTTP_X_NEW"], environ["body"], environ["CONTENT_LENGTH"]) == ("a, b", b"new body", "8")
    assert "HTTP_X_A" not in environ


@pytest.mark.parametrize(("compat", "sent"), [(False, "PUT /b/7?q=1"), (True, "GET /b/7?q=1")])
def test_the_path_of_an_endpoints_request_never_counts_its_method_unless_compat(compat, sent):
    assert (
        line(asked("endpoint", changing(method="PUT", path="/other", url="http://h/"), compat=compat)) == sent
    )


@BOTH
def test_method_headers_body_and_url_of_a_backends_request_count(compat):
    modifier = changing(method="put", headers={"X-New": ["1"]}, body=b"new", url="app:/other?x=1")
    environ = asked("backend", modifier, compat=compat)
    assert (line(environ), environ["HTTP_X_NEW"], environ["body"]) == ("PUT /other?x=1", "1", b"new")


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"path": "/new/é"}, "GET /new/%C3%A9?q=1"),
        ({"query": {"z": ["1"]}}, "GET /b/7?z=1"),
        ({"path": "/n?x", "query": {}}, "GET /n%3Fx"),
        ({"params": {"Id": "8"}}, "GET /b/7?q=1"),
    ],
)
def test_path_and_query_of_a_backends_request_count_unless_compat(changes, sent):
    assert line(asked("backend", changing(**changes))) == sent
    assert line(asked("backend", changing(**changes), compat=True)) == "GET /b/7?q=1"


def test_the_query_of_the_pattern_stays_when_the_path_is_another():
    modifier = changing(path="/n", query={"z": ["1"]})
    assert line(asked("backend", modifier, path="/b?fixed=1")) == "GET /n?fixed=1&z=1"


@pytest.mark.parametrize("place", ["endpoint", "backend"])
def test_a_modifier_sees_the_request(place):
    seen = []
    environ = asked(place, seen.append, "POST")
    (request,) = seen
    assert isinstance(request, RequestWrapper)
    assert (request.params, request.query, request.headers["X-A"]) == ({"Id": "7"}, {"q": ["1"]}, ["1"])
    assert request.headers["User-Agent"] == [f"KrakenD Version {__version__}"]
    if place == "endpoint":
        assert (request.method, request.path, request.url) == ("POST", "/x/7", None)
    else:
        assert (request.method, request.path, request.url) == ("GET", "/b/7", "app:/b/7?q=1")
    assert not request.context.done.is_set()
    assert environ["body"] == b"body", "what nobody reads goes on as it comes"


@pytest.mark.parametrize("place", ["endpoint", "backend"])
def test_a_body_that_was_read_is_sent_all_the_same(place):
    read = []
    environ = asked(place, lambda request: read.append(request.Body().read()), "POST")
    assert (read, environ["body"], environ["CONTENT_LENGTH"]) == ([b"body"], b"body", "4")


@pytest.mark.parametrize("place", ["endpoint", "backend"])
def test_an_object_with_gos_getters_takes_the_place_of_a_request(place):
    class Mine:
        def __init__(self, request):
            self.Method, self.Path, self.Params = request.Method, request.Path, request.Params
            self.Query, self.URL = request.Query, request.URL

        def Headers(self):
            return {"X-Mine": ["1"]}

        def Body(self):
            return io.BytesIO(b"mine")

    environ = asked(place, Mine, "POST")
    assert (line(environ), environ["HTTP_X_MINE"], environ["body"]) == ("GET /b/7?q=1", "1", b"mine")


def test_a_backends_modifier_does_not_change_what_other_backends_get():
    seen = []
    loader = loader_of(requests={"r": lambda request: request.headers["User-Agent"].append("changed")})
    made = endpoint("/x", backend("/a", extra_config=modified("r")), backend("/b"))
    run(made, app=json_app({}, seen=seen), loader=loader).get("/x")
    agents = {environ["PATH_INFO"]: environ["HTTP_USER_AGENT"] for environ in seen}
    assert ("changed" in agents["/a"], "changed" in agents["/b"]) == (True, False)


@pytest.mark.parametrize("value", ["..", "a/../../admin"])
def test_a_modifiers_parameter_never_leads_out_of_its_place(value):
    loader = loader_of(requests={"r": changing(params={"Id": value})})
    found = run(at("endpoint", "r"), loader=loader, router={"return_error_msg": True}).get("/x/7")
    assert (found.status_code, found.text) == (400, "error: encoded url params")


def test_a_url_that_is_none_is_an_error(caplog):
    loader = loader_of(requests={"r": changing(url="ftp://h/")})
    assert run(at("backend", "r"), loader=loader).get("/x/7").status_code == 500
    assert "expected one of http or https" in caplog.text


# -- answering -------------------------------------------------------------------------------------------


def answering(request):
    made = ResponseWrapper(status_code=402, headers={"X-Why": ["a", "b"]})
    made.data = {"pay": "first"}
    return made


class GoAnswer:
    """A response with getters, as a modifier may return."""

    def __init__(self, data=None, body=None, status=402):
        self.data_, self.body_, self.status_ = data or {}, body, status

    def Data(self):
        return self.data_

    def Io(self):
        return self.body_

    def IsComplete(self):
        return True

    def StatusCode(self):
        return self.status_

    def Headers(self):
        return {"X-Why": ["a", "b"]}


@pytest.mark.parametrize("encoding", ["json", "no-op"])
@pytest.mark.parametrize("place", ["endpoint", "backend"])
@pytest.mark.parametrize(
    "modifier", [answering, lambda request: GoAnswer({"pay": "first"})], ids=["wrapper", "getters"]
)
def test_a_request_modifier_may_answer(place, encoding, modifier):
    loader = loader_of(requests={"r": modifier}, responses={"s": raises(AssertionError)})
    krakend = run(at(place, "r", "s", output_encoding=encoding), loader=loader)
    found = krakend.get("/x/7")
    assert (found.status_code, found.json) == (402, {"pay": "first"})
    assert found.headers.getlist("X-Why") == ["a", "b"]


@pytest.mark.parametrize("encoding", ["json", "no-op"])
@pytest.mark.parametrize("place", ["endpoint", "backend"])
@pytest.mark.parametrize("kind", [None, "text/html"])
def test_an_answer_may_be_text(place, encoding, kind):
    def modifier(request):
        made = ResponseWrapper(status_code=401, headers={"Content-Type": [kind]} if kind else {})
        made.body = "who are you"
        return made

    loader = loader_of(requests={"r": modifier})
    found = run(at(place, "r", output_encoding=encoding), loader=loader).get("/x/7")
    assert (found.status_code, found.text) == (401, "who are you")
    assert found.headers["Content-Type"] == (kind or "text/plain; charset=utf-8")


def test_an_answer_may_be_empty():
    loader = loader_of(requests={"r": lambda request: ResponseWrapper(status_code=204)})
    for encoding in ("json", "no-op"):
        found = run(at("endpoint", "r", output_encoding=encoding), loader=loader).get("/x/7")
        assert (found.status_code, found.data) == (204, b"")


@pytest.mark.parametrize("status", [99, 101, 600])
def test_a_status_that_is_none_is_a_clean_500(status):
    assert replied("endpoint", changing(status_code=status)).status_code == 500
    assert replied("endpoint", changing(status_code=status), output_encoding="no-op").status_code == 500


def test_a_backends_modifier_answers_for_its_backend_only():
    loader = loader_of(requests={"r": answering})
    made = endpoint("/x", backend("/a", extra_config=modified("r")), backend("/b"))
    found = run(made, app=json_app({"b": 1}), loader=loader).get("/x")
    assert (found.status_code, found.json) == (200, {"pay": "first", "b": 1})


def test_under_compat_a_response_from_a_request_modifier_is_no_answer():
    loader = loader_of(requests={"r": answering})
    assert run(at("endpoint", "r"), app=json_app({"a": 1}), loader=loader, compat=True).get("/x/7").json == {
        "a": 1
    }


# -- what a response modifier changes --------------------------------------------------------------------


def replied(place, modifier, app=None, compat=False, requests=None, **fields):
    loader = loader_of(requests=requests, responses={"s": modifier})
    made = at(place, *(requests or ()), "s", **fields)
    return run(made, app=app or json_app({"a": 1}), loader=loader, compat=compat).get("/x/7")


@BOTH
@pytest.mark.parametrize("place", ["endpoint", "backend"])
def test_data_and_headers_of_a_response_count(place, compat):
    def modifier(response):
        response.data["b"] = 2
        response.headers["x-new"] = ["1", "2"]

    found = replied(place, modifier, compat=compat)
    assert (found.json, found.headers.getlist("X-New")) == ({"a": 1, "b": 2}, ["1", "2"])
    assert found.headers["X-Krakend-Completed"] == "true"


@pytest.mark.parametrize("place", ["endpoint", "backend"])
@pytest.mark.parametrize(("compat", "status"), [(False, 418), (True, 200)])
def test_a_status_counts_unless_compat(place, compat, status):
    assert replied(place, changing(status_code=418), compat=compat).status_code == status


@BOTH
@pytest.mark.parametrize("place", ["endpoint", "backend"])
def test_a_status_counts_with_no_op_in_any_case(place, compat):
    app = replying(b"body", "200 OK", ("ETag", "e"))
    found = replied(place, changing(status_code=418), app, compat, output_encoding="no-op")
    assert (found.status_code, found.data, found.headers["ETag"]) == (418, b"body", "e")


@pytest.mark.parametrize(("compat", "status"), [(False, 200), (True, 0)])
def test_what_a_response_modifier_sees(compat, status):
    seen = []
    replied("endpoint", seen.append, compat=compat)
    (response,) = seen
    assert (response.status_code, response.data, response.headers) == (status, {"a": 1}, {})
    assert (response.is_complete, response.request.path) == (True, "/x/7")


def test_a_response_modifier_sees_the_request_after_the_request_modifiers():
    seen = []
    requests = {"r": changing(params={"Id": "9"})}
    replied("endpoint", lambda response: seen.append(response.Request().Params()), requests=requests)
    assert seen == [{"Id": "9"}]
    requests = {"r": changing(url="app:/z")}
    replied("backend", lambda response: seen.append(response.request.url), requests=requests)
    assert seen[1] == "app:/z"


@pytest.mark.parametrize(
    ("fields", "data", "completed"),
    [
        ({}, {"a": 1}, "false"),
        ({"group": "g"}, {"a": 1, "g": {}}, "true"),
        ({"target": "t"}, {"a": 1}, "true"),
        ({"is_collection": True}, {"a": 1, "collection": None}, "true"),
    ],
    ids=["plain", "group", "target", "collection"],
)
def test_a_null_of_a_backend_is_no_part_of_a_merge(fields, data, completed):
    app = by_path(a=json_app({"a": 1}), null=replying(b"null"))
    answer = run(endpoint("/x", backend("/a"), backend("/null", **fields)), app=app).get("/x")
    assert (answer.json, answer.headers["X-Krakend-Completed"]) == (data, completed)


def test_incomplete_says_so():
    assert replied("endpoint", changing(is_complete=False)).headers["X-Krakend-Completed"] == "false"


@pytest.mark.parametrize(("compat", "header"), [(False, "1"), (True, None)])
def test_headers_of_an_empty_reply_count_unless_compat(compat, header):
    found = replied("endpoint", changing(headers={"X": ["1"]}), json_app({}), compat)
    assert (found.json, found.headers.get("X")) == ({}, header)


def test_a_content_type_of_its_own_takes_the_place():
    found = replied("endpoint", changing(headers={"content-type": ["application/hal+json"]}))
    assert found.headers.getlist("Content-Type") == ["application/hal+json"]


@pytest.mark.parametrize("headers", [{"X": ["a\r\nSet-Cookie: b"]}, {"X Y": ["a"]}])
@pytest.mark.parametrize("encoding", ["json", "no-op"])
def test_headers_that_must_not_be_sent_are_a_clean_500(headers, encoding):
    found = replied("endpoint", changing(headers=headers), output_encoding=encoding)
    assert (found.status_code, found.data) == (500, b"")


@pytest.mark.parametrize(
    ("changes", "body", "etag"),
    [
        ({"body": b"new"}, b"new", None),
        ({"io": io.BytesIO(b"new")}, b"new", None),
        ({"body": lambda body: body}, b'{"a": 1}', "e"),
        ({"data": {"b": 2}}, b'{"b":2}', None),
        ({"headers": lambda headers: {**headers, "Etag": ["mine"]}, "body": b"new"}, b"new", "mine"),
        ({"headers": {"Content-Type": ["text/y"]}}, b'{"a": 1}', None),
    ],
    ids=["body", "stream", "only read", "data", "with an etag of its own", "headers replaced"],
)
@pytest.mark.parametrize("place", ["endpoint", "backend"])
def test_a_no_op_body_may_be_changed_and_its_headers_stay_true(place, changes, body, etag):
    app = replying(b'{"a": 1}', "200 OK", ("ETag", "e"), ("Content-Length", "8"), ("Content-Type", "text/x"))
    if "io" in changes:
        changes["io"].seek(0)
    found = replied(place, changing(**changes), app, output_encoding="no-op")
    assert (found.data, found.headers.get("ETag")) == (body, etag)
    if "headers" not in changes:
        assert found.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("place", ["endpoint", "backend"])
@pytest.mark.parametrize(
    ("encoding", "answer", "body"),
    [
        ("json", GoAnswer({"b": 2}, None), b'{"b":2}'),
        ("json", GoAnswer({"b": 2}, io.BytesIO(b"x")), b'{"b":2}'),
        ("no-op", GoAnswer({}, io.BytesIO(b"stream")), b"stream"),
        ("no-op", GoAnswer({"b": 2}, None), b'{"b":2}'),
    ],
)
def test_an_object_with_gos_getters_takes_the_place_of_a_response(place, encoding, answer, body):
    if answer.body_:
        answer.body_.seek(0)
    closed = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return Closing([b'{"a": 1}'], closed)

    found = replied(place, lambda response: answer, app, output_encoding=encoding)
    assert (found.status_code, found.data, found.headers.getlist("X-Why")) == (402, body, ["a", "b"])
    assert closed == ["close"]


@pytest.mark.parametrize(("compat", "status"), [(False, 418), (True, 200)])
def test_a_name_for_both_directions_works_in_both_unless_compat(compat, status):
    def modifier(wrapper):
        if isinstance(wrapper, ResponseWrapper):
            wrapper.status_code = 418
        else:
            wrapper.headers["X-Seen"] = ["1"]

    seen = []
    loader = loader_of(requests={"m": modifier}, responses={"m": modifier})
    found = run(at("endpoint", "m"), app=json_app({"a": 1}, seen=seen), loader=loader, compat=compat).get(
        "/x/7"
    )
    assert (found.status_code, seen[0]["HTTP_X_SEEN"]) == (status, "1")


@pytest.mark.parametrize(("compat", "added"), [(False, True), (True, False)])
def test_response_modifiers_run_on_a_partial_success_unless_compat(compat, added):
    seen = []
    loader = loader_of(responses={"s": lambda response: seen.append(response.is_complete)})
    made = endpoint("/x", backend("/a"), backend("/b"), extra_config=modified("s"))
    found = run(made, app=by_path(a=json_app({"a": 1}), b=BAD), loader=loader, compat=compat).get("/x")
    assert (found.json, seen) == ({"a": 1}, [False] if added else [])


def test_headers_of_several_backends_are_all_there():
    loader = loader_of(
        responses={
            "s": changing(headers={"X": ["1"], "Y": ["2"]}),
            "t": changing(headers={"X": ["3"], "Z": ["4"]}),
        }
    )
    made = endpoint(
        "/x", backend("/a", extra_config=modified("s")), backend("/b", extra_config=modified("t"))
    )
    found = run(made, app=json_app({"a": 1}), loader=loader).get("/x")
    assert [found.headers.getlist(name) for name in "XYZ"] == [["1"], ["2"], ["4"]]


# -- errors ----------------------------------------------------------------------------------------------

FULL = ModifierError('{"status":"ko"}', 429, "application/json", {"Retry-After": "7"})
PLAIN = "text/plain; charset=utf-8"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "status", "kind", "headers"),
    [
        (ModifierError("ko"), 500, PLAIN, {}),
        (ModifierError("ko", 403), 403, PLAIN, {}),
        (ModifierError("ko", 403, "text/x"), 403, "text/x", {}),
        (ModifierError("ko", 429, "text/x", {"Retry-After": "7"}), 429, "text/x", {"Retry-After": "7"}),
    ],
    ids=["message", "status", "type", "headers"],
)
@pytest.mark.parametrize("encoding", ["json", "no-op"])
@pytest.mark.parametrize("side", ["requests", "responses"])
@pytest.mark.parametrize("place", ["endpoint", "backend"])
@BOTH
def test_an_error_is_answered_by_what_it_has(
    place, side, encoding, error, status, kind, headers, compat, caplog
):
    loader = loader_of(**{side: {"e": raises(error)}})
    made = at(place, "e", output_encoding=encoding)
    for tell, body in ((False, ""), (True, "ko")):
        krakend = run(
            made, app=json_app({"a": 1}), loader=loader, compat=compat, router={"return_error_msg": tell}
        )
        found = krakend.get("/x/7")
        assert (found.status_code, found.text) == (status, body)
        assert found.headers.get("Content-Type") == (kind if tell else None)
        assert headers.items() <= dict(found.headers).items()
        assert found.headers["X-Krakend-Completed"] == "false"
    assert "[ENDPOINT: /x/{id}] ko" in caplog.text


@pytest.mark.parametrize("error", ["ko", ValueError("ko")], ids=["text", "exception"])
def test_an_error_that_is_returned_is_meant_for_the_client(error):
    loader = loader_of(requests={"e": lambda request: (None, error)})
    found = run(at("endpoint", "e"), loader=loader, router={"return_error_msg": True}).get("/x/7")
    assert (found.status_code, found.text) == (500, "ko")


@pytest.mark.parametrize("tell", [False, True])
def test_the_same_error_from_all_of_several_backends(tell):
    loader = loader_of(requests={"e": raises(FULL)})
    made = endpoint("/x", *(backend(path, extra_config=modified("e")) for path in ("/a", "/b")))
    router = {"return_error_msg": tell}
    found = run(made, loader=loader, router=router).get("/x")
    assert (found.status_code, found.headers["Retry-After"]) == (429, "7")
    assert found.text == ('{"status":"ko"}' if tell else "")
    found = run(made, loader=loader, router=router, compat=True).get("/x")
    assert (found.status_code, "Retry-After" in found.headers) == (500, False)
    assert found.text == ('{"status":"ko"}\n{"status":"ko"}' if tell else "")


@pytest.mark.parametrize("side", ["requests", "responses"])
@pytest.mark.parametrize("place", ["endpoint", "backend"])
@BOTH
def test_a_crash_in_a_modifier_is_an_empty_500(place, side, compat, caplog):
    loader = loader_of(**{side: {"e": raises(KeyError("secret"))}})
    krakend = run(
        at(place, "e"),
        app=json_app({"a": 1}),
        loader=loader,
        compat=compat,
        router={"return_error_msg": True},
    )
    found = krakend.get("/x/7")
    assert (found.status_code, found.data) == (500, b"")
    assert (found.headers["X-Krakend"], "X-Krakend-Completed" in found.headers) == (
        f"Version {__version__}",
        False,
    )
    assert "Traceback" in caplog.text


@BOTH
def test_a_crash_in_all_of_several_backends_is_an_empty_500_and_the_next_request_is_served(compat):
    made = endpoint("/x", backend("/a"), backend("/b"))
    calls = []

    def app(environ, start_response):
        calls.append(1)
        return (raising(KeyError("secret")) if len(calls) < 3 else json_app({"a": 1}))(
            environ, start_response
        )

    krakend = run(made, app=app, compat=compat, router={"return_error_msg": True})
    found = krakend.get("/x")
    assert (found.status_code, found.text.strip(), found.headers["X-Krakend-Completed"]) == (500, "", "false")
    assert krakend.get("/x").json == {"a": 1}


@pytest.mark.parametrize("place", ["endpoint", "backend"])
def test_a_stream_is_closed_when_a_response_modifier_fails(place):
    closed = []

    def app(environ, start_response):
        start_response("200 OK", [])
        return Closing([b"a"], closed)

    assert replied(place, raises(ModifierError("no", 403)), app, output_encoding="no-op").status_code == 403
    assert closed == ["close"]


def test_the_name_of_the_namespace_is_the_registrys():
    assert MODIFIERS == "plugin/req-resp-modifier"
