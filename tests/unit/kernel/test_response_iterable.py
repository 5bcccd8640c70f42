"""The WSGI side: every kind of app under every kind of chain behaves as it does alone (PEP 3333)."""

from __future__ import annotations

import gc
import sys
from wsgiref.validate import validator

import pytest
from werkzeug.middleware.lint import LintMiddleware

from plugmw import Entry, Gateway
from plugmw.kernel.response import RespondingExchange
from plugmw.wsgi.body import ClosingFile
from tests.support.plugins import KINDS, buffers, filters, made, nothing, noting
from tests.support.wsgi import APPS, BAD, GOOD, Closing, Oops, environ_of, serve


def seen(headers: list, ignore: bool) -> list:
    return [item for item in headers if not (ignore and item[0] == "Content-Length")]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("app", APPS)
def test_an_app_is_seen_as_it_is_under_plugins_that_do_nothing(app, method):
    for kind in KINDS:
        if not (buffers(kind) and app == "exc_info after the headers"):  # which has the next test
            compare(app, kind, method)


def compare(app: str, kind: str, method: str) -> None:
    alone_closed, closed = [], []
    alone = serve(APPS[app](alone_closed), environ_of(method=method))
    found = serve(Gateway(APPS[app](closed), plugins=KINDS[kind]()), environ_of(method=method))
    assert type(found.raised) is type(alone.raised), kind
    assert str(found.raised) == str(alone.raised), kind
    assert closed == alone_closed, kind
    if buffers(kind) and app in BAD and app != "raises in close":
        assert not found.sent, kind  # read whole first: what would have been cut was not begun
        return
    assert found.sent == alone.sent, kind
    if alone.raised and not alone.sent:
        return  # the server answers
    assert found.status == alone.status, kind
    assert found.body == alone.body, kind
    # Of a stream that is filtered nobody knows the length before its end.
    stream = len(alone.chunks) > 1 or alone.raised
    unknown = bool(filters(kind) and "keeps" not in kind and stream and method == "GET")
    assert seen(found.headers, unknown) == seen(alone.headers, unknown), kind
    if not filters(kind):
        assert found.chunks == alone.chunks, kind


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("app", GOOD)
def test_an_app_that_a_plugin_hands_over_to_is_seen_as_it_is(app, method):
    for kind in KINDS:
        alone_closed, closed = [], []
        alone = serve(GOOD[app](alone_closed), environ_of(method=method))
        other = GOOD[app](closed)
        handing = made("handing", 10, access=lambda x, other=other: x.delegate(other))
        found = serve(Gateway(refused, plugins=[handing, *KINDS[kind]()]), environ_of(method=method))
        assert (found.raised, found.status, found.body) == (None, alone.status, alone.body), kind
        assert closed == alone_closed, kind
        stream = bool(filters(kind) and "keeps" not in kind and len(alone.chunks) > 1 and method == "GET")
        assert seen(found.headers, stream) == seen(alone.headers, stream), kind


def refused(environ, start_response):
    raise AssertionError("the wrapped app is not asked")


def late(environ, start_response):
    raise Oops("late")
    yield b""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_an_app_raises_that_a_plugin_hands_over_to_is_a_500(kind):
    logged = []
    for phase in ("rewrite", "access"):
        for app in (refused, late):
            handing = made("handing", 10, **{phase: lambda x, app=app: x.delegate(app)})
            looking = made("looking", 9, log=lambda x: logged.append((x.status, x.source)))
            found = serve(Gateway(refused, plugins=[handing, looking, *KINDS[kind]()]))
            assert found.status == "500 Internal Server Error"
            assert b"late" not in found.body
            assert logged.pop() == (500, "error")


def test_handing_over_is_an_exit_for_everybody_else():
    journal = []
    handing = made("handing", 10, access=lambda x: x.delegate(GOOD["list"]([])))
    other = noting("other", journal, "access", "header_filter", "log", priority=5)
    sources = made("source", 1, log=lambda x: journal.append(x.source))
    serve(Gateway(refused, plugins=[handing, other, sources]))
    assert journal == ["other.header_filter", "other.log", "exit"]


def test_handing_over_is_for_phases_before_the_app():
    late_one = made("late", header_filter=lambda x: x.delegate(refused))
    assert serve(Gateway(GOOD["list"]([]), plugins=[late_one])).status.startswith("500")


def test_a_greenlet_that_is_ended_in_a_handed_over_app_goes_on_to_the_server():
    def ended(environ, start_response):
        raise KeyboardInterrupt

    logged = []
    handing = made("handing", access=lambda x: x.delegate(ended), log=lambda x: logged.append(x.status))
    assert isinstance(serve(Gateway(refused, plugins=[handing])).raised, KeyboardInterrupt)
    assert logged == [500]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_exc_info_after_the_headers_replaces_an_answer_that_is_still_held_or_is_raised_again(kind):
    found = serve(Gateway(APPS["exc_info after the headers"]([]), plugins=KINDS[kind]()))
    if buffers(kind):
        assert (found.status, found.body, found.raised) == ("500 Oops", b"onesorry"[3:], None)
    else:
        assert (found.status, found.body, type(found.raised)) == ("200 OK", b"one", Oops)


@pytest.mark.slow
def test_log_runs_exactly_once_and_after_the_app_is_closed():
    runs = []
    for app in APPS:
        for phases in ((), ("body_filter",), ("header_filter",), ("access", "header_filter", "body_filter")):
            for stop_after in (None, 0, 1):
                journal, alone = [], []
                gateway = Gateway(APPS[app](journal), plugins=[noting("a", journal, "log", *phases)])
                serve(gateway, stop_after=stop_after)
                serve(APPS[app](alone), stop_after=stop_after)
                runs.append(((app, phases, stop_after), journal, alone))
    gc.collect()  # a generator that was left half-way must not close the app a second time
    for what, journal, alone in runs:
        assert journal.count("a.log") == 1, what
        assert journal[-1] == "a.log", what
        assert [note for note in journal if note == "close"] == alone, what


@pytest.mark.slow
def test_a_client_that_goes_away_leaves_the_app_closed_once():
    apps = ("iterator with close", "late iterator with close", "file")
    journals = {(app, kind, stop_after): [] for app in apps for kind in KINDS for stop_after in (0, 1)}
    for (app, kind, stop_after), closed in journals.items():
        serve(Gateway(APPS[app](closed), plugins=KINDS[kind]()), stop_after=stop_after)
    gc.collect()
    assert journals == {what: ["close"] for what in journals}


def test_closing_twice_is_closing_once():
    journal: list[str] = []
    gateway = Gateway(APPS["iterator with close"](journal), plugins=[noting("a", journal, "log")])
    iterable = gateway(environ_of(), lambda *args: None)
    iterable.close()
    iterable.close()
    assert journal == ["close", "a.log"]


@pytest.mark.slow
@pytest.mark.parametrize("app", [app for app in GOOD if app != "204"])
def test_both_sides_satisfy_the_checker_of_the_standard_library(app):
    # The checker's own iterator hides the file; the way round it is tested below.
    extra = {"wsgi.file_wrapper": None} if app != "file" else {"wsgi.file_wrapper": in_pieces}
    for kind in KINDS:
        checked = validator(Gateway(validator(GOOD[app]([])), plugins=KINDS[kind]()))
        found = serve(checked, environ_of(**extra))
        assert found.raised is None, (kind, found.raised)


def in_pieces(file, size):
    return Closing(iter(lambda: file.read(size), b""), [])


@pytest.mark.filterwarnings("ignore:A 304 response should not:werkzeug.middleware.lint.HTTPWarning")
@pytest.mark.parametrize("app", [app for app in GOOD if app not in ("204", "exc_info before the headers")])
def test_both_sides_satisfy_the_checker_of_werkzeug(app):
    # Not with 204, of which it wants a Content-Length, nor with a second start_response, which it forbids.
    for kind in KINDS:
        found = serve(LintMiddleware(Gateway(LintMiddleware(GOOD[app]([])), plugins=KINDS[kind]())))
        assert found.raised is None, (kind, found.raised)


# -- what is handed to the server -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phases", [(), ("access",), ("header_filter",), ("access", "header_filter")], ids=str
)
@pytest.mark.parametrize("app", ["list", "tuple", "generator", "file", "iterator with close"])
def test_a_body_nobody_filters_is_handed_over_untouched(app, phases):
    made_by_app = []

    def remembering(environ, start_response):
        made_by_app.append(GOOD[app]([])(environ, start_response))
        return made_by_app[0]

    gateway = Gateway(remembering, plugins=[nothing(*phases)] if phases else [])
    assert serve(gateway).returned is made_by_app[0]


def test_a_file_stays_the_servers_file_under_a_log_plugin_and_is_closed_before_log():
    journal: list[str] = []
    environ = environ_of()
    gateway = Gateway(GOOD["file"](journal), plugins=[noting("a", journal, "log")])
    result = serve(gateway, environ)
    assert type(result.returned) is environ["wsgi.file_wrapper"]
    assert isinstance(result.returned.filelike, ClosingFile)
    assert result.returned.blksize == 3
    assert result.body == b"onetwo"
    assert journal == ["close", "a.log"]


def test_one_chunk_is_known_to_be_one_chunk_under_a_log_plugin():
    # wsgiref sets Content-Length for iterables of length one.
    gateway = Gateway(GOOD["one chunk"]([]), plugins=[nothing("log")])
    assert len(gateway(environ_of(), lambda *args: None)) == 1


#: Under these the server is handed the exchange, or what filters make of the app's chunks.
LOOKING = ["log", "body_filter", "response", "everything", "response over body_filter and log", "timed"]


def under(app, kind):
    """Return a gateway round one of the apps that behave, and the sizes that its log phases were told."""
    sizes: list[int] = []
    timed = made(needs_timings=True, log=lambda x: sizes.append(x.sent))
    plugins = [timed] if kind == "timed" else [*KINDS[kind](), timed]
    return Gateway(GOOD[app]([]), {"store": "memory://"}, plugins=plugins), sizes


@pytest.mark.parametrize("kind", LOOKING)
@pytest.mark.parametrize("app", GOOD)
def test_a_server_that_sums_up_whatever_has_a_length_sends_every_byte_and_no_more(app, kind):
    # gevent's pywsgi: in the middle of its loop, when the first bytes go out without a Content-Length.
    bare, wrapped = GOOD[app]([]), under(app, kind)
    whole = summing(bare)
    assert summing(wrapped[0]) == whole
    assert wrapped[1] == [len(whole)]


def summing(app):
    """Return the bytes that such a server sends; a length that it tells is true."""
    written: list[bytes] = []
    head: list[bytes] = []
    result = app(environ_of(), lambda *args: written.append)
    length = None
    for chunk in result:
        if chunk and not head:
            head.append(chunk)
            length = sum(map(len, result)) if hasattr(result, "__len__") else None
        written.append(chunk)
    getattr(result, "close", lambda: None)()
    whole = b"".join(written)
    assert length in (None, len(whole))
    return whole


@pytest.mark.parametrize("kind", LOOKING)
@pytest.mark.parametrize("app", GOOD)
def test_what_has_a_length_is_a_whole_body_of_so_many_chunks(app, kind):
    # waitress asks whether there is a length, and then for it.
    result = under(app, kind)[0](environ_of(), lambda *args: lambda data: None)
    if hasattr(result, "__len__"):
        assert len(result) == len(list(result)) == len(list(result))
    getattr(result, "close", lambda: None)()


@pytest.mark.parametrize("kind", ["log", "body_filter", "timed"])
@pytest.mark.parametrize("app", ["late start", "generator", "iterator with close"])
def test_a_stream_has_no_length_and_goes_on_where_it_was_when_it_is_iterated_again(app, kind):
    result = under(app, kind)[0](environ_of(), lambda *args: lambda data: None)
    assert not hasattr(result, "__len__")
    with pytest.raises(TypeError):
        len(result)
    assert (next(iter(result)), b"".join(result), b"".join(result)) == (b"one", b"two", b"")
    result.close()


@pytest.mark.parametrize("kind", ["timed", "body_filter"])
def test_the_size_of_what_an_app_writes_is_counted(kind):
    gateway, sizes = under("write and iterate", kind)
    assert serve(gateway).body == b"onetwo"
    assert sizes == [6]


@pytest.mark.parametrize("kind", ["header_filter", "body_filter", "response", "log"])
def test_start_response_is_called_with_as_many_arguments_as_the_app_gave(kind):
    seen: list[int] = []

    def start(*arguments):
        seen.append(len(arguments))
        return lambda data: None

    for app in ("one chunk", "exc_info before the headers"):
        result = Gateway(GOOD[app]([]), {"store": "memory://"}, plugins=KINDS[kind]())(environ_of(), start)
        b"".join(result)
    # A head that is held back reaches the server once, as the second call made it.
    assert seen == ([2, 2, 3] if kind in ("header_filter", "log") else [2, 3])


@pytest.mark.parametrize("kind", ["log", "timed"])
def test_a_list_keeps_its_length(kind):
    gateway, sizes = under("list", kind)
    result = gateway(environ_of(), lambda *args: None)
    assert len(result) == 2
    assert [next(iter(result)), *result, *result] == [b"one", b"one", b"two", b"one", b"two"]
    result.close()
    assert sizes[-1] == 3  # of the first iterator, which is the one that is sent


def test_a_body_filter_sees_each_chunk_once_however_often_it_is_asked_for():
    seen: list[bytes] = []
    watching = made(body_filter=lambda x, chunk, eof: seen.append(chunk) or chunk)
    result = Gateway(GOOD["list"]([]), plugins=[watching])(environ_of(), lambda *args: None)
    assert [next(iter(result)), *result, *result] == [b"one", b"two"]
    assert seen == [b"one", b"two", b""]
    result.close()


def test_an_app_that_starts_late_is_asked_no_more_once_it_has_ended():
    asked: list[str] = []

    class Late:
        def __init__(self, start_response):
            self.start_response = start_response

        def __iter__(self):
            return self

        def __next__(self):
            asked.append("next")
            if len(asked) == 1:
                self.start_response("200 OK", [])
            raise StopIteration

    for kind in LOOKING:
        asked.clear()
        gateway = Gateway(lambda environ, start: Late(start), plugins=KINDS.get(kind, KINDS["log"])())
        assert serve(gateway).status == "200 OK"
        assert asked == ["next"], kind


@pytest.mark.parametrize("kind", ["none", "log", "header_filter", "wrap"])
@pytest.mark.parametrize("late", [True, False])
def test_the_blocks_of_an_app_are_its_own_the_empty_ones_too(kind, late):
    def chunks(start_response):
        if late:
            start_response("200 OK", [])
        yield from (b"", b"", b"a", b"", b"b")

    def app(environ, start_response):
        if not late:
            start_response("200 OK", [])
        return chunks(start_response)

    result = Gateway(app, plugins=KINDS[kind]())(environ_of(), lambda *args: lambda data: None)
    assert list(result) == [b"", b"", b"a", b"", b"b"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_environ_without_a_method_is_served(kind):
    gateway = Gateway(GOOD["late start"]([]), {"store": "memory://"}, plugins=KINDS[kind]())
    assert serve(gateway, environ_of(REQUEST_METHOD=None)).body == b"onetwo"


@pytest.mark.parametrize("app", ["list", "write", "generator", "late start", "204", "304"])
def test_a_response_handler_sees_no_body_where_none_goes_out(app):
    seen: list[bytes] = []
    gateway = Gateway(GOOD[app]([]), plugins=[made(response=lambda x: seen.append(x.body))])
    alone = serve(GOOD[app]([]), environ_of(method="HEAD"))
    under = serve(gateway, environ_of(method="HEAD"))
    assert seen == [b""]
    assert (under.status, under.headers) == (alone.status, alone.headers)


class Timeout(BaseException):
    """What gevent raises when a time is over: no failure of the code it is raised in."""


Timeout.__module__ = "gevent.timeout"


@pytest.mark.parametrize("chosen", [False, True])
def test_what_passes_through_one_log_phase_waits_for_the_others(chosen):
    noted: list[str] = []

    def ended(x):
        noted.append("first")
        raise Timeout

    plugins = [made("first", 3, log=ended), made("second", 2, log=ended), noting("third", noted, "log")]
    if chosen:
        plugins = [Entry(plugin, when=lambda x: True) for plugin in plugins]
    result = Gateway(GOOD["list"]([]), plugins=plugins)(environ_of(), lambda *args: None)
    with pytest.raises(Timeout):
        result.close()
    assert noted == ["first", "first", "third.log"]


@pytest.mark.parametrize("app", ["empty list", "list", "generator"])
def test_a_websocket_is_logged_where_nobody_closes_what_its_app_returns(app):
    # gevent-websocket: list(application(environ, start_response)), and nothing more.
    noted: list[str] = []
    gateway = Gateway(GOOD[app](noted), plugins=[noting("a", noted, "log")])
    environ = environ_of(**{"wsgi.websocket": object()})
    expected = list(GOOD[app]([])(environ_of(), lambda *args: None))
    assert list(gateway(environ, lambda *args: None)) == expected
    assert noted[-1] == "a.log"
    assert noted.count("a.log") == 1


def test_an_answer_of_a_plugin_has_one_chunk_and_is_true():
    gateway = Gateway(
        GOOD["list"]([]), plugins=[made(access=lambda x: x.exit(403, "no"), log=lambda x: None)]
    )
    answered = gateway(environ_of(), lambda *args: None)
    assert len(answered) == 1
    assert answered
    answered.close()


def test_the_apps_own_list_of_headers_is_never_changed():
    constant = [("Content-Type", "text/plain")]

    def app(environ, start_response):
        start_response("200 OK", constant)
        return [b"x"]

    plugin = made(access=lambda x: x.add_header("X-A", "1"), header_filter=lambda x: x.add_header("X-B", "2"))
    gateway = Gateway(app, plugins=[plugin])
    first, second = serve(gateway), serve(gateway)
    assert constant == [("Content-Type", "text/plain")]
    assert first.headers == second.headers == [*constant, ("X-A", "1"), ("X-B", "2")]


def test_starting_twice_without_exc_info_is_refused_even_while_the_answer_is_held():
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("201 Created", [])
        return [b"x"]

    for phase in ("header_filter", "body_filter", "response"):
        found = serve(Gateway(app, plugins=[nothing(phase)]))
        assert isinstance(found.raised, AssertionError), phase


def test_log_sees_the_status_that_was_sent_when_an_error_comes_too_late():
    statuses = []
    plugin = made(header_filter=lambda x: None, log=lambda x: statuses.append((x.status, x.source)))
    serve(Gateway(APPS["exc_info after the headers"]([]), plugins=[plugin]))
    assert statuses == [(200, "service")]


def test_log_sees_the_status_that_was_sent_when_a_late_app_starts_again_too_late():
    def app(environ, start_response):
        start_response("200 OK", [])(b"one")
        try:
            raise Oops("late")
        except Oops:
            start_response("503 Service Unavailable", [], sys.exc_info())
        yield b"sorry"

    statuses = []
    plugin = made(log=lambda x: statuses.append((x.status, x.source)))
    found = serve(Gateway(app, {"answer_crashes": True}, plugins=[plugin]))
    assert (type(found.raised), found.status, found.body) == (Oops, "200 OK", b"one")
    assert statuses == [(200, "error")]


def test_header_filters_see_the_second_answer_of_an_app_that_starts_again():
    statuses = []
    plugin = made(header_filter=lambda x: statuses.append(x.status))
    found = serve(Gateway(APPS["exc_info before the headers"]([]), plugins=[plugin]))
    assert statuses == [200, 500]
    assert found.status == "500 Oops"


def test_early_headers_are_on_the_second_answer_too():
    plugin = made(access=lambda x: x.add_header("X-A", "1"), header_filter=lambda x: None)
    found = serve(Gateway(APPS["exc_info before the headers"]([]), plugins=[plugin]))
    assert found.all("X-A") == ["1"]


@pytest.mark.parametrize("app", ["raises at call", "raises after start_response"])
def test_log_is_told_of_an_app_that_raises_at_the_call(app):
    told = []
    plugin = made(log=lambda x: told.append((x.status, x.source, type(x.error))))
    serve(Gateway(APPS[app]([]), plugins=[plugin]))
    assert told == [(500, "error", Oops)]


def test_log_is_told_of_an_app_whose_close_raises():
    told = []
    plugin = made(log=lambda x: told.append((x.status, x.source, type(x.error))))
    found = serve(Gateway(APPS["raises in close"]([]), plugins=[plugin]))
    assert told == [(200, "error", Oops)]
    assert found.where == "close"


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("phase", ["access", "header_filter", "response"])
def test_what_stops_a_process_is_let_through_with_the_app_closed_and_the_exchange_logged(phase, error):
    journal: list[str] = []

    def stop(x):
        raise error

    plugin = made("stopping", 2, **{phase: stop})
    gateway = Gateway(
        APPS["iterator with close"](journal), plugins=[plugin, noting("a", journal, "log", priority=1)]
    )
    found = serve(gateway)
    assert type(found.raised) is error
    # In header_filter the app itself was still in its call, and had returned nothing.
    assert journal == (["close", "a.log"] if phase == "response" else ["a.log"])


# -- answer_crashes ---------------------------------------------------------------------------------------

CRASHES = ["raises at call", "raises after start_response", "raises before a late start"]


@pytest.mark.slow
@pytest.mark.parametrize("app", CRASHES)
def test_crashes_are_answered_when_asked_for(app):
    for kind in KINDS:
        closed: list[str] = []
        found = serve(Gateway(APPS[app](closed), {"answer_crashes": True}, plugins=KINDS[kind]()))
        assert found.raised is None, kind
        assert found.status == "500 Internal Server Error", kind
        assert b"An unexpected error occurred" in found.body, kind
        assert found.header("Content-Length") == str(len(found.body)), kind
        assert closed == (["close"] if "late" in app else []), kind


@pytest.mark.parametrize("kind", ["none", "header_filter", "body_filter", "log"])
@pytest.mark.parametrize("app", ["raises midstream", "raises after write"])
def test_a_crash_after_the_first_byte_cuts_the_answer_even_then(app, kind):
    found = serve(Gateway(APPS[app]([]), {"answer_crashes": True}, plugins=KINDS[kind]()))
    assert (type(found.raised), found.body, found.status) == (Oops, b"one", "200 OK")


def test_an_answered_crash_passes_the_header_filters_and_is_logged_as_error():
    told = []
    plugin = made(
        header_filter=lambda x: x.add_header("X-A", "1"), log=lambda x: told.append((x.status, x.source))
    )
    found = serve(Gateway(APPS["raises at call"]([]), {"answer_crashes": True}, plugins=[plugin]))
    assert found.all("X-A") == ["1"]
    assert told == [(500, "error")]


def test_a_failing_close_does_not_hide_why_the_exchange_ended():
    def app(environ, start_response):
        start_response("200 OK", [])
        return Closing((1 / 0 for _ in "x"), [], fail=True)

    logged = []
    found = serve(Gateway(app, plugins=[nothing("response", name="r"), made(log=lambda x: logged.append(1))]))
    assert type(found.raised) is ZeroDivisionError
    assert logged == [1]


def test_a_server_that_refuses_the_headers_gets_the_app_closed_and_the_exchange_logged():
    journal: list[str] = []

    def refuse(status, headers, exc_info=None):
        raise ValueError("bad header")

    gateway = Gateway(
        GOOD["iterator with close"](journal),
        plugins=[nothing("response", name="r"), noting("a", journal, "log")],
    )
    with pytest.raises(ValueError, match="bad header"):
        gateway(environ_of(), refuse)
    assert journal == ["close", "a.log"]


def test_the_response_iterable_is_the_exchange():
    gateway = Gateway(GOOD["generator"]([]), plugins=[nothing("log")])
    returned = gateway(environ_of(), lambda *args: None)
    assert isinstance(returned, RespondingExchange)
    returned.close()
