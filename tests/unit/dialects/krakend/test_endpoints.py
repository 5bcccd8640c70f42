"""Endpoints from the outside: the router, the replies, and what backends are sent."""

from __future__ import annotations

import io
import json
import re
import threading

import pytest
from werkzeug.test import Client

from plugmw import Gateway, Plugin, __version__
from plugmw.dialects.krakend.http_server import HTTPServer
from plugmw.dialects.krakend.model import Service
from plugmw.dialects.krakend.pool import Pool
from plugmw.dialects.krakend.wrappers import ModifierError
from plugmw.testing import gateway
from tests.support.events import listening
from tests.support.services import Service as Listening
from tests.support.services import answer, headers_of
from tests.support.sinks import closed_port
from tests.support.wsgi import Closing
from tests.unit.dialects.krakend.running import (
    CLIENTS,
    backend,
    by_path,
    endpoint,
    json_app,
    loader_of,
    plugin_of,
    raising,
    replying,
    run,
)

VERSION = f"Version {__version__}"
JSON = "application/json; charset=utf-8"
OWN = ("X-Krakend", "X-Krakend-Completed")
BAD = replying(b"no", "404 Not Found", ("Content-Type", "text/plain"))


def own(answer):
    """(X-Krakend, X-Krakend-Completed) of an answer."""
    return tuple(answer.headers.get(name) for name in OWN)


# -- replies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "sent", "completed"),
    [
        (
            b'{"b": "<&>", "a": {"d": 1, "c": 2.50}}',
            "200 OK",
            rb'{"a":{"c":2.50,"d":1},"b":"\u003c\u0026\u003e"}',
            "true",
        ),
        (b'{"a": 1}', "201 Created", b'{"a":1}', "true"),
        (b"{}", "200 OK", b"{}", "false"),
    ],
    ids=["object", "201", "empty object"],
)
def test_a_good_reply_is_a_json_object(body, status, sent, completed):
    app = replying(
        body, status, ("Content-Type", "application/json"), ("X-Backend", "1"), ("Set-Cookie", "a=1")
    )
    found = run(endpoint(), app=app).get("/x")
    assert (found.status_code, found.data) == (200, sent)
    assert dict(found.headers) == {
        "Content-Type": JSON,
        "Content-Length": str(len(sent)),
        "X-Krakend": VERSION,
        "X-Krakend-Completed": completed,
    }


@pytest.mark.parametrize(
    "app",
    [
        json_app([1]),
        replying(b"text"),
        replying(b"", "204 No Content"),
        replying(b"{}", "202 Accepted"),
        BAD,
        replying(b"{}", "302 Found"),
        replying(b'{"a": 1', "200 OK"),
    ],
    ids=["array", "no json", "204", "202", "404", "302", "cut short"],
)
@pytest.mark.parametrize("compat", [False, True])
def test_any_other_reply_is_an_empty_500(app, compat):
    found = run(endpoint(), app=app, compat=compat).get("/x")
    assert (found.status_code, found.data, own(found)) == (500, b"", (VERSION, "false"))
    assert "Content-Type" not in found.headers


@pytest.mark.parametrize(
    ("fields", "value", "data"),
    [
        ({"is_collection": True}, [1, 2], {"collection": [1, 2]}),
        ({"allow": ["a"]}, {"a": 1, "b": 2}, {"a": 1}),
        ({"deny": ["a"], "group": "g"}, {"a": 1, "b": 2}, {"g": {"b": 2}}),
        ({"target": "in", "mapping": {"a": "z"}}, {"in": {"a": 1}}, {"z": 1}),
    ],
)
def test_a_backends_reply_is_formatted(fields, value, data):
    assert run(endpoint("/x", backend(**fields)), app=json_app(value)).get("/x").json == data


@pytest.mark.parametrize(
    ("encoding", "accept", "kind", "body"),
    [
        ("json", None, JSON, b'{"content":"t"}'),
        ("string", None, "text/plain; charset=utf-8", b"t"),
        ("unknown", None, "text/plain; charset=utf-8", b"t"),
        ("negotiate", "application/json", JSON, b'{"content":"t"}'),
        ("negotiate", "application/x-yaml", None, b"content: t\n"),
    ],
)
def test_replies_have_the_encoding_of_the_endpoint(encoding, accept, kind, body):
    made = endpoint("/x", backend(encoding="string"), output_encoding=encoding)
    found = run(made, app=replying(b"t")).get("/x", headers={"Accept": accept} if accept else {})
    assert found.data == body
    assert kind is None or found.headers["Content-Type"] == kind
    assert found.headers.get("Vary") == ("Accept" if encoding == "negotiate" else None)


@pytest.mark.parametrize(
    ("value", "ttl", "header"),
    [
        ({"a": 1}, 3600.0, "public, max-age=3600"),
        ({"a": 1}, 1.9, "public, max-age=1"),
        ({"a": 1}, 0.0, None),
        ({}, 3600.0, None),
    ],
)
def test_a_complete_reply_may_be_cached(value, ttl, header):
    found = run(endpoint(cache_ttl=ttl), app=json_app(value)).get("/x")
    assert found.headers.get("Cache-Control") == header


@pytest.mark.parametrize("name", ["HTTP_AUTHORIZATION", "HTTP_COOKIE"])
@pytest.mark.parametrize(("compat", "audience"), [(False, "private"), (True, "public")])
def test_a_reply_to_somebody_known_is_not_for_shared_caches(name, compat, audience):
    client = run(endpoint(cache_ttl=60.0), app=json_app({"a": 1}), compat=compat)
    app = Client(client.application, use_cookies=False)
    found = app.get("/x", environ_overrides={name: "a=b"})
    assert found.headers["Cache-Control"] == f"{audience}, max-age=60"


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (BAD, "invalid status code 404 [GET /b]"),
        (replying(b"text"), "invalid json body"),
        (json_app({"a": "x" * 9_000_000}), "the body has more than 8388608 bytes"),
    ],
    ids=["status", "body", "too long"],
)
def test_the_reason_is_told_only_if_it_shall_be(app, message, caplog):
    assert run(endpoint(), app=app).get("/x").data == b""
    found = run(endpoint(), app=app, router={"return_error_msg": True}).get("/x")
    assert (found.status_code, found.text, found.content_type) == (500, message, "text/plain; charset=utf-8")
    assert f"[ENDPOINT: /x] {message}" in caplog.text


@pytest.mark.slow
def test_a_backend_that_is_down_or_slow_is_an_empty_500(caplog):
    def silent(connection):
        connection.request()
        connection.request()

    down = endpoint("/down", backend("/secret", host=f"http://127.0.0.1:{closed_port()}"))
    with Listening(silent) as service:
        slow = endpoint("/slow", backend(host=service.url), timeout=0.1)
        krakend = run(down, slow, router={"return_error_msg": True})
        assert [krakend.get(path).text for path in ("/down", "/slow")] == [
            "no connection",
            "context deadline exceeded",
        ]
        krakend = run(down, slow)
        for path in ("/down", "/slow"):
            found = krakend.get(path)
            assert (found.status_code, found.data, own(found)) == (500, b"", (VERSION, "false"))
    assert "[ENDPOINT: /down] no connection ([Errno 111]" in caplog.text


WISH = "backend/http"


@pytest.mark.parametrize(("tell", "body", "kind"), [(False, "", None), (True, "no", "text/plain")])
@pytest.mark.parametrize("compat", [False, True])
def test_return_error_code_hands_the_status_on(tell, body, kind, compat):
    made = endpoint("/x", backend(extra_config={WISH: {"return_error_code": True}}))
    found = run(made, app=BAD, router={"return_error_msg": tell}, compat=compat).get("/x")
    assert (found.status_code, found.text, found.headers.get("Content-Type")) == (404, body, kind)
    assert own(found) == (VERSION, "false")


@pytest.mark.parametrize("compat", [False, True])
def test_return_error_details_puts_the_error_into_the_data(compat):
    made = endpoint(
        "/x", backend(extra_config={WISH: {"return_error_details": "n", "return_error_code": True}})
    )
    found = run(made, app=BAD, compat=compat).get("/x")
    details = {"http_status_code": 404, "http_body": "no", "http_body_encoding": "text/plain"}
    assert (found.status_code, found.json, own(found)[1]) == (200, {"error_n": details}, "false")
    found = run(made, app=replying(b"", "500 Oops", ("X", "1"))).get("/x")
    assert found.json == {"error_n": {"http_status_code": 500}}


@pytest.mark.parametrize("wish", ["text", {"return_error_details": ""}, {"return_error_code": "yes"}, {}])
def test_a_wish_that_is_none_is_not_granted(wish):
    assert run(endpoint("/x", backend(extra_config={WISH: wish})), app=BAD).get("/x").status_code == 500


# -- several backends ------------------------------------------------------------------------------------

TWO = endpoint("/x", backend("/a"), backend("/b", group="b"), cache_ttl=60.0)


def test_several_backends_become_one_reply():
    app = by_path(a=json_app({"a": 1, "b": 0}), b=json_app({"c": 2}))
    found = run(TWO, app=app).get("/x")
    assert (found.json, own(found)[1]) == ({"a": 1, "b": {"c": 2}}, "true")
    assert found.headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize(
    "bad", [BAD, replying(b"x"), raising(KeyError("crash"))], ids=["404", "no json", "crash"]
)
@pytest.mark.parametrize("compat", [False, True])
def test_the_good_parts_are_sent(bad, compat, caplog):
    found = run(TWO, app=by_path(a=bad, b=json_app({"c": 2})), compat=compat).get("/x")
    assert (found.status_code, found.json, own(found)) == (200, {"b": {"c": 2}}, (VERSION, "false"))
    assert "Cache-Control" not in found.headers
    assert "[ENDPOINT: /x] Error #0: " in caplog.text


def test_it_is_500_if_all_fail(caplog):
    found = run(TWO, app=by_path(a=BAD, b=replying(b"x")), router={"return_error_msg": True}).get("/x")
    assert (found.status_code, own(found)) == (500, (VERSION, "false"))
    assert found.text == "invalid status code 404 [GET /a]\ninvalid json body"
    assert "[ENDPOINT: /x] Error #1: invalid json body" in caplog.text
    found = run(TWO, app=BAD).get("/x")
    assert (found.status_code, found.data) == (500, b"")


def test_a_part_with_the_details_of_an_error_is_not_complete():
    detailed = backend("/b", extra_config={WISH: {"return_error_details": "b"}})
    app = by_path(a=json_app({"a": 1}), b=BAD)
    found = run(endpoint("/x", backend("/a"), detailed), app=app).get("/x")
    assert (found.json["a"], found.json["error_b"]["http_status_code"], own(found)[1]) == (1, 404, "false")


def test_return_error_code_of_several_counts_unless_compat():
    coded = [backend(path, extra_config={WISH: {"return_error_code": True}}) for path in ("/a", "/b")]
    app = by_path(a=replying(b"x"), b=replying(b"gone", "410 Gone"))
    assert run(endpoint("/x", *coded), app=app).get("/x").status_code == 410
    assert run(endpoint("/x", *coded), app=app, compat=True).get("/x").status_code == 500


@pytest.mark.slow
def test_backends_are_asked_at_once_and_a_slow_one_is_left_out():
    together, go = threading.Barrier(2, timeout=10), threading.Event()

    def quick(environ, start_response):
        together.wait()
        return json_app({"a": 1})(environ, start_response)

    def slow(environ, start_response):
        together.wait()
        go.wait(10)
        return json_app({"b": 1})(environ, start_response)

    made = endpoint("/x", backend("/a"), backend("/b"), timeout=2.0)
    found = run(made, app=by_path(a=quick, b=slow)).get("/x")
    go.set()
    assert (found.status_code, found.json, own(found)[1]) == (200, {"a": 1}, "false")


def test_each_backend_gets_the_whole_body():
    seen = []
    made = endpoint("/x", backend("/a", method="POST"), backend("/b"), method="POST")
    run(made, app=json_app({}, seen=seen)).post("/x", data=b"body", content_type="text/x")
    assert [(e["body"], e["CONTENT_LENGTH"], e["CONTENT_TYPE"]) for e in seen] == [
        (b"body", "4", "text/x")
    ] * 2
    assert {e["REQUEST_METHOD"] for e in seen} == {"GET", "POST"}


def test_a_system_exit_of_a_backend_goes_to_the_server():
    with pytest.raises(SystemExit):
        run(TWO, app=raising(SystemExit())).get("/x")


# -- concurrent calls ------------------------------------------------------------------------------------


def first_fails(then, times=1):
    """An app that fails at first."""
    lock, calls = threading.Lock(), []

    def app(environ, start_response):
        with lock:
            calls.append(1)
            number = len(calls)
        return (BAD if number <= times else then)(environ, start_response)

    return app


def test_of_concurrent_calls_the_first_good_reply_counts():
    seen = []
    made = endpoint(concurrent_calls=3)
    assert run(made, app=first_fails(json_app({"a": 1}, seen=seen), times=2)).get("/x").json == {"a": 1}


def test_concurrent_calls_of_several_backends_need_no_thread_that_waits_for_them(monkeypatch):
    monkeypatch.setattr("plugmw.dialects.krakend.endpoints.Pool", lambda: Pool(size=1))
    made = endpoint("/x", backend("/a"), backend("/b"), concurrent_calls=2, timeout=20.0)
    found = run(made, app=by_path(a=json_app({"a": 1}), b=json_app({"b": 2}))).get("/x")
    assert (found.json, own(found)) == ({"a": 1, "b": 2}, (VERSION, "true"))


def test_concurrent_calls_that_all_fail_are_an_error():
    found = run(endpoint(concurrent_calls=3), app=BAD, router={"return_error_msg": True}).get("/x")
    assert (found.status_code, found.text) == (500, "invalid status code 404 [GET /b]")


@pytest.mark.slow
def test_concurrent_calls_end_at_their_deadline():
    go = threading.Event()

    def hangs(environ, start_response):
        go.wait(10)
        return json_app({})(environ, start_response)

    made = endpoint(concurrent_calls=2, timeout=0.1)
    assert (
        run(made, app=hangs, router={"return_error_msg": True}).get("/x").text == "context deadline exceeded"
    )
    go.set()


def test_an_incomplete_reply_counts_if_there_is_no_other():
    made = endpoint("/x", backend(extra_config={WISH: {"return_error_details": "n"}}), concurrent_calls=3)
    assert run(made, app=BAD).get("/x").json["error_n"]["http_status_code"] == 404
    assert run(made, app=first_fails(json_app({"a": 1}))).get("/x").json == {"a": 1}


def test_streams_of_concurrent_calls_that_nobody_takes_are_closed():
    closed, done, begun = [], threading.Event(), threading.Barrier(3, timeout=10)

    class Body(Closing):
        def close(self):
            super().close()
            if len(closed) == 3:
                done.set()

    def app(environ, start_response):
        begun.wait()  # a call that has not begun when the first one answers never does
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body([b"a", b"b"], closed)

    found = run(endpoint(concurrent_calls=3, output_encoding="no-op"), app=app).get("/x")
    assert found.data == b"ab"
    found.close()
    assert done.wait(10)


# -- no-op -----------------------------------------------------------------------------------------------


def noop(*args, **fields):
    return endpoint(*args, output_encoding="no-op", **fields)


@pytest.mark.parametrize("compat", [False, True])
def test_no_op_hands_status_headers_and_body_on(compat):
    headers = [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Content-Type", "text/x"),
        ("Content-Length", "4"),
    ]
    headers += [("X-Krakend", "other"), ("Connection", "close"), ("Etag", "e")]
    found = run(noop(cache_ttl=60.0), app=replying(b"body", "404 Not Found", *headers), compat=compat).get(
        "/x"
    )
    assert (found.status_code, found.data, found.headers.getlist("Set-Cookie")) == (
        404,
        b"body",
        ["a=1", "b=2"],
    )
    assert found.headers.getlist("X-Krakend") == [VERSION]
    assert (found.headers["X-Krakend-Completed"], found.headers["Content-Length"]) == ("false", "4")
    assert found.headers["Etag"] == "e"
    assert not {"Connection", "Cache-Control"} & set(found.headers.keys())


def test_no_op_streams_both_ways():
    """Neither is read before it must be: the app sees the client's own stream, the server the app's."""
    stream, closed, seen = io.BytesIO(b"body"), [], []

    def app(environ, start_response):
        seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closing(iter([b"a", b"b"]), closed)

    environ = {"wsgi.input": stream, "CONTENT_LENGTH": "4"}
    found = run(noop(method="POST"), app=app).post("/x", environ_overrides=environ, buffered=False)
    chunks = iter(found.response)
    assert (next(chunks), closed) == (b"a", [])
    assert seen[0]["wsgi.input"] is stream
    assert list(chunks) == [b"b"]
    found.close()
    assert closed == ["close"]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_op_sends_no_body_where_there_is_none(status):
    closed = []

    def app(environ, start_response):
        start_response(status, [("ETag", "e")])
        return Closing([], closed)

    found = run(noop(), app=app).get("/x")
    assert (found.status, found.data, "Content-Length" in found.headers) == (status, b"", False)
    assert (found.headers["ETag"], closed) == ("e", ["close"])


def test_a_crash_of_a_no_op_backend_is_an_empty_500(caplog):
    found = run(noop(), app=raising(KeyError("secret")), router={"return_error_msg": True}).get("/x")
    assert (found.status_code, found.data, own(found)) == (500, b"", (VERSION, None))
    assert "KeyError" in caplog.text


def test_a_no_op_backend_of_another_endpoint_gives_no_data():
    found = run(endpoint("/x", backend(encoding="no-op")), app=json_app({"a": 1})).get("/x")
    assert (found.status_code, found.json, own(found)[1]) == (200, {}, "false")


# -- what backends are sent ------------------------------------------------------------------------------


def test_a_backend_gets_path_method_headers_and_query_of_its_own():
    seen = []
    made = endpoint(
        "/users/{id}/{name}",
        backend("/u/{name}?of={id}", method="PUT", input_headers=["x-a"], input_query_strings=["q"]),
        method="POST",
        input_headers=["x-a", "x-b"],
        input_query_strings=["q", "r"],
    )
    run(made, app=json_app({}, seen=seen)).post(
        "/users/7/a%20b?q=1&q=2&r=3&s=4", headers={"X-A": "1", "X-B": "2"}, data=b"body"
    )
    (environ,) = seen
    assert (environ["REQUEST_METHOD"], environ["RAW_URI"]) == ("PUT", "/u/a%20b?of=7&q=1&q=2")
    sent = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
    assert sent == {"HTTP_X_A": "1", "HTTP_HOST": "localhost"}
    assert (environ.get("CONTENT_TYPE"), environ["body"]) == (None, b"body")


def test_what_goes_over_the_wire_by_default():
    with Listening(answer(b'{"a": 1}')) as service:
        made = endpoint("/x", backend("/b", host=service.url, method="POST"), method="POST")
        run(made).post(
            "/x?q=1",
            data=b"body",
            content_type="text/x",
            headers={"X-A": "1", "Cookie": "c=1"},
            environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
        )
        (request,) = service.requests
    assert request.startswith(b"POST /b HTTP/1.1\r\n")
    assert headers_of(request) == {
        "host": f"127.0.0.1:{service.port}",
        "accept-encoding": "gzip",
        "content-type": "text/x",
        "content-length": "4",
        "user-agent": f"KrakenD {VERSION}",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": "localhost",
    }


def test_of_several_hosts_one_is_picked_for_each_call(monkeypatch):
    with Listening(answer(b'{"a": 1}')) as one, Listening(answer(b'{"a": 2}')) as other:
        krakend = run(endpoint("/x", backend(host=[one.url, other.url])))
        picks = iter([one.url, other.url, other.url])
        monkeypatch.setattr("plugmw.dialects.krakend.backends.random.choice", lambda hosts: next(picks))
        assert [krakend.get("/x").json["a"] for _ in range(3)] == [1, 2, 2]


def test_a_body_that_is_packed_although_nobody_asked_is_unpacked():
    import gzip

    app = replying(gzip.compress(b'{"a": 1}'), "200 OK", ("Content-Encoding", "gzip"))
    assert run(endpoint(), app=app).get("/x").json == {"a": 1}


@pytest.mark.parametrize(
    ("app", "json"),
    [
        (json_app({"a": 1}), {"a": 1}),
        (BAD, None),
    ],
)
def test_a_client_plugin_answers_for_the_backend(app, json):
    loader = loader_of(clients={"c": app})
    config = {CLIENTS: {"name": "c"}}
    far = backend(host="http://nowhere.invalid", extra_config=config)
    krakend = run(endpoint("/x", far), noop("/n", far), loader=loader)
    found = krakend.get("/x")
    assert (found.status_code, found.json if json else None) == (200 if json else 500, json)
    assert krakend.get("/n").status_code == (200 if json else 404)


def test_a_client_plugin_gets_the_request_as_it_is_built():
    seen = []
    loader = loader_of(clients={"c": json_app({}, seen=seen)})
    far = backend(
        "/b/{id}", host="https://far.example:444", extra_config={CLIENTS: {"name": "c"}}, method="POST"
    )
    run(endpoint("/x/{id}", far, method="POST"), loader=loader).post("/x/7", data=b"body")
    (environ,) = seen
    keys = ("wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT", "PATH_INFO", "REQUEST_METHOD", "body")
    assert tuple(environ[key] for key in keys) == ("https", "far.example:444", "444", "/b/7", "POST", b"body")


@pytest.mark.slow
def test_headers_that_are_left_out_are_told_once(caplog):
    caplog.set_level("DEBUG", "plugmw")
    krakend = run(endpoint(input_headers=["x-a"]), app=json_app({"a": 1}))
    for _ in range(2):
        krakend.get("/x", headers={"X-A": "1", "X-B": "secret", "User-Agent": "u"})
    krakend.get("/x", headers={"X-C": "1"})
    told = "[ENDPOINT: /x] Headers not in input_headers are left out: "
    assert [line for line in caplog.messages if line.startswith(told)] == [told + "X-B", told + "X-C"]
    for number in range(150):
        krakend.get("/x", headers={f"X-{number}": "1"})
    assert len([line for line in caplog.messages if line.startswith(told)]) == 100


@pytest.mark.parametrize("encoding", ["json", "no-op"])
def test_a_reply_that_comes_too_late_is_none(encoding, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    closed = []

    def slow(environ, start_response):
        now[0] += 3
        start_response("200 OK", [("Content-Type", "application/json")])
        return Closing([b"{}"], closed)

    made = endpoint(output_encoding=encoding, timeout=2.0)
    found = run(made, app=slow, router={"return_error_msg": True}).get("/x")
    assert (found.status_code, found.text, closed) == (500, "context deadline exceeded", ["close"])


# -- the client's request --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/u/7", 200),
        ("/u/%C3%A9", 200),
        ("/u/a%3Fb", 400),
        ("/u/a%23b", 400),
        ("/u/a%252fb", 400),
        ("/u/100%25", 400),
        ("/u/a%2Fb", 404),
        ("/u/%2e%2e", 400),
    ],
)
def test_parameters_are_taken_unless_they_are_escaped_twice(path, status):
    found = run(endpoint("/u/{id}", backend("/b/{id}")), app=json_app({"a": 1})).get(path)
    assert found.status_code == status
    if status == 400:
        assert (found.text, found.content_type) == ("error: encoded url params", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("length", "status"),
    [("+4", 400), ("x", 400), ("4", 200), ("99", 400)],
    ids=["sign", "text", "good", "too much"],
)
def test_a_length_that_is_none_is_a_bad_request(length, status):
    made = endpoint("/x", backend("/a", method="POST"), backend("/b"), method="POST")
    environ = {"wsgi.input": io.BytesIO(b"body"), "CONTENT_LENGTH": length}
    found = run(made, app=json_app({"a": 1}), router={"return_error_msg": True}).post(
        "/x", environ_overrides=environ
    )
    assert found.status_code == status
    if status == 400:
        assert (found.data, own(found)) == (b"", (VERSION, "false"))


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "4"}, 200),
        ({"CONTENT_LENGTH": "5"}, 413),
        ({"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}, 413),
    ],
    ids=["fits", "too long", "chunked, too long"],
)
def test_a_payload_has_a_limit(environ, status):
    body = {"CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(b"body!")}
    krakend = run(noop(method="POST"), app=replying(b"ok"), router={"max_payload": 4})
    assert krakend.post("/x", environ_overrides={**body, **environ}).status_code == status


def test_a_body_that_several_backends_need_has_the_limit_of_the_gateway():
    for body, status in ((b"abc", 200), (b"abcd", 413)):
        plugin = plugin_of(endpoint("/x", backend(), backend(), method="POST"))
        krakend = Client(Gateway(json_app({"a": 1}), plugins=[plugin]))
        plugin.runtime.max_request_body = 3
        assert krakend.post("/x", data=body).status_code == status
        plugin.close()


# -- the router ------------------------------------------------------------------------------------------

PATHS = (endpoint("/x"), endpoint("/x", method="POST"), endpoint("/Mixed/{id}"), endpoint("/all/*"))


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nothing", 404, "404 page not found"),
        ("HEAD", "/nothing", 404, ""),
        ("PUT", "/x", 405, "405 method not allowed"),
        ("HEAD", "/x", 405, ""),
        ("OPTIONS", "/x", 405, "405 method not allowed"),
        ("POST", "/__health", 405, "405 method not allowed"),
    ],
)
def test_the_router_refuses(method, path, status, text):
    found = run(*PATHS).open(path, method=method)
    assert (found.status_code, found.text, own(found)) == (status, text, (VERSION, "false"))
    assert found.content_type == "text/plain"
    if status == 405:
        assert found.headers["Allow"] == ("GET" if path == "/__health" else "GET, POST")


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/x/?q=1", 301, "/x?q=1"),
        ("POST", "/x/", 307, "/x"),
        ("GET", "/X", 301, "/x"),
        ("POST", "/y/..//X", 307, "/x"),
        ("GET", "/mixed/Paul%20B", 301, "/Mixed/Paul%20B"),
        ("GET", "/all", 301, "/all/"),
    ],
)
def test_a_path_that_is_almost_right_is_redirected(method, path, status, location):
    found = run(*PATHS).open(path, method=method)
    assert (found.status_code, found.headers["Location"]) == (status, location)
    body = f'<a href="{location}">Moved Permanently</a>.\n\n' if method == "GET" else ""
    assert found.text == body


def test_a_redirect_keeps_the_bytes_of_the_query():
    found = run(*PATHS).get("/", environ_overrides={"PATH_INFO": "/x/", "QUERY_STRING": "q=\xc3\xa9%20"})
    assert found.headers["Location"] == "/x?q=%C3%A9%20"


def test_a_redirect_never_leads_to_another_host():
    krakend = run(endpoint("/{a}"), endpoint("/b/*"))
    for path in ("//evil.example", "//evil.example/", "/\\evil.example/"):
        found = krakend.get("/", environ_overrides={"PATH_INFO": path, "QUERY_STRING": "<script>\n"})
        assert re.fullmatch(r"/(%5C)?evil\.example\?<script>%0A", found.headers["Location"])
        assert "<script>" not in found.text


@pytest.mark.parametrize(
    ("router", "path", "status"),
    [
        ({"disable_redirect_trailing_slash": True, "disable_redirect_fixed_path": True}, "/x/", 404),
        ({"disable_redirect_fixed_path": True}, "/X", 404),
        ({"disable_redirect_trailing_slash": True}, "/x/", 301),
    ],
)
def test_redirects_can_be_switched_off(router, path, status):
    assert run(*PATHS, router=router).get(path).status_code == status


def test_405_can_be_switched_off():
    assert run(*PATHS, router={"disable_handle_method_not_allowed": True}).put("/x").status_code == 404


def test_refusals_may_have_a_body_of_their_own():
    krakend = run(*PATHS, router={"error_body": {404: {"m": "<no>"}, 405: ["x"]}})
    found = krakend.get("/nothing")
    assert (found.status_code, found.data, found.content_type) == (404, rb'{"m":"\u003cno\u003e"}', JSON)
    assert krakend.put("/x").json == ["x"]


def test_auto_options_tell_the_methods():
    found = run(*PATHS, router={"auto_options": True}).options("/x")
    assert (found.status_code, found.headers["Allow"], own(found)) == (200, "GET, POST", (VERSION, None))
    assert run(*PATHS, router={"auto_options": True}).delete("/x").headers["Allow"] == "GET, POST, OPTIONS"


def test_an_unsupported_method_is_logged_and_left_out(caplog):
    krakend = run(endpoint("/x", method="TRACE"), endpoint("/y"), app=json_app({"a": 1}))
    assert (krakend.get("/y").status_code, krakend.open("/x", method="TRACE").status_code) == (200, 404)
    assert "[ENDPOINT: /x] Unsupported method TRACE" in caplog.text


# -- with an app behind ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/x", 200),
        ("GET", "/other", 418),
        ("POST", "/", 418),
        ("PUT", "/x", 405),
        ("GET", "/x/", 301),
        ("GET", "/X", 301),
        ("GET", "/a/../x", 301),
        ("GET", "/x;a=b", 404),
        ("GET", "/%2578", 404),
    ],
)
def test_what_no_endpoint_has_goes_to_the_app_and_nothing_in_disguise(method, path, status):
    def app(environ, start_response):
        backend = environ["PATH_INFO"] == "/b"
        return (json_app({"a": 1}) if backend else replying(b"tea", "418 Teapot"))(environ, start_response)

    assert run(endpoint("/x"), app=app, has_app=True).open(path, method=method).status_code == status


def test_a_mount_that_a_client_says_moves_neither_endpoint_nor_app():
    seen = []
    listed = endpoint("/x"), endpoint("/a/{id}", backend("/a/{Id}"))
    krakend = run(*listed, app=json_app({}, seen=seen), has_app=True)
    moved = {"SCRIPT_NAME": "/y", "PATH_INFO": "/x", "HTTP_SCRIPT_NAME": "/y"}
    assert krakend.get("/", environ_overrides=moved).status_code == 404
    assert seen == []
    moved = {"SCRIPT_NAME": "/a", "PATH_INFO": "/admin", "HTTP_SCRIPT_NAME": "/a"}
    assert krakend.get("/", environ_overrides=moved).status_code == 200
    assert [(one["SCRIPT_NAME"], one["PATH_INFO"]) for one in seen] == [("", "/a/admin")]


def test_the_app_as_backend_sees_who_asks_but_not_what_is_not_listed():
    seen = []
    environ = {"REMOTE_USER": "alice", "REMOTE_ADDR": "1.2.3.4", "HTTP_COOKIE": "a=b"}
    run(endpoint(), app=json_app({}, seen=seen)).get(
        "/x", environ_overrides=environ, base_url="http://shop.example"
    )
    (found,) = seen
    assert (found["REMOTE_USER"], found["HTTP_HOST"], found["HTTP_X_FORWARDED_FOR"]) == (
        "alice",
        "shop.example",
        "1.2.3.4",
    )
    assert "HTTP_COOKIE" not in found


# -- pages -----------------------------------------------------------------------------------------------


def test_health():
    found = run().get("/__health")
    assert (found.status_code, found.content_type, own(found)) == (200, JSON, (None, None))
    assert set(found.json) == {"agents", "now", "status"}
    assert (found.json["agents"], found.json["status"]) == ({}, "ok")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} [+-]\d{4} \S+ m=\+\d+\.\d{9}", found.json["now"]
    )


def test_health_may_be_elsewhere_or_nowhere():
    assert run(router={"health_path": "/alive"}).get("/alive").json["status"] == "ok"
    assert run(router={"disable_health": True}).get("/__health").status_code == 404


def test_the_documents_own_example_answers_with_the_health_object():
    app = run(endpoint("/test/{id}", backend("/__health")), app=json_app({"agents": {}, "status": "ok"}))
    found = app.get("/test/1")
    assert (found.json, own(found)[1]) == ({"agents": {}, "status": "ok"}, "true")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
def test_debug_logs_what_it_is_asked(method, caplog):
    caplog.set_level("DEBUG", "plugmw")
    krakend = run(debug_endpoint=True)
    headers = {"X-A": "1", "Authorization": "Bearer secret", "Cookie": "secret"}
    found = krakend.open("/__debug/a/b?q=1&apikey=secret", method=method, headers=headers, data="the body")
    assert (found.status_code, own(found)) == (200, (None, None))
    assert found.json == {"message": "pong"} if method != "HEAD" else found.data == b""
    lines = [line for line in caplog.messages if line.startswith("[ENDPOINT: /__debug/*]")]
    assert [line.split()[2] for line in lines] == [
        "Method:",
        "URL:",
        "Query:",
        "Params:",
        "Headers:",
        "Body:",
    ]
    assert lines[0].endswith(method)
    assert "/__debug/a/b?apikey=REDACTED&q=1" in lines[1]
    assert ("the body" in lines[5], "secret" in caplog.text) == (True, False)
    assert krakend.get("/__debug").headers["Location"] == "/__debug/"


def test_echo_tells_what_it_is_asked():
    found = run(echo_endpoint=True).put(
        "/__echo/%C3%A9?b=1&a=2&a=3", headers={"X-A": "1"}, data="text", content_type="text/x"
    )
    told = found.json
    assert (found.status_code, told["req_method"], told["req_body"]) == (200, "PUT", "text")
    assert told["req_uri"] == "/__echo/%C3%A9?b=1&a=2&a=3"
    assert told["req_uri_details"] == {
        "user": "",
        "host": "localhost",
        "path": "/__echo/é",
        "query": "a=2&a=3&b=1",
        "fragment": "",
    }
    assert told["req_querystring"] == {"a": ["2", "3"], "b": ["1"]}
    assert told["req_headers"] == {"X-A": ["1"], "Content-Type": ["text/x"], "Content-Length": ["4"]}


@pytest.mark.parametrize("page", ["debug", "echo"])
@pytest.mark.parametrize(
    ("environ", "status"), [({"CONTENT_LENGTH": "x"}, 400), ({"CONTENT_LENGTH": "99999999"}, 413)]
)
def test_a_page_reads_no_body_without_end(page, environ, status):
    found = run(**{f"{page}_endpoint": True}).post(f"/__{page}/", environ_overrides=environ)
    assert (found.status_code, found.data) == (status, b"")


def test_debug_and_echo_are_off_by_default():
    assert [run().get(path).status_code for path in ("/__debug/x", "/__echo/x")] == [404, 404]


# -- the plugin ------------------------------------------------------------------------------------------


def test_what_is_built_is_logged(caplog):
    caplog.set_level("DEBUG", "plugmw")
    run(endpoint("/x/{id}", backend("/a"), backend("/b", method="POST")), app=json_app({"a": 1})).get("/x/1")
    assert caplog.messages == [
        "[ENDPOINT: /x/{id}] Building the proxy pipe",
        "[BACKEND: GET /x/{id} -> /a] Building the backend pipe",
        "[BACKEND: GET /x/{id} -> /b] Building the backend pipe",
        "[ENDPOINT: /x/{id}][Merge] Backends: 2, merger: parallel, combiner: default",
        "[ENDPOINT: /x/{id}] Building the http handler",
    ]


def test_a_server_plugins_own_answer_has_no_header_of_krakends(tmp_path):
    source = """
class Registerer:
    def register_handlers(self, f):
        f("hijack", lambda context, extra, h: self.handler(h))
    def handler(self, h):
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/hijack":
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [b"mine"]
            return h(environ, start_response)
        return app
HandlerRegisterer = Registerer()
"""
    (tmp_path / "hijack.py").write_text(source)
    server = HTTPServer(module=str(tmp_path / "hijack.py"))
    krakend = Client(gateway(server, plugin_of(endpoint("/x")), app=json_app({"a": 1})))
    found = krakend.get("/hijack")
    assert (found.text, own(found)) == ("mine", (None, None))
    assert own(krakend.get("/x")) == (VERSION, "true")
    assert own(krakend.get("/y")) == (VERSION, "false")


def test_the_plugin_can_be_started_again_after_it_was_closed():
    plugin = plugin_of(TWO)
    wrapped, stopped = Gateway(json_app({"a": 1}), plugins=[plugin]), plugin.loader.context.done
    krakend = Client(wrapped)
    for _ in range(2):
        assert krakend.get("/x").json == {"a": 1, "b": {"a": 1}}
        assert not stopped.is_set()
        wrapped.stop()
        assert stopped.is_set()
    wrapped.stop()


def test_requests_are_refused_if_the_endpoints_cannot_be_made():
    def fails(context, extra):
        raise ValueError("no config")

    loader = loader_of()
    loader.register.clients["c"] = fails
    made = endpoint("/x", backend(extra_config={CLIENTS: {"name": "c"}}))
    krakend = run(made, loader=loader, strict=True, has_app=True, app=replying(b"the app"))
    assert krakend.get("/other").status_code == 500
    assert run(made, loader=loader, app=json_app({"a": 1})).get("/x").json == {"a": 1}


def test_without_options_there_is_an_app():
    from plugmw.dialects.krakend.endpoints import Endpoints

    plugin = Endpoints.of(Service(), loader_of())
    assert Client(Gateway(replying(b"app"), plugins=[plugin])).get("/").data == b"app"


def test_a_registered_logger_reaches_the_plugins():
    given = []

    class Registerer:
        def register_logger(self, logger):
            given.append(logger)

    loader = loader_of()
    loader._symbols.append(Registerer())
    wrapped = Gateway(json_app({}), plugins=[plugin_of(endpoint(), loader=loader)])
    count = len(given)
    wrapped.register_logger(
        target := type("Log", (), {"__getattr__": lambda self, name: lambda *a, **k: None})()
    )
    assert (len(given), given[-1].target) == (count + 1, target)


def test_an_error_before_any_backend_is_asked_is_answered_too():
    loader = loader_of(requests={"r": lambda request: (None, ModifierError("no", 403))})
    made = endpoint(extra_config={"plugin/req-resp-modifier": {"name": ["r"]}})
    found = run(made, loader=loader).get("/x")
    assert (found.status_code, json.dumps(found.text), own(found)[1]) == (403, '""', "false")


# -- what operators see -------------------------------------------------------------------------------


class Sees(Plugin):
    """Notes who answered, as log plugins are told."""

    name, priority, needs_timings = "sees", 1, True

    def log(self, x):
        self.told = (x.status, x.source)


def seen(host, path="/x", method="GET"):
    sees = Sees()
    document = {
        "version": 3,
        "endpoints": [{"endpoint": "/x", "backend": [{"host": [host], "url_pattern": "/"}]}],
    }
    wrapped = Gateway.from_krakend(None, document, plugins=[sees], store="memory://")
    taken = listening(wrapped.runtime.events)
    Client(wrapped).open(path, method=method, buffered=True).close()
    wrapped.stop()
    return sees.told, taken


def test_a_backend_that_is_down_is_counted_and_its_answer_is_the_gateways_own():
    down = seen(f"http://127.0.0.1:{closed_port()}")
    assert down == ((500, "error"), [("upstream_failures", "connect", 1)])


def test_an_answer_that_is_none_is_counted():
    with Listening(b"no http\r\n\r\n") as service:
        assert seen(service.url) == ((500, "error"), [("upstream_failures", "answer", 1)])


def test_a_backend_that_answers_is_the_service():
    with Listening(answer(b"{}")) as service:
        assert seen(service.url) == ((200, "service"), [])


@pytest.mark.parametrize(
    ("path", "method", "line"),
    [
        ("/y", "GET", "404 by krakend: no endpoint has this path; consumer -, GET /y, request "),
        ("/x", "POST", "405 by krakend: the endpoint has GET; consumer -, POST /x, request "),
    ],
)
def test_what_the_router_refuses_is_one_line(caplog, path, method, line):
    caplog.set_level(22)
    assert seen("http://127.0.0.1:79", path, method)[0] == (int(line[:3]), "error")
    assert [(record.levelname, record.getMessage()[:-32]) for record in caplog.records] == [("REFUSED", line)]
