"""The body's way out: filtered, read whole, replaced, and always with a true length."""

from __future__ import annotations

import sys

import pytest

from plugmw import Entry, Gateway
from plugmw.errors import PhaseError
from plugmw.testing import hello_app
from tests.support.plugins import made, nothing, noting
from tests.support.wsgi import APPS, GOOD, TEXT, Closing, Oops, environ_of, serve


def through(*plugins, app="list", method="GET", config=None, **environ):
    wrapped = GOOD[app]([]) if isinstance(app, str) else app
    return serve(Gateway(wrapped, config, plugins=plugins), environ_of(method=method, **environ))


def answering(status="200 OK", headers=(TEXT,), chunks=(b"one", b"two")):
    def app(environ, start_response):
        start_response(status, list(headers))
        return list(chunks)

    return app


def upper(x, chunk, eof):
    return chunk.upper()


# -- body_filter ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", GOOD)
def test_body_filter_sees_each_chunk_and_exactly_one_eof(app):
    calls = []

    def spy(x, chunk, eof):
        calls.append((chunk, eof))
        return chunk

    alone = serve(GOOD[app]([]))
    through(made(body_filter=spy), app=app)
    if app in ("204", "304"):
        assert calls == []
    else:
        assert calls == [*((chunk, False) for chunk in alone.chunks), (b"", True)]


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified"), ("GET", "101 X")],
)
def test_body_filter_is_not_called_for_an_answer_without_a_body(method, status):
    notes: list[str] = []
    through(noting("f", notes, "body_filter"), app=answering(status, chunks=()), method=method)
    assert notes == []


@pytest.mark.parametrize("app", ["list", "generator", "late start", "write", "write and iterate", "file"])
def test_a_stream_of_changed_length_has_no_stale_length(app):
    found = through(made(body_filter=lambda x, chunk, eof: chunk * 2), app=app)
    assert found.body == b"oneonetwotwo"
    assert found.header("Content-Length") is None


@pytest.mark.parametrize("app", ["one chunk", "one write"])
def test_a_body_that_is_complete_in_one_chunk_gets_its_new_length(app):
    found = through(made(body_filter=lambda x, chunk, eof: chunk * 2 if chunk else b"!"), app=app)
    assert (found.body, found.header("Content-Length")) == (b"oneone!", "7")


def test_a_filter_that_keeps_everything_for_the_end_gets_a_true_length():
    def whole(x, chunk, eof):
        x.ctx["all"] = x.ctx.get("all", b"") + chunk
        return x.ctx["all"][::-1] if eof else b""

    found = through(made(body_filter=whole), app="generator")
    assert (found.body, found.header("Content-Length")) == (b"owteno", "6")


def test_two_filters_may_both_keep_the_whole_body():
    def keeper(name):
        def whole(x, chunk, eof):
            x.ctx[name] = x.ctx.get(name, b"") + chunk
            return b"<" + x.ctx[name] + b">" if eof else b""

        return made(name, body_filter=whole)

    assert through(keeper("a"), keeper("b"), app="generator").body == b"<<onetwo>>"


def test_a_length_that_filters_keep_stays():
    found = through(made(body_filter=upper, keeps_length=True))
    assert (found.body, found.header("Content-Length"), len(found.chunks)) == (b"ONETWO", "6", 2)
    # One filter that does not promise it is enough.
    assert (
        through(made("a", body_filter=upper, keeps_length=True), made("b", body_filter=upper)).header(
            "Content-Length"
        )
        is None
    )


def test_content_length_keeps_its_place_among_the_headers():
    headers = [("Content-Length", "3"), TEXT]
    found = through(made(body_filter=upper), app=answering(headers=headers, chunks=[b"one"]))
    assert found.headers == headers


def test_an_empty_body_that_becomes_one_gets_a_length():
    found = through(made(body_filter=lambda x, chunk, eof: b"end" if eof else chunk), app="empty list")
    assert (found.body, found.header("Content-Length")) == (b"end", "3")


def test_a_body_that_is_dropped_has_length_nought():
    found = through(made(body_filter=lambda x, chunk, eof: b""))
    assert (found.body, found.header("Content-Length")) == (b"", "0")
    assert found.status == "200 OK"


def test_a_filter_that_drops_chunks_at_first_holds_the_headers_until_it_gives_some():
    def second(x, chunk, eof):
        return chunk if chunk == b"two" else b""

    for app in ("generator", "write", "late start"):
        found = through(made(body_filter=second), app=app)
        assert (found.body, found.status) == (b"two", "200 OK"), app


def test_a_body_longer_than_it_says_is_passed_on_without_the_lie():
    app = answering(headers=[("Content-Length", "3")])
    found = through(made(body_filter=lambda x, chunk, eof: chunk), app=app)
    assert (found.body, found.header("Content-Length")) == (b"onetwo", None)


def test_a_filter_may_turn_itself_off_for_a_response():
    notes: list[str] = []
    found = through(noting("f", notes, "body_filter", wants_body=lambda x: x.status != 200))
    assert notes == []
    assert found.header("Content-Length") == "6"


@pytest.mark.parametrize("app", ["generator", "write", "late start", "list"])
def test_end_body_ends_the_body_for_everyone_with_one_eof_each(app):
    calls = []

    def spy(name):
        def body_filter(x, chunk, eof):
            calls.append((name, chunk, eof))
            return chunk

        return body_filter

    def end(x, chunk, eof):
        x.end_body()
        return chunk + b"."

    closed: list[str] = []
    gateway = Gateway(
        GOOD[app](closed),
        plugins=[
            made("a", 3, body_filter=spy("a")),
            made("end", 2, body_filter=end),
            made("b", 1, body_filter=spy("b")),
        ],
    )
    found = serve(gateway)
    assert found.body == b"one."
    assert calls == [("a", b"one", False), ("a", b"", True), ("b", b"one.", True)]
    assert closed in ([], ["close"])


def test_end_body_belongs_to_body_filter():
    raised = []

    def header_filter(x):
        with pytest.raises(
            PhaseError, match=r"end_body cannot be called in header_filter phase \(only in: body_filter\)"
        ):
            x.end_body()
        raised.append(1)

    through(made(header_filter=header_filter))
    assert raised


def test_a_failure_of_a_filter_that_is_told_of_the_end_by_another_is_only_logged(caplog):
    def fail_at_eof(x, chunk, eof):
        return chunk if not eof else 1 / 0

    def end(x, chunk, eof):
        x.end_body()
        return chunk

    found = through(made("a", 2, body_filter=fail_at_eof), made("b", 1, body_filter=end))
    assert (found.status, found.body, found.raised) == ("200 OK", b"one", None)
    assert "a failed in body_filter" in caplog.text


FAILURES = {
    "raises": lambda x, chunk, eof: 1 / 0,
    "returns text": lambda x, chunk, eof: "text",
    "returns nothing": lambda x, chunk, eof: None,
    "exits": lambda x, chunk, eof: x.exit(403),
    "fails at the end": lambda x, chunk, eof: b"" if not eof else 1 / 0,
}


@pytest.mark.parametrize("app", ["list", "one chunk", "late start", "write", "generator", "file"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_body_filter_that_fails_before_the_first_byte_gives_a_clean_500(failure, app):
    closed: list[str] = []
    logged = []
    found = serve(
        Gateway(
            GOOD[app](closed),
            plugins=[
                made("faulty", body_filter=FAILURES[failure]),
                made(log=lambda x: logged.append((x.status, x.source))),
            ],
        )
    )
    assert found.status == "500 Internal Server Error"
    assert b"An unexpected error occurred" in found.body
    assert found.header("Content-Length") == str(len(found.body))
    assert found.header("X-Many") is None
    assert found.raised is None
    assert logged == [(500, "error")]
    assert closed in ([], ["close"])


@pytest.mark.parametrize("app", ["list", "late start", "write", "generator"])
def test_a_body_filter_that_fails_later_cuts_the_stream_by_raising(app):
    def fail(x, chunk, eof):
        return chunk if chunk == b"one" else 1 / 0

    logged = []
    found = through(
        made("faulty", body_filter=fail), made(log=lambda x: logged.append((x.status, x.source))), app=app
    )
    assert (found.status, found.body) == ("200 OK", b"one")
    assert type(found.raised) is ZeroDivisionError
    assert logged[0][1] == "error"


def test_an_open_filter_that_fails_at_first_is_left_out_and_later_is_not():
    def fail_second(x, chunk, eof):
        return chunk if chunk == b"one" else 1 / 0

    assert through(Entry(made(body_filter=lambda x, chunk, eof: 1 / 0), on_error="open")).body == b"onetwo"
    # It may have kept bytes to itself: without them the body would be wrong.
    assert type(through(Entry(made(body_filter=fail_second), on_error="open")).raised) is ZeroDivisionError


@pytest.mark.parametrize("app", ["list", "one chunk", "late start", "write", "generator", "file"])
@pytest.mark.parametrize("reads_whole", [False, True])
def test_without_an_open_filter_that_failed_the_body_is_whole_and_goes_out_once(app, reads_whole):
    filters = [Entry(made("faulty", body_filter=lambda x, chunk, eof: 1 / 0), on_error="open")]
    if reads_whole:
        filters.append(nothing("response", name="reads"))
    assert through(*filters, app=app).body == through(app=app).body


def test_what_filters_gave_of_an_answer_that_the_app_replaced_is_forgotten():
    def app(environ, start_response):
        start_response("200 OK", [TEXT, ("Content-Length", "3")])(b"one")
        try:
            raise Oops("late")
        except Oops:
            start_response("503 Service Unavailable", [TEXT], sys.exc_info())
        return [b"sorry"]

    found = through(made(body_filter=upper), app=app)
    assert (found.status, found.body) == ("503 Service Unavailable", b"SORRY")


def test_a_filter_of_an_exit_that_fails_gives_a_clean_500():
    found = through(
        made("a", access=lambda x: x.exit(403, "no")), made("f", body_filter=lambda x, c, e: 1 / 0)
    )
    assert found.status.startswith("500")
    assert found.header("Content-Length") == str(len(found.body))


def test_an_exit_is_filtered_as_one_chunk_and_an_end():
    calls = []

    def spy(x, chunk, eof):
        calls.append((chunk, eof))
        return chunk + b"!" if chunk else chunk

    found = through(made("a", access=lambda x: x.exit(403, "no")), made("f", body_filter=spy))
    assert (found.body, found.header("Content-Length")) == (b"no!", "3")
    assert calls == [(b"no", False), (b"", True)]


def test_a_filter_may_end_the_body_of_an_exit():
    def end(x, chunk, eof):
        x.end_body()
        return b"x"

    assert through(made("a", access=lambda x: x.exit(403, "no")), made("f", body_filter=end)).body == b"x"


# -- response ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", GOOD)
def test_the_response_phase_sees_the_whole_answer_before_the_filters(app):
    bodies, notes = [], []
    alone = serve(GOOD[app]([]))

    def response(x):
        bodies.append(x.body)
        notes.append("response")

    through(
        made("r", 1, response=response),
        made(
            "f", 2, header_filter=lambda x: notes.append("header_filter"), log=lambda x: notes.append("log")
        ),
        app=app,
    )
    assert bodies == [alone.body]
    assert notes == ["response", "header_filter", "log"]


def change(x):
    x.body = x.body + b"!"
    x.status = 201
    x.add_header("X-R", "1")


@pytest.mark.parametrize(
    "app", ["list", "late start", "write", "generator", "file", "one chunk", "empty list"]
)
def test_the_response_phase_may_change_everything(app):
    alone = serve(GOOD[app]([]))
    found = through(made(response=change), app=app)
    assert (found.status, found.body) == ("201 Created", alone.body + b"!")
    assert found.header("Content-Length") == str(len(alone.body) + 1)
    assert found.header("X-R") == "1"


def test_headers_about_the_old_bytes_go_with_them():
    names = ("ETag", "Content-Encoding", "Accept-Ranges", "Content-MD5", "Digest")
    headers = [TEXT, *((name, "x") for name in names)]
    found = through(made(response=change), app=answering(headers=headers))
    assert [name for name, _ in found.headers] == ["Content-Type", "Content-Length", "X-R"]


def test_a_response_that_nobody_changed_keeps_its_chunks_and_stays_without_a_length():
    found = through(nothing("response"), app="generator")
    assert found.chunks == [b"one", b"two"]
    assert found.header("Content-Length") is None
    read = through(made(response=lambda x: x.body + x.body), app="generator")
    assert read.chunks == [b"one", b"two"]


@pytest.mark.parametrize("size", [10, 11])
def test_a_response_is_read_up_to_its_limit(size, caplog):
    app = answering(chunks=[b"x"] * size)
    found = through(nothing("response"), app=app, config={"max_response_body": 10})
    assert found.status[:3] == ("200" if size == 10 else "500")
    assert ("larger than max_response_body" in caplog.text) == (size > 10)


@pytest.mark.parametrize("late", [False, True])
def test_what_is_too_large_is_not_read_to_its_end(late):
    given = []

    def chunks():
        for n in range(1000):
            given.append(n)
            yield b"x" * 10

    def app(environ, start_response):
        start_response("200 OK", [])
        return Closing(chunks(), [])

    def late_app(environ, start_response):
        start_response("200 OK", [])
        yield from chunks()

    through(nothing("response"), app=late_app if late else app, config={"max_response_body": 25})
    assert len(given) == 3


def test_what_is_written_counts_for_the_limit_and_is_not_kept_beyond_it():
    kept = []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        for _ in range(100):
            write(b"x" * 10)
        kept.append(len(write.__self__._collected))
        return []

    found = through(nothing("response"), app=app, config={"max_response_body": 25})
    assert found.status[:3] == "500"
    assert kept == [2]


def test_an_upgrade_is_not_read_whole():
    notes: list[str] = []
    closed: list[str] = []

    def app(environ, start_response):
        start_response("101 Switching Protocols", [("Upgrade", "websocket")])
        return Closing([b"a", b"b"], closed)

    for more in ((), ("body_filter",)):
        found = through(noting("r", notes, "response"), nothing(*more, "log", name="f"), app=app)
        assert (found.chunks, found.status) == ([b"a", b"b"], "101 Switching Protocols")
    assert notes == []
    assert closed == ["close", "close"]


def test_asking_for_an_upgrade_does_not_get_round_the_response_phase():
    found = through(made(response=change), HTTP_UPGRADE="websocket", HTTP_CONNECTION="Upgrade")
    assert found.status == "201 Created"


def test_a_response_is_not_buffered_for_a_plugin_that_does_not_want_it_nor_filtered_twice():
    notes: list[str] = []
    found = through(
        noting("r", notes, "response", wants_body=lambda x: False),
        noting("f", notes, "header_filter", "body_filter"),
        app="generator",
    )
    assert found.body == b"onetwo"
    assert notes == ["f.header_filter", "f.body_filter", "f.body_filter", "f.body_filter"]


@pytest.mark.parametrize(
    "app", ["raises at the first chunk", "raises midstream", "raises before a late start"]
)
def test_an_app_that_fails_while_its_answer_is_read_is_closed_and_logged(app):
    closed: list[str] = []
    logged = []
    found = serve(
        Gateway(
            APPS[app](closed),
            plugins=[nothing("response"), made(log=lambda x: logged.append((x.source, list(closed))))],
        )
    )
    assert type(found.raised) is Oops
    assert not found.sent
    assert logged == [("error", ["close"])]


def test_a_head_answer_passes_the_response_phase_with_an_empty_body():
    bodies = []
    found = through(
        made(response=lambda x: bodies.append(x.body)),
        app=answering(chunks=(), headers=[("Content-Length", "6")]),
        method="HEAD",
    )
    assert bodies == [b""]
    assert found.header("Content-Length") == "6"


def test_a_head_answer_that_was_changed_says_no_length_it_cannot_know():
    app = answering(chunks=(), headers=[("Content-Length", "6")])
    assert through(made(response=change), app=app, method="HEAD").header("Content-Length") is None


def test_a_body_must_be_bytes():
    def set_text(x):
        x.body = "text"

    assert through(made(response=set_text)).status.startswith("500")


@pytest.mark.parametrize(
    ("phase", "read", "write"),
    [
        ("access", False, False),
        ("header_filter", False, True),
        ("body_filter", False, False),
        ("log", False, False),
    ],
)
def test_the_body_is_read_in_response_and_set_there_and_in_header_filter(phase, read, write):
    done = []

    def use(x, *args):
        for name, call in (("read", lambda: x.body), ("write", lambda: setattr(x, "body", b"new"))):
            try:
                call()
                done.append(name)
            except PhaseError as error:
                done.append(str(error).partition(" (")[0])
        return args[0] if args else None

    through(made(**{phase: use}), app="one chunk")
    refusal = f"body cannot be called in {phase} phase"
    assert done[:2] == ["read" if read else refusal, "write" if write else refusal]


@pytest.mark.parametrize(
    "app", ["list", "late start", "write", "generator", "file", "empty list", "write and iterate"]
)
@pytest.mark.parametrize("more", [(), ("log",), ("body_filter",)], ids=str)
def test_a_body_set_in_header_filter_replaces_the_apps(app, more):
    def replace(x):
        x.body = b"new body"

    closed: list[str] = []
    alone_closed: list[str] = []
    serve(GOOD[app](alone_closed))
    found = serve(
        Gateway(
            GOOD[app](closed),
            plugins=[made("r", 1, header_filter=replace), nothing(*more)]
            if more
            else [made(header_filter=replace)],
        )
    )
    assert (found.body, found.header("Content-Length"), found.status) == (b"new body", "8", "200 OK")
    # A generator that nobody began to read has nothing to end.
    assert closed == alone_closed or app == "generator"


def test_a_body_set_twice_is_the_later_one():
    def replace(text):
        def set_it(x):
            x.body = text

        return set_it

    found = through(made("a", 2, header_filter=replace(b"a")), made("b", 1, header_filter=replace(b"bb")))
    assert (found.body, found.header("Content-Length")) == (b"bb", "2")


def test_forgetting_the_old_bytes_leaves_no_length_where_nobody_can_count_the_new():
    plugin = made(
        header_filter=lambda x: x.forget_body_headers(), body_filter=lambda x, chunk, eof: chunk * 2
    )
    headers = [("Content-Length", "3"), ("ETag", '"x"')]
    head = through(plugin, app=answering(headers=headers, chunks=()), method="HEAD")
    assert head.headers == []
    got = through(plugin, app=answering(headers=headers, chunks=[b"one"]))
    assert (got.headers, got.body) == ([("Content-Length", "6")], b"oneone")


# -- answers without a body -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [204, 304, 199])
def test_an_exit_that_may_have_no_body_has_none_and_no_length(status):
    found = through(made(access=lambda x: x.exit(status, {"a": 1})), nothing("body_filter", name="f"))
    assert (found.status[:3], found.body, found.headers) == (str(status), b"", [])


def test_an_exit_to_head_has_the_length_and_not_the_body():
    found = through(made(access=lambda x: x.exit(403, "no")), nothing("body_filter", name="f"), method="HEAD")
    assert (found.body, found.header("Content-Length")) == (b"", "2")


def test_an_empty_exit_has_length_nought():
    found = through(made(access=lambda x: x.exit(403)))
    assert found.headers == [("Content-Length", "0")]


def test_a_wrong_length_given_to_an_exit_is_put_right():
    found = through(made(access=lambda x: x.exit(200, "abc", {"Content-Length": "7"})))
    assert found.all("Content-Length") == ["3"]


def test_two_content_lengths_become_one_true_one():
    app = answering(headers=[("Content-Length", "9"), ("content-length", "8")])
    assert through(made(response=change), app=app).all("Content-Length") == ["7"]


def test_the_store_of_testing_is_memory_and_the_app_says_hello():
    assert serve(Gateway(hello_app, {"store": "memory://"})).body == b"hello"


@pytest.mark.slow
@pytest.mark.parametrize("app", ["list", "generator", "late start", "write", "file"])
@pytest.mark.parametrize("phase", ["response", "header_filter"])
@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_that_a_plugin_gives_an_answer_sends_none(status, phase, app):
    def empty(x):
        x.status = status

    for more in ([], [nothing("log", name="l")], [nothing("body_filter", name="b")]):
        found = through(made(**{phase: empty}), *more, app=app)
        assert (found.status[:3], found.body) == (str(status), b"")
        assert status == 304 or found.header("Content-Length") is None


def test_what_an_app_sends_to_head_is_left_to_the_server_unless_it_was_changed():
    assert through(nothing("response"), method="HEAD").body == b"onetwo"
    assert through(made(response=change), method="HEAD").body == b""
