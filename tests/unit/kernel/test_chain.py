"""Order, choice, exits and failures in a compiled chain: the rules of Kong, phase by phase."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from plugmw import Entry, Gateway
from plugmw.errors import PhaseError
from plugmw.kernel.chain import Compiled, picker, wants_body
from plugmw.kernel.identity import Consumer
from plugmw.kernel.order import slots
from plugmw.kernel.runtime import Runtime
from plugmw.testing import get, hello_app
from plugmw.wsgi.upstream_request import UpstreamRequest
from tests.support.plugins import made, nothing, noting
from tests.support.wsgi import GOOD, environ_of, serve

PHASES = ("rewrite", "access", "header_filter", "body_filter", "log")


def journal_of(*plugins, app=hello_app, environ=None, **config):
    """Return the notes of one request, and its result."""
    return serve(Gateway(app, config or None, plugins=plugins), environ)


def login(name: str = "jo"):
    def access(x):
        x.authenticate(Consumer(id=f"id-{name}", username=name, custom_id=f"c-{name}"), None)

    return access


# -- order ------------------------------------------------------------------------------------------------


def test_every_phase_runs_the_highest_priority_first_also_on_the_way_out():
    notes: list[str] = []
    journal_of(*[noting(f"p{n}", notes, *PHASES, priority=n) for n in (2, 9, 5)])
    assert [note for note in notes if not note.endswith("body_filter")] == [
        f"p{n}.{phase}" for phase in PHASES if phase != "body_filter" for n in (9, 5, 2)
    ]
    # One chunk and the end.
    assert [note for note in notes if note.endswith("body_filter")] == [
        "p9.body_filter",
        "p5.body_filter",
        "p2.body_filter",
    ] * 2


def test_equal_priorities_run_by_name_descending():
    notes: list[str] = []
    journal_of(*[noting(name, notes, "access", "log", priority=7) for name in ("a", "z", "m")])
    assert notes == ["z.access", "m.access", "a.access", "z.log", "m.log", "a.log"]


def test_a_body_passes_the_filters_in_order_each_seeing_what_the_one_before_gave():
    def adding(text):
        return lambda x, chunk, eof: chunk + text if chunk else chunk

    found = journal_of(made("a", 2, body_filter=adding(b"1")), made("b", 1, body_filter=adding(b"2")))
    assert found.body == b"hello12"


def test_a_hundred_plugins_run_in_order():
    notes: list[str] = []
    plugins = [
        noting(f"p{n:03}", notes, "access", "header_filter", "body_filter", "log", priority=n)
        for n in range(100)
    ]
    found = journal_of(*plugins)
    assert found.body == b"hello"
    assert notes[:100] == [f"p{n:03}.access" for n in reversed(range(100))]
    assert len(notes) == 500


@pytest.mark.slow
def test_gateways_nest_fifty_deep():
    notes: list[str] = []
    app = hello_app
    for n in range(50):
        app = Gateway(app, plugins=[noting(f"p{n}", notes, "access", "header_filter", "body_filter", "log")])
    found = serve(app)
    assert (found.status, found.body, found.header("Content-Length")) == ("200 OK", b"hello", "5")
    assert notes[:50] == [f"p{n}.access" for n in reversed(range(50))]
    assert notes[-50:] == [f"p{n}.log" for n in range(50)]


# -- one configuration per name -----------------------------------------------------------------------------

CONSUMER = {"username": "jo"}
SCOPES = {
    "route, service, consumer": ("r", "s", "jo"),
    "route, consumer": ("r", None, "jo"),
    "service, consumer": (None, "s", "jo"),
    "route, service": ("r", "s", None),
    "consumer": (None, None, "jo"),
    "route": ("r", None, None),
    "service": (None, "s", None),
    "global": (None, None, None),
}


def variants(notes, names, **more):
    return [
        Entry(
            noting("p", notes, "access", "log", label=name),
            route=SCOPES[name][0],
            service=SCOPES[name][1],
            consumer=SCOPES[name][2],
            **more,
        )
        for name in names
    ]


@pytest.mark.parametrize("first", range(8))
def test_the_most_specific_configuration_wins_in_eight_steps(first):
    ran = []

    def variant(label):
        return made(
            "p", 1, access=lambda x: ran.append(("access", label)), log=lambda x: ran.append(("log", label))
        )

    names = list(SCOPES)[first:]
    entries = [
        Entry(variant(name), route=SCOPES[name][0], service=SCOPES[name][1], consumer=SCOPES[name][2])
        for name in reversed(names)
    ]
    config = {"routes": [{"name": "r", "paths": ["/"], "service": "s"}], "consumers": [CONSUMER]}
    journal_of(made("login", 2, access=login()), *entries, **config)
    assert ran == [("access", names[0]), ("log", names[0])]


def test_a_disabled_configuration_leaves_the_next_in_force():
    notes: list[str] = []
    config = {"routes": [{"name": "r", "paths": ["/"]}]}
    journal_of(
        Entry(noting("p", notes, "access"), route="r", enabled=False),
        Entry(made("p", access=lambda x: notes.append("global"))),
        **config,
    )
    assert notes == ["global"]


@pytest.mark.parametrize("name", ["jo", "id-jo", "c-jo"])
def test_a_consumer_is_meant_by_id_username_or_custom_id(name):
    notes: list[str] = []
    config = {"consumers": [{"username": "jo", "id": "id-jo", "custom_id": "c-jo"}]}
    journal_of(made("login", 2, access=login()), Entry(noting("p", notes, "access"), consumer=name), **config)
    assert notes == ["p.access"]


def test_a_consumers_configuration_is_seen_only_below_the_plugin_that_authenticates():
    notes: list[str] = []
    config = {"consumers": [CONSUMER]}
    above = Entry(noting("above", notes, "access", "log", priority=3), consumer="jo")
    below = Entry(noting("below", notes, "access", "log", priority=1), consumer="jo")
    journal_of(above, made("login", 2, access=login()), below, **config)
    # Not even in log: the choice was made when the request came by.
    assert notes == ["below.access", "below.log"]


def test_a_slot_without_access_is_chosen_in_its_place_too():
    notes: list[str] = []
    config = {"consumers": [CONSUMER]}
    above = Entry(noting("above", notes, "header_filter", priority=3), consumer="jo")
    below = Entry(noting("below", notes, "header_filter", priority=1), consumer="jo")
    journal_of(above, made("login", 2, access=login()), below, **config)
    assert notes == ["below.header_filter"]


def test_variants_may_be_of_classes_with_different_phases():
    notes: list[str] = []
    wide = Entry(noting("p", notes, "access", "header_filter", "body_filter", "log"), consumer="jo")
    narrow = Entry(noting("p", notes, "access"))
    gateway = Gateway(
        hello_app,
        {"consumers": [CONSUMER]},
        plugins=[wide, narrow, made("login", 2, access=lambda x: login()(x) if "jo" in x.path else None)],
    )
    assert serve(gateway, environ_of("/nobody")).body == b"hello"
    assert notes == ["p.access"]
    notes.clear()
    serve(gateway, environ_of("/jo"))
    assert notes == ["p.access", "p.header_filter", "p.body_filter", "p.body_filter", "p.log"]


def test_when_is_asked_once_also_of_a_plugin_with_rewrite():
    asked = []

    def when(x):
        asked.append(x.phase)
        return True

    notes: list[str] = []
    journal_of(Entry(noting("p", notes, *PHASES), when=when))
    assert asked == ["rewrite"]
    assert notes[:2] == ["p.rewrite", "p.access"]


def test_a_plugin_whose_when_says_no_is_not_called_in_any_phase():
    notes: list[str] = []
    journal_of(Entry(noting("p", notes, *PHASES), when=lambda x: False))
    assert notes == []


def test_a_when_that_raises_refuses_the_request_unless_its_own_entry_is_open(caplog):
    notes: list[str] = []
    closed = Entry(noting("p", notes, "access"), when=lambda x: 1 / 0)
    assert journal_of(closed).status.startswith("500")
    opened = Entry(noting("p", notes, "access"), when=lambda x: 1 / 0, on_error="open", where="here")
    assert journal_of(opened).status.startswith("200")
    # An open entry above does not excuse the closed one below it in the same slot.
    other = Entry(noting("p", notes, "access"), when=lambda x: False, on_error="open")
    assert journal_of(other, closed).status.startswith("500")
    assert notes == []
    assert "here: p failed in when" in caplog.text


def test_a_slot_below_an_exit_whose_when_raises_is_left_out_and_logged(caplog):
    notes: list[str] = []
    lower = Entry(noting("p", notes, "log"), when=lambda x: 1 / 0)
    assert journal_of(made("stop", 5, access=lambda x: x.exit(403)), lower).status.startswith("403")
    assert notes == []
    assert "p failed in access" in caplog.text or "p failed in" in caplog.text


def test_one_plugin_runs_twice_under_instance_names():
    notes: list[str] = []
    plugin = noting("p", notes, "access")
    journal_of(Entry(plugin, instance="one"), Entry(plugin, instance="two"))
    assert notes == ["p.access", "p.access"]


def test_rewrite_runs_global_configurations_only():
    notes: list[str] = []
    config = {"routes": [{"name": "r", "paths": ["/"]}], "consumers": [CONSUMER]}
    journal_of(
        Entry(noting("a", notes, "rewrite", "access"), route="r"),
        Entry(noting("b", notes, "rewrite")),
        made("login", 2, access=login()),
        Entry(noting("c", notes, "rewrite", "access"), consumer="jo"),
        **config,
    )
    assert notes == ["b.rewrite", "c.access", "a.access"] or notes == ["b.rewrite", "a.access", "c.access"]
    assert notes.count("b.rewrite") == 1
    assert "a.rewrite" not in notes
    assert "c.rewrite" not in notes


# -- exits ------------------------------------------------------------------------------------------------


def test_an_exit_in_access_skips_lower_access_and_the_app_but_no_filter_and_no_log():
    notes: list[str] = []

    def stop(x):
        notes.append("stop")
        x.exit(418, {"message": "tea"}, {"X-Pot": "1"})

    called = []

    def app(environ, start_response):
        called.append(1)
        return hello_app(environ, start_response)

    found = journal_of(
        noting("above", notes, "access", "header_filter", "body_filter", "log", priority=3),
        made("stop", 2, access=stop),
        noting("below", notes, "access", "header_filter", "body_filter", "log", priority=1),
        app=app,
    )
    assert (found.status, found.body) == ("418 I'm a Teapot", b'{"message":"tea"}')
    assert found.header("X-Pot") == "1"
    assert found.header("Content-Type") == "application/json; charset=utf-8"
    assert found.header("Content-Length") == "17"
    assert not called
    assert notes == [
        "above.access", "stop",
        "above.header_filter", "below.header_filter",
        "above.body_filter", "below.body_filter", "above.body_filter", "below.body_filter",
        "above.log", "below.log",
    ]  # fmt: skip


def test_an_exit_cannot_be_swallowed_by_except_exception():
    def stubborn(x):
        try:
            x.exit(403, "no")
        except Exception:
            pass

    assert journal_of(made(access=stubborn)).status == "403 Forbidden"


def test_an_exit_skips_response_handlers():
    notes: list[str] = []
    journal_of(made("stop", 2, access=lambda x: x.exit(403)), noting("r", notes, "response", priority=1))
    assert notes == []


def test_an_exit_keeps_headers_that_were_asked_for_before():
    found = journal_of(
        made("a", 2, access=lambda x: x.add_header("X-A", "1")),
        made("b", 1, access=lambda x: x.exit(403, "no")),
    )
    assert found.all("X-A") == ["1"]


def test_an_exit_in_rewrite_stops_rewrite_routing_and_access_and_is_seen_by_global_filters_only():
    notes: list[str] = []
    config = {"routes": [{"name": "r", "paths": ["/"]}]}
    found = journal_of(
        made("stop", 5, rewrite=lambda x: x.exit(403, "no")),
        noting("lower", notes, "rewrite", "access", "header_filter", "log", priority=3),
        Entry(noting("routed", notes, "access", "header_filter", "log"), route="r"),
        **config,
    )
    assert found.body == b"no"
    assert notes == ["lower.header_filter", "lower.log"]


def test_an_exit_in_response_replaces_the_answer_and_skips_lower_response_handlers():
    notes: list[str] = []
    closed: list[str] = []
    found = journal_of(
        made("stop", 2, response=lambda x: x.exit(502, "bad")),
        noting("r", notes, "response", priority=1),
        noting("f", notes, "header_filter", "log", priority=0),
        app=GOOD["iterator with close"](closed),
    )
    assert (found.status, found.body, found.header("X-Many")) == ("502 Bad Gateway", b"bad", None)
    assert notes == ["f.header_filter", "f.log"]
    assert closed == ["close"]


@pytest.mark.parametrize("app", ["list", "late start", "write", "empty list", "file"])
def test_an_exit_in_header_filter_replaces_the_answer_while_lower_filters_still_run(app):
    notes: list[str] = []
    found = journal_of(
        made("stop", 2, header_filter=lambda x: x.exit(403, "no")),
        noting("below", notes, "header_filter", "body_filter", "log", priority=1),
        app=GOOD[app]([]),
    )
    assert (found.status, found.body, found.header("Content-Length")) == ("403 Forbidden", b"no", "2")
    assert found.header("X-Many") is None
    assert notes == ["below.header_filter", "below.body_filter", "below.body_filter", "below.log"]


def test_of_two_exits_in_header_filter_the_later_counts():
    found = journal_of(
        made("a", 2, header_filter=lambda x: x.exit(401, "first")),
        made("b", 1, header_filter=lambda x: x.exit(402, "second")),
        made("c", 0, header_filter=lambda x: x.add_header("X-C", "1")),
    )
    assert (found.status, found.body, found.header("X-C")) == ("402 Payment Required", b"second", "1")
    assert found.header("Content-Length") == "6"


def test_a_header_filter_that_fails_below_an_exit_is_a_clean_500_unless_open():
    stop = made("a", 2, header_filter=lambda x: x.exit(401, "first"))
    fails = made("b", 1, header_filter=lambda x: 1 / 0)
    assert journal_of(stop, fails).status.startswith("500")
    assert journal_of(stop, Entry(fails, on_error="open")).body == b"first"


def test_an_exit_in_a_variant_of_header_filter_runs_those_below_it_that_were_chosen():
    notes: list[str] = []
    journal_of(
        Entry(made("a", 3, header_filter=lambda x: x.exit(401)), when=lambda x: True),
        Entry(noting("b", notes, "header_filter", priority=2), when=lambda x: False),
        Entry(noting("c", notes, "header_filter", priority=1), when=lambda x: True),
    )
    assert notes == ["c.header_filter"]


@pytest.mark.parametrize("phase", ["body_filter", "log"])
def test_an_exit_in_a_wrong_phase_raises_and_names_the_right_ones(phase):
    raised = []

    def stop(x, *args):
        try:
            x.exit(403)
        except PhaseError as error:
            raised.append(str(error))
        return args[0] if args else None

    journal_of(made(**{phase: stop}))
    assert set(raised) == {
        f"exit cannot be called in {phase} phase (only in: rewrite, access, response, header_filter)"
    }


def test_exits_count_as_such_and_failures_as_errors():
    sources = []
    log = made("log", -1, log=lambda x: sources.append(x.source))
    journal_of(log)
    journal_of(log, made(access=lambda x: x.exit(403)))
    journal_of(log, made(access=lambda x: 1 / 0))
    journal_of(log, made("a", access=lambda x: 1 / 0), made("b", header_filter=lambda x: x.exit(403)))
    assert sources == ["service", "exit", "error", "error"]


# -- failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["rewrite", "access", "response", "header_filter"])
def test_a_failure_is_a_clean_500_that_tells_nothing_and_is_logged_with_its_entry(phase, caplog):
    def fail(x):
        raise RuntimeError("secret cause")

    logged = []
    found = journal_of(
        Entry(made("faulty", 5, **{phase: fail}), where="gateway.yaml: plugins[7]"),
        made("l", log=lambda x: logged.append((x.status, x.source, str(x.error)))),
    )
    assert found.status == "500 Internal Server Error"
    assert b"An unexpected error occurred" in found.body
    assert b"secret" not in found.body
    assert found.header("Content-Length") == str(len(found.body))
    assert found.raised is None
    assert logged == [(500, "error", "secret cause")]
    assert f"gateway.yaml: plugins[7]: faulty failed in {phase}" in caplog.text
    assert len(caplog.records) == 1


def test_a_failure_in_access_skips_lower_access_and_runs_all_filters():
    notes: list[str] = []
    journal_of(
        made("faulty", 5, access=lambda x: 1 / 0), noting("below", notes, "access", "header_filter", "log")
    )
    assert notes == ["below.header_filter", "below.log"]


def test_a_failure_in_header_filter_skips_lower_filters_and_lets_nothing_of_the_answer_through():
    notes: list[str] = []
    found = journal_of(
        made("faulty", 5, header_filter=lambda x: 1 / 0),
        noting("below", notes, "header_filter", "log"),
        app=GOOD["late start"]([]),
    )
    assert found.status.startswith("500")
    assert b"one" not in found.body
    assert notes == ["below.log"]


def test_early_headers_survive_a_failure():
    plugin = made("a", 2, access=lambda x: x.add_header("X-A", "1"))
    for phase in ("access", "header_filter", "body_filter", "response"):
        faulty = made("faulty", 1, **{phase: lambda *args: 1 / 0})
        assert journal_of(plugin, faulty).all("X-A") == ["1"], phase
    stop = made("stop", 1, access=lambda x: x.exit(403))
    assert journal_of(plugin, stop, made("faulty", header_filter=lambda x: 1 / 0)).all("X-A") == ["1"]


@pytest.mark.parametrize("phase", ["rewrite", "access", "response", "header_filter", "body_filter"])
def test_an_open_entry_fails_without_an_effect(phase, caplog):
    def fail(x, *args):
        raise RuntimeError("oops")

    notes: list[str] = []
    found = journal_of(
        Entry(made("faulty", 5, **{phase: fail}), on_error="open"),
        noting("below", notes, "access", "header_filter", "log"),
    )
    assert (found.status, found.body) == ("200 OK", b"hello")
    assert notes == ["below.access", "below.header_filter", "below.log"]
    assert "faulty failed in" in caplog.text


def test_an_open_entry_may_still_exit():
    assert journal_of(Entry(made(access=lambda x: x.exit(403)), on_error="open")).status == "403 Forbidden"


def test_a_plugin_with_an_open_and_a_closed_entry_is_closed():
    plugin = made(access=lambda x: 1 / 0)
    entries = [Entry(plugin, when=lambda x: True, on_error="open"), Entry(plugin)]
    assert journal_of(*entries).status.startswith("500")


def test_an_open_entry_below_a_wrapper_is_open_in_rewrite_too(caplog):
    wrapper = made("wrapper", 5, wrap=lambda app: app)
    found = journal_of(
        wrapper, Entry(made("faulty", 1, rewrite=lambda x: 1 / 0), on_error="open", where="here")
    )
    assert found.status == "200 OK"
    assert "here: faulty failed in rewrite" in caplog.text


def test_failures_in_log_are_isolated_from_each_other_and_from_the_answer(caplog):
    notes: list[str] = []

    def leave(x):
        from plugmw.wsgi.answer import leave

        leave(403)

    found = journal_of(
        made("a", 3, log=lambda x: 1 / 0), made("b", 2, log=leave), noting("c", notes, "log", priority=1)
    )
    assert (found.status, found.body, found.raised) == ("200 OK", b"hello", None)
    assert notes == ["c.log"]
    assert "a failed in log" in caplog.text
    assert "b failed in log" in caplog.text


def test_the_entry_of_a_chosen_variant_is_named(caplog):
    wrong = Entry(made("p", access=lambda x: None), when=lambda x: False, where="wrong")
    right = Entry(made("p", access=lambda x: 1 / 0), when=lambda x: True, where="right")
    journal_of(wrong, right)
    assert "right: p failed in access" in caplog.text


def test_errors_go_to_the_injected_logger():
    class Logger:
        def __init__(self):
            self.lines = []

        def error(self, text, *args, **more):
            self.lines.append(text % args)

        def __getattr__(self, name):
            return lambda *args, **more: None

    logger = Logger()
    serve(Gateway(hello_app, plugins=[Entry(made(access=lambda x: 1 / 0), where="here")], logger=logger))
    assert len(logger.lines) == 1
    assert logger.lines[0].startswith("here: made failed in access (request ")


# -- wrappers ---------------------------------------------------------------------------------------------


def header_adding(name):
    def wrap(app):
        def middle(environ, start_response):
            def start(status, headers, exc_info=None):
                return start_response(status, [*headers, (name, "1")], exc_info)

            return app(environ, start)

        return middle

    return wrap


def test_a_wrapper_stands_between_what_is_above_and_below_it():
    notes: list[str] = []
    seen_above, seen_below = [], []
    journal_of(
        made("above", 3, header_filter=lambda x: seen_above.append(x.response_header("X-W"))),
        made("w", 2, wrap=header_adding("X-W")),
        made("below", 1, header_filter=lambda x: seen_below.append(x.response_header("X-W"))),
    )
    assert (seen_above, seen_below, notes) == (["1"], [None], [])


def test_a_wrapper_with_phases_runs_them_outside_of_itself():
    seen = []
    plugin = made(
        "w", wrap=header_adding("X-W"), header_filter=lambda x: seen.append(x.response_header("X-W"))
    )
    journal_of(plugin)
    assert seen == ["1"]


def test_several_wrappers_nest_in_order():
    def wrap(text):
        def make(app):
            def middle(environ, start_response):
                environ["order"] = environ.get("order", "") + text
                return app(environ, start_response)

            return middle

        return make

    environ = environ_of()
    journal_of(made("a", 1, wrap=wrap("a")), made("b", 2, wrap=wrap("b")), environ=environ)
    assert environ["order"] == "ba"


def test_a_wrapper_for_one_consumer_is_chosen_for_each_request():
    config = {"consumers": [CONSUMER]}
    entries = [
        made("login", 5, access=lambda x: login()(x) if x.path == "/jo" else None),
        Entry(made("w", wrap=header_adding("X-Jo")), consumer="jo"),
    ]
    gateway = Gateway(hello_app, config, plugins=entries)
    assert serve(gateway, environ_of("/jo")).header("X-Jo") == "1"
    assert serve(gateway, environ_of("/other")).header("X-Jo") is None


def test_variants_of_which_one_is_no_wrapper_are_fine():
    entries = [
        Entry(made("w", wrap=header_adding("X-W")), when=lambda x: x.path == "/w"),
        made("w", access=lambda x: x.add_header("X-A", "1")),
    ]
    gateway = Gateway(hello_app, plugins=entries)
    assert serve(gateway, environ_of("/w")).header("X-W") == "1"
    found = serve(gateway, environ_of("/"))
    assert (found.header("X-W"), found.header("X-A")) == (None, "1")


@pytest.mark.parametrize("phases", [(), ("access",), ("log",), ("header_filter",)], ids=str)
def test_when_is_asked_once_of_a_wrapper(phases):
    asked = []
    plugin = made("w", wrap=header_adding("X-W"), **{phase: lambda x: None for phase in phases})
    below = made("below", -1, access=lambda x: None)
    found = journal_of(Entry(plugin, when=lambda x: asked.append(x.phase) or True), below)
    assert (found.header("X-W"), asked) == ("1", ["access"])


def test_a_wrapper_whose_when_exits_answers_as_a_plugin_does(caplog):
    caplog.set_level(logging.INFO, "plugmw")
    notes: list[str] = []
    entry = Entry(made("w", wrap=header_adding("X-W")), when=lambda x: x.fail(403, "not you"), where="here")
    above, below = (noting(n, notes, "header_filter", priority=p) for n, p in (("above", 9), ("below", -9)))
    found = journal_of(above, entry, below)
    assert (found.raised, found.status, found.header("X-W")) == (None, "403 Forbidden", None)
    assert notes == ["above.header_filter"]
    assert "403 by w (here): not you" in caplog.text


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), SystemExit(3)], ids=lambda error: type(error).__name__
)
def test_a_wrapper_whose_when_fails_is_answered_500_unless_it_is_open(error, caplog):
    def when(x):
        raise error

    plugin = made("w", wrap=header_adding("X-W"))
    closed = journal_of(Entry(plugin, when=when, where="here"))
    assert (closed.raised, closed.status) == (None, "500 Internal Server Error")
    assert "here: w failed in access" in caplog.text
    opened = journal_of(Entry(plugin, when=when, on_error="open"))
    assert (opened.raised, opened.status, opened.header("X-W")) == (None, "200 OK", None)


def test_a_wrapper_below_an_exit_is_not_asked():
    asked = []
    entry = Entry(made("w", wrap=header_adding("X-W")), when=asked.append)
    assert journal_of(made("stop", 5, access=lambda x: x.exit(403)), entry).status == "403 Forbidden"
    assert asked == []


def test_wrappers_with_conditions_nest_in_order_with_and_without_rewrite():
    def wrap(text):
        def make(app):
            def middle(environ, start_response):
                environ["order"] = environ.get("order", "") + text
                return app(environ, start_response)

            return middle

        return make

    def order(*plugins):
        environ = environ_of()
        assert journal_of(*plugins, environ=environ).status == "200 OK"
        return environ["order"]

    def yes(x):
        return True

    a, c = (Entry(made(name, rank, wrap=wrap(name)), when=yes) for name, rank in (("a", 3), ("c", 1)))
    b = made("b", 2, wrap=wrap("b"))
    no = Entry(made("no", 2, wrap=wrap("no")), when=lambda x: False)
    rewriting = made("r", 9, rewrite=lambda x: None)
    assert [order(a, b, c, no), order(a, b, c, no, rewriting), order(a, c), order(b, c)] == [
        "abc",
        "abc",
        "ac",
        "bc",
    ]


def test_ctx_and_request_id_are_shared_across_wrappers():
    found = []
    journal_of(
        made("above", 3, access=lambda x: x.ctx.update(a=x.request_id)),
        made("w", 2, wrap=lambda app: app),
        made("below", 1, access=lambda x: found.append(x.ctx["a"] == x.request_id)),
    )
    assert found == [True]


# -- threads ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_thirty_two_threads_never_mix_their_exchanges():
    def access(x):
        x.ctx["path"] = x.path
        x.add_header("X-Path", x.path)

    def header_filter(x):
        assert x.ctx["path"] == x.path
        x.add_header("X-Again", x.ctx["path"])

    def echo(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["PATH_INFO"].encode()
        yield b"!"

    chosen = [
        Entry(made("c", access=lambda x: x.add_header("X-Odd", x.path)), when=lambda x: x.path[-1] in "13579")
    ]
    gateway = Gateway(
        echo,
        plugins=[
            made("a", 3, access=access, header_filter=header_filter, log=lambda x: None),
            made("b", 2, body_filter=lambda x, chunk, eof: chunk + (x.path.encode() if eof else b"")),
            *chosen,
        ],
    )
    wrong = []

    def client(n):
        for turn in range(30):
            path = f"/{n}/{turn}"
            found = serve(gateway, environ_of(path))
            odd = path if path[-1] in "13579" else None
            if found.body != f"{path}!{path}".encode() or [
                found.header(name) for name in ("X-Path", "X-Again", "X-Odd")
            ] != [path, path, odd]:
                wrong.append((path, found.body, found.headers))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=client, args=(n,)) for n in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


# -- the pieces -------------------------------------------------------------------------------------------


def test_an_empty_chain_is_the_app_itself():
    assert Compiled([], hello_app, Runtime()).run is hello_app
    assert Compiled(slots([Entry(nothing("init_worker"))]), hello_app, Runtime()).run is hello_app


def test_chains_of_one_shape_are_compiled_once():
    chains = [Compiled(slots([Entry(nothing("access"))]), hello_app, Runtime()).first for _ in range(2)]
    assert chains[0].run is not chains[1].run
    assert chains[0].run.__code__ is chains[1].run.__code__


def test_no_text_of_a_configuration_is_in_the_generated_source():
    evil = made("x); import os; (", access=lambda x: None)
    assert get(evil).status_code == 200


def test_wants_body_is_yes_unless_the_plugin_says_no():
    assert wants_body(nothing("body_filter"), None) is True
    assert wants_body(nothing("body_filter", wants_body=lambda x: 0), None) is False


def test_a_picker_finds_nobody_when_nobody_applies():
    class X:
        consumer = None

    assert picker([Entry(nothing("access"), consumer="jo")])(X()) is None


def test_failures_of_an_app_under_answer_crashes_are_not_blamed_on_a_plugin(caplog):
    def app(environ, start_response):
        raise RuntimeError

    with caplog.at_level(logging.ERROR):
        found = journal_of(nothing("access", "log"), app=app, answer_crashes=True)
    assert found.status.startswith("500")
    assert "the app failed" in caplog.text


# -- times, sizes and the service's own answer --------------------------------------------------------------


def measured(*more, app="list", method="GET", environ=None, **config):
    found = []
    plugin = made("m", log=lambda x: found.append(x), needs_timings=True)
    wrapped = GOOD[app]([]) if isinstance(app, str) else app
    gateway = Gateway(wrapped, config or None, plugins=[plugin, *more])
    serve(gateway, environ or environ_of(method=method))
    return found[0]


@pytest.mark.parametrize("more", [(), ("rewrite",), ("body_filter",), ("response",)], ids=str)
@pytest.mark.parametrize("app", ["list", "late start", "generator", "iterator with close"])
def test_times_and_sizes_are_taken_for_a_plugin_that_measures(app, more):
    x = measured(*([nothing(*more)] if more else []), app=app)
    assert 0 < x.begun <= x.app_called <= x.ended
    assert x.begun <= x.first_byte <= x.ended
    assert x.sent == 6
    assert x.started > 1_600_000_000


def test_an_exit_is_measured_without_a_call_of_the_app():
    x = measured(made("stop", 5, access=lambda x: x.exit(403, "no")))
    assert (x.app_called, x.sent) == (0.0, 2)
    assert x.begun <= x.first_byte <= x.ended


def test_a_file_that_the_server_sends_by_itself_counts_by_its_length():
    found = []
    gateway = Gateway(
        GOOD["file"]([]), plugins=[made("m", log=lambda x: found.append(x.sent), needs_timings=True)]
    )
    gateway(environ_of(), lambda *args: None).close()
    assert found == [6]


def test_an_empty_answer_has_no_first_byte():
    x = measured(app="empty list")
    assert (x.first_byte, x.sent) == (0.0, 0)


def test_nothing_is_measured_for_nobody():
    found = []
    serve(Gateway(GOOD["list"]([]), plugins=[made(log=lambda x: found.append((x.begun, x.ended, x.sent)))]))
    assert found == [(0.0, 0.0, 0)]


def watching(ask):
    seen = {}

    def access(x):
        if ask:
            UpstreamRequest.of(x.environ).buffer = True

    def log(x):
        seen.update({key: x.environ.get(f"plugmw.{key}") for key in ("service", "service_body")})

    change = made("c", header_filter=lambda x: setattr(x, "body", b"changed"))
    plugin = made("w", 5, access=access, log=log, needs_upstream_response=True)
    found = serve(Gateway(GOOD["list"]([]), plugins=[plugin, change]))
    assert found.body == b"changed"
    return seen


def test_the_services_own_answer_is_kept_for_a_plugin_that_watches_and_its_body_when_asked_for():
    status, headers = watching(ask=False)["service"]
    assert (status, headers[0]) == (200, ("Content-Type", "text/plain"))
    assert watching(ask=False)["service_body"] is None
    assert watching(ask=True)["service_body"] == b"onetwo"
