"""gostyle: handlers (w, req) as WSGI apps, apps as handlers."""

from __future__ import annotations

import io
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
import webob
from werkzeug.test import Client, create_environ, run_wsgi_app

from plugmw.dialects.go_http import AppHandler, HandlerFunc, Request, ResponseWriter, as_handler


def call(app, path="/", method="GET"):
    """Send a request through ``app`` under a WSGI checker."""
    return Client(validator(app)).open(path, method=method, buffered=True)


@validator
def app(environ, start_response):
    start_response("201 Created", [("Content-Type", "text/html"), ("X-App", "1")])
    return [b"app"]


def late_app(environ, start_response):
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    yield b"la"
    yield b"te"


class TestWriter:
    def test_a_write_without_a_status_is_200_plain_text_with_its_length(self):
        answer = call(HandlerFunc(lambda w, req: w.write("Hello, ä")))
        assert (answer.status_code, answer.text) == (200, "Hello, ä")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Content-Length"] == "9"

    def test_nothing_written_is_an_empty_200(self):
        _, status, headers = run_wsgi_app(HandlerFunc(lambda w, req: None), create_environ())
        assert (status, headers["Content-Length"]) == ("200 OK", "0")

    def test_the_first_status_counts(self):
        def handler(w, req):
            w.header()["Content-Type"] = "text/plain"
            w.write_header(404)
            w.write_header(500)
            w.write(b"no")

        assert call(HandlerFunc(handler)).status_code == 404

    def test_write_returns_the_number_of_bytes(self):
        assert ResponseWriter().write("ä") == 2

    @pytest.mark.parametrize("status", [0, 100, 199, 600])
    def test_refuses_a_status_that_cannot_be_sent(self, status):
        with pytest.raises(ValueError, match="expected a number between 200 and 599"):
            ResponseWriter().write_header(status)

    def test_refuses_what_is_neither_bytes_nor_text(self):
        with pytest.raises(TypeError, match="write: got int"):
            ResponseWriter().write(5)

    def test_refuses_a_header_that_splits_the_response(self):
        def handler(w, req):
            w.header()["X-A"] = "1\r\nX-B: 2"

        with pytest.raises(ValueError, match="X-A"):
            run_wsgi_app(HandlerFunc(handler), create_environ())

    @pytest.mark.parametrize("status", [204, 304])
    def test_a_status_without_a_body_has_none(self, status):
        def handler(w, req):
            w.write_header(status)
            w.write("dropped")

        body, _, headers = run_wsgi_app(HandlerFunc(handler), create_environ(), buffered=True)
        assert (b"".join(body), headers.get("Content-Length")) == (b"", None)

    def test_a_length_that_the_handler_gave_goes_where_there_is_no_body(self):
        def handler(w, req):
            w.header()["Content-Length"] = "5"
            w.write_header(204)

        assert "Content-Length" not in call(HandlerFunc(handler)).headers

    def test_a_head_answer_without_a_body_keeps_its_length(self):
        def handler(w, req):
            w.header()["Content-Length"] = "5"
            w.header()["Content-Type"] = "text/plain"

        assert call(HandlerFunc(handler), method="HEAD").headers["Content-Length"] == "5"

    def test_a_head_answer_has_the_length_and_no_body(self):
        answer = call(HandlerFunc(lambda w, req: w.write("hello")), method="HEAD")
        assert (answer.data, answer.headers["Content-Length"]) == (b"", "5")

    def test_status_is_0_until_something_is_written(self):
        writer = ResponseWriter()
        writer.header()["X-A"] = "1"
        assert writer.status == 0
        writer.write("")
        assert writer.status == 200


class TestServeHTTP:
    def test_goes_through_with_status_and_headers(self):
        h = as_handler(app)
        answer = call(HandlerFunc(lambda w, req: h.serve_http(w, req)))
        assert (answer.status_code, answer.text, answer.headers["X-App"]) == (201, "app", "1")

    def test_hands_the_iterable_of_the_app_to_the_server_untouched(self):
        wrapped = FileWrapper(io.BytesIO(b"file"))

        def file_app(environ, start_response):
            start_response("200 OK", [])
            return wrapped

        h = AppHandler(file_app)
        handler = HandlerFunc(lambda w, req: h.serve_http(w, req))
        assert handler(create_environ(), lambda *args: None) is wrapped

    def test_an_app_that_starts_late_is_started_by_then(self):
        h, seen = AppHandler(late_app), []

        def handler(w, req):
            h.serve_http(w, req)
            seen.append(w.status)

        assert call(HandlerFunc(handler)).text == "late"
        assert seen == [202]

    def test_an_app_without_a_chunk_is_started_too(self):
        def empty(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield from ()

        h = AppHandler(empty)
        assert call(HandlerFunc(lambda w, req: h.serve_http(w, req))).data == b""

    def test_an_app_that_never_starts_is_an_error_and_is_closed(self):
        body = Closing(b"")
        h = AppHandler(lambda environ, start_response: body)
        with pytest.raises(RuntimeError, match="without calling start_response"):
            HandlerFunc(lambda w, req: h.serve_http(w, req))(create_environ(), None)
        assert body.closed == 1
        with pytest.raises(RuntimeError, match="without calling start_response"):
            ResponseWriter().run(lambda environ, start_response: [b""], create_environ())

    def test_headers_set_before_and_after_join_those_of_the_app(self):
        h = AppHandler(app)

        def handler(w, req):
            w.header()["X-App"] = "mine"
            w.header()["X-Before"] = "1"
            h.serve_http(w, req)
            w.header()["X-After"] = "1"
            del w.header()["Content-Type"]
            w.header()["Content-Type"] = "text/plain"

        answer = call(HandlerFunc(handler))
        assert answer.headers.getlist("X-App") == ["mine"]
        assert (answer.headers["X-Before"], answer.headers["X-After"]) == ("1", "1")
        assert answer.headers.getlist("Content-Type") == ["text/plain"]

    def test_what_is_written_round_an_app_is_sent_with_the_whole_length(self):
        h = AppHandler(late_app)

        def handler(w, req):
            h.serve_http(w, req)
            w.write("r")

        answer = call(HandlerFunc(handler))
        assert (answer.text, answer.headers["Content-Length"], answer.status_code) == ("later", "5", 202)

    def test_a_status_written_before_wins_over_the_app(self):
        h = AppHandler(app)

        def handler(w, req):
            w.write("before ")
            h.serve_http(w, req)

        assert (call(HandlerFunc(handler)).status_code, call(HandlerFunc(handler)).text) == (
            200,
            "before app",
        )

    def test_an_app_that_starts_again_with_exc_info_replaces_its_own_headers(self):
        def failing(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain"), ("X-First", "1")])
            try:
                raise KeyError
            except KeyError as error:
                info = (KeyError, error, error.__traceback__)
                start_response("500 Internal Server Error", [("Content-Type", "text/plain")], info)
            return [b"broken"]

        h = AppHandler(failing)
        answer = call(HandlerFunc(lambda w, req: h.serve_http(w, req)))
        assert (answer.status_code, "X-First" in answer.headers) == (500, False)

    def test_exc_info_after_the_headers_went_out_reaches_the_server(self):
        got = []

        def failing(environ, start_response):
            start_response("200 OK", [])
            yield b"one"
            start_response("500 Internal Server Error", [], ("info",))

        h = AppHandler(failing)
        body = HandlerFunc(lambda w, req: h.serve_http(w, req))(
            create_environ(), lambda status, headers, exc_info=None: got.append(exc_info)
        )
        assert list(body) == [b"one"]
        assert got == [None, ("info",)]

    def test_the_write_callable_works_before_and_after_the_headers_went_out(self):
        sent = []

        def writing(environ, start_response):
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"a"
            write(b"b")

        h = AppHandler(writing)
        body = HandlerFunc(lambda w, req: h.serve_http(w, req))(create_environ(), lambda *args: sent.append)
        assert (list(body), sent) == ([b"a"], [b"b"])

        def early(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])(b"a")
            return [b"b"]

        h2 = AppHandler(early)
        assert call(HandlerFunc(lambda w, req: h2.serve_http(w, req))).text == "ab"

    def test_a_second_writer_records_the_answer(self):
        h, body = AppHandler(app), []

        def handler(w, req):
            recorder = ResponseWriter()
            h.serve_http(recorder, req)
            body.append(recorder.body)
            w.header().update(recorder.header())
            w.write_header(recorder.status)
            w.write(recorder.body.upper())

        answer = call(HandlerFunc(handler))
        assert (answer.status_code, answer.text, answer.headers["X-App"]) == (201, "APP", "1")
        assert body == [b"app"]

    def test_an_app_that_fails_in_its_body_is_closed_once(self):
        class Failing(Closing):
            def __iter__(self):
                raise KeyError

        def inner(environ, start_response):
            start_response("200 OK", [])
            return body

        h, body = AppHandler(inner), Failing()
        with pytest.raises(KeyError):
            HandlerFunc(lambda w, req: (h.serve_http(w, req), w.write("y")))(create_environ(), None)
        assert body.closed == 1

    def test_the_app_is_closed_once_whatever_happens(self):
        def closing(body):
            def inner(environ, start_response):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return body

            return AppHandler(inner)

        def fails(w, req):
            h.serve_http(w, req)
            raise KeyError

        body = Closing(b"x")
        h = closing(body)
        with pytest.raises(KeyError):
            HandlerFunc(fails)(create_environ(), None)
        assert body.closed == 1

        body = Closing(b"x")
        h = closing(body)
        call(HandlerFunc(lambda w, req: (h.serve_http(w, req), w.write("y"))))
        assert body.closed == 1

        body = Closing(b"x")
        h = closing(body)
        call(HandlerFunc(lambda w, req: h.serve_http(w, req)))
        assert body.closed == 1


class Closing:
    def __init__(self, *chunks):
        self.chunks, self.closed = chunks, 0

    def __iter__(self):
        return iter(self.chunks)

    def close(self):
        self.closed += 1


class TestAsHandler:
    @pytest.mark.parametrize("first", ["w", "rw"])
    def test_a_function_that_begins_with_a_writer_is_go_style(self, first):
        scope = {}
        exec(f"def handler({first}, req): {first}.write('go')", scope)
        assert call(as_handler(scope["handler"])).text == "go"

    def test_any_other_callable_is_a_wsgi_app(self):
        assert isinstance(as_handler(app), AppHandler)
        assert call(as_handler(app)).text == "app"

    def test_a_handler_stays_as_it_is(self):
        handler = HandlerFunc(lambda w, req: None)
        assert as_handler(handler) is handler

    def test_an_object_with_serve_http_alone_becomes_an_app(self):
        class Mine:
            def serve_http(self, w, req):
                w.write("mine")

        assert call(as_handler(Mine())).text == "mine"

    def test_a_callable_without_a_signature_is_a_wsgi_app(self):
        assert isinstance(as_handler(print), AppHandler)
        assert isinstance(as_handler(type), AppHandler)

    @pytest.mark.parametrize("found", [None, 5, "text"])
    def test_refuses_what_cannot_be_called(self, found):
        with pytest.raises(TypeError, match=r"expected a WSGI app or a handler \(w, req\)"):
            as_handler(found)


class TestRequest:
    @pytest.mark.parametrize(
        ("path", "seen"),
        [
            ("/hijack-me", "/hijack-me"),
            ("//hijack-me", "/hijack-me"),
            ("/a/../hijack-me", "/hijack-me"),
            ("/gr%C3%BCn/", "/grün/"),
            ("", "/"),
        ],
    )
    def test_url_path_is_decoded_and_normalised(self, path, seen):
        environ = create_environ()
        environ["PATH_INFO"] = webob.Request.blank(path or "/").path_info.encode().decode("latin-1")
        assert Request(environ).url_path == seen

    @pytest.mark.parametrize(
        ("script", "path", "seen"),
        [
            ("", "/ü", ("", "/Ã¼", "/%C3%BC?q=1")),
            ("/m", "/m/x", ("/m", "/x", "/m/x?q=1")),
            ("/m", "/x", ("", "/x", "/x?q=1")),
            ("/m", "/mx", ("", "/mx", "/mx?q=1")),
        ],
    )
    def test_url_path_can_be_set_for_whoever_comes_after(self, script, path, seen):
        environ = create_environ("/old", query_string="q=1") | {"SCRIPT_NAME": script, "RAW_URI": "/old?q=1"}
        request = Request(environ)
        request.url_path = path
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["RAW_URI"]) == seen
        assert request.url_path == path

    def test_url_path_starts_with_a_slash(self):
        with pytest.raises(ValueError, match="url_path: got 'x', expected a path that starts with /"):
            Request(create_environ()).url_path = "x"

    def test_is_a_webob_request(self):
        assert isinstance(Request(create_environ()), webob.Request)
