"""What Kong's plugins may rely on: phases, order, exits, failures, bodies, contexts, configuration.

Through a gateway in process; with real gunicorn where it is about a server.
"""

from __future__ import annotations

import json
import logging
import threading

import pytest

from plugmw.dialects.kong import adapt, kong
from plugmw.dialects.kong.schema import config_class, violation
from plugmw.errors import ConfigErrors, LoadError, PhaseError
from plugmw.kernel.order import Entry
from plugmw.schema import build, config, field, read
from plugmw.testing import gateway, get, hello_app
from tests.support.kong import during, handler, plugin, through
from tests.support.wsgi import Closing, environ_of, serve

SIDES = ("rewrite", "access", "header_filter", "body_filter", "log")


def streaming(*chunks, status="200 OK", closed=None, headers=()):
    def app(environ, start_response):
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return Closing(chunks, closed if closed is not None else [])

    return app


@pytest.fixture
def calls():
    return []


def noting(calls, name, priority=10, phases=SIDES, **more):
    """Return a plugin that notes each of its phases."""

    def note(phase):
        return lambda config: calls.append(f"{name}.{phase}")

    return plugin(name, priority, **{phase: note(phase) for phase in phases}, **more)


def of(calls, phase):
    return [call.partition(".")[0] for call in calls if call.endswith(f".{phase}")]


# -- order, loading --------------------------------------------------------------------------------------


def test_every_phase_visits_plugins_by_priority_descending(calls):
    through(noting(calls, "low", 1), noting(calls, "high", 100), noting(calls, "middle", 50))
    for phase in SIDES:
        assert list(dict.fromkeys(of(calls, phase))) == ["high", "middle", "low"], phase


def test_equal_priorities_run_by_name_descending(calls):
    through(noting(calls, "a"), noting(calls, "z"), noting(calls, "m"))
    for phase in SIDES:
        assert list(dict.fromkeys(of(calls, phase))) == ["z", "m", "a"], phase


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (handler(1.5, log=print), "my-plugin: PRIORITY: got 1.5"),
        (handler(float("nan"), log=print), "my-plugin: PRIORITY: got nan"),
        (handler(version="1.0.0.0", log=print), "my-plugin: VERSION: got '1.0.0.0'"),
        (handler(version="one", log=print), "my-plugin: VERSION: got 'one'"),
    ],
)
def test_a_wrong_priority_or_version_refuses_to_load(made, told):
    with pytest.raises(LoadError) as caught:
        adapt(made, "my-plugin")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("phase", ["header_filter", "body_filter"])
def test_response_beside_a_filter_refuses_to_load(phase):
    with pytest.raises(LoadError, match="has response beside header_filter or body_filter"):
        adapt(handler(response=print, **{phase: print}), "my-plugin")


# -- which configuration ---------------------------------------------------------------------------------


@config
class Label:
    label: str = field(help="What is noted.")


ALICE = {"username": "alice", "keyauth_credentials": [{"key": "k"}]}
#: From the most to the least specific, as (route, service, consumer).
SCOPES = {
    "route+service+consumer": ("r", "s", "alice"),
    "route+consumer": ("r", None, "alice"),
    "service+consumer": (None, "s", "alice"),
    "route+service": ("r", "s", None),
    "consumer": (None, None, "alice"),
    "route": ("r", None, None),
    "service": (None, "s", None),
    "global": (None, None, None),
}


def scoped(calls, names, disabled=(), priority=10, **more):
    """Return a gateway with the plugin configured for each of these scopes; it notes which one runs."""

    def note(phase):
        return lambda config: calls.append(f"{config.label}.{phase}")

    phases = {phase: note(phase) for phase in ("access", "log")}
    cls = adapt(handler(priority, **phases), "scoped", Label)
    entries = []
    for name in names:
        route, service, consumer = SCOPES[name]
        entry = Entry(cls(label=name), route=route, service=service, consumer=consumer)
        entry.enabled = name not in disabled
        entries.append(entry)
    routes = [{"name": "r", "paths": ["/r"], "service": "s"}]
    plugins = [*entries, {"name": "key-auth"}]
    return gateway(*plugins, routes=routes, services=[{"name": "s"}], consumers=[ALICE], **more)


@pytest.mark.parametrize("first", range(len(SCOPES)))
def test_one_configuration_runs_by_the_eight_step_lookup(calls, first):
    names = list(SCOPES)[first:]
    # Reversed: the order of the entries does not matter.
    get(scoped(calls, reversed(names)), path="/r", headers={"apikey": "k"})
    assert calls == [f"{names[0]}.access", f"{names[0]}.log"]


def test_a_disabled_configuration_is_as_if_absent(calls):
    found = scoped(calls, ["route", "global"], disabled=["route"])
    get(found, path="/r", headers={"apikey": "k"})
    assert of(calls, "access") == ["global"]


def test_rewrite_and_certificate_run_global_configurations_only(calls):
    from plugmw.configuration.certificates import Hello, choose

    def note(phase):
        return lambda config: calls.append(f"{config.label}.{phase}")

    cls = adapt(handler(rewrite=note("rewrite"), certificate=note("certificate")), "x", Label)
    entries = [Entry(cls(label="global")), Entry(cls(label="route"), route="r")]
    found = gateway(*entries, routes=[{"name": "r", "paths": ["/"]}])
    get(found, path="/")
    choose(Hello("a.example"), [found])
    assert calls == ["global.rewrite", "global.certificate"]


@pytest.mark.parametrize(("priority", "seen"), [(10, "consumer"), (2000, "global")])
def test_a_consumer_is_known_to_plugins_after_the_authenticator(calls, priority, seen):
    found = scoped(calls, ["consumer", "global"], priority=priority)
    get(found, path="/r", headers={"apikey": "k"})
    # The choice is made once: also the log phase of a plugin above the authenticator sees no consumer.
    assert calls == [f"{seen}.access", f"{seen}.log"]


def test_an_unrouted_request_sees_global_filters_and_log_only(calls):
    routes = [{"name": "r", "paths": ["/r"]}]
    entries = [Entry(noting(calls, "global")), Entry(noting(calls, "route"), route="r")]
    answer = get(gateway(*entries, routes=routes, unrouted="404"), path="/other")
    assert (answer.status_code, answer.json["message"]) == (404, "no Route matched with those values")
    assert "global.access" not in calls
    assert [of(calls, phase)[:1] for phase in ("header_filter", "body_filter", "log")] == [["global"]] * 3
    assert not [call for call in calls if call.startswith("route.")]


# -- exits and failures ----------------------------------------------------------------------------------


def exiting(calls, priority=50):
    def access(config):
        calls.append("exits.access")
        kong.response.exit(403, {"message": "no"})

    return plugin("exits", priority, access=access)


def test_an_exit_in_access_skips_lower_access_and_the_app_but_no_filters(calls):
    def never(environ, start_response):
        raise AssertionError("called")

    answer = through(noting(calls, "low", 1), exiting(calls), noting(calls, "high", 99), app=never)
    assert (answer.status_code, answer.json) == (403, {"message": "no"})
    assert of(calls, "access") == ["high", "exits"]
    for phase in ("header_filter", "body_filter", "log"):
        assert list(dict.fromkeys(of(calls, phase))) == ["high", "low"], phase


def test_an_exit_is_not_swallowed_by_except_exception():
    def access(config):
        try:
            kong.response.exit(401)
        except Exception:
            pass

    assert through(plugin(access=access)).status_code == 401


def test_an_exit_skips_response_handlers(calls):
    through(exiting(calls), noting(calls, "buffers", 1, ("response",)), noting(calls, "log", 1, ("log",)))
    assert calls == ["exits.access", "log.log"]


def test_a_raise_in_access_is_a_500_and_others_see_it(calls, caplog):
    def access(config):
        raise ValueError("secret cause")

    def log(config):
        calls.append(kong.response.get_source())

    answer = through(
        plugin("raises", 50, access=access), noting(calls, "low", 1, SIDES[1:-1]), plugin("log", 2, log=log)
    )
    assert (answer.status_code, answer.json["message"]) == (500, "An unexpected error occurred")
    assert calls == ["low.header_filter", *(["low.body_filter"] * (len(calls) - 2)), "error"]
    assert "secret cause" in caplog.text
    assert b"secret cause" not in answer.data


def test_a_raise_in_header_filter_never_lets_the_answer_through(calls):
    bad = plugin("raises", 50, header_filter=lambda config: 1 / 0)
    answer = through(bad, noting(calls, "low", 1, ("header_filter", "log")), app=streaming(b"unfiltered"))
    assert answer.status_code == 500
    assert b"unfiltered" not in answer.data
    assert calls == ["low.log"]


def failing_at(chunk):
    """Return a body_filter that raises at this chunk (counting from 0)."""
    seen = []

    def body_filter(config):
        seen.append(1)
        if len(seen) > chunk:
            raise ValueError("no")

    return body_filter


def test_a_raise_in_body_filter_cuts_the_body_detectably(calls):
    closed = []
    bad = plugin("raises", 50, body_filter=failing_at(1))
    made = gateway(bad, noting(calls, "log", 1, ("log",)), app=streaming(b"a", b"b", b"c", closed=closed))
    result = serve(made, environ_of())
    assert (result.body, type(result.raised)) == (b"a", ValueError)
    assert (calls, len(closed)) == (["log.log"], 1)


def test_a_raise_in_log_leaves_the_answer_and_the_other_logs(calls, caplog):
    bad = plugin("raises", 50, log=lambda config: 1 / 0)
    answer = through(bad, noting(calls, "low", 1, ("log",)))
    assert (answer.status_code, answer.data) == (200, b"hello")
    assert calls == ["low.log"]
    assert "ZeroDivisionError" in caplog.text


def test_a_raise_in_init_worker_is_logged_and_serving_goes_on(caplog):
    def fail():
        raise ValueError("no start")

    recorder = plugin("recorder", init_worker=fail, log=lambda config: None)
    guard = Entry(plugin("guard", init_worker=fail, access=lambda config: None), route="guarded")
    found = gateway(recorder, guard, routes=[{"name": "guarded", "paths": ["/guarded"]}])
    assert get(found, path="/").status_code == 200
    # Better than Kong, which goes on calling what has not started: what decides who passes lets nobody.
    assert get(found, path="/guarded").status_code == 500
    assert caplog.text.count("ValueError: no start") == 2
    assert {record.levelno for record in caplog.records if "init_worker" in record.message} == {
        logging.CRITICAL
    }


# -- buffering and bodies --------------------------------------------------------------------------------


def test_a_response_handler_buffers_and_runs_before_the_filters(calls):
    def app(environ, start_response):
        start_response("200 OK", [])
        for chunk in (b"a", b"b"):
            calls.append("app")
            yield chunk

    def response(config):
        calls.append(f"buffers.response {kong.service.response.get_raw_body().decode()}")

    other = noting(calls, "filters", 99, ("header_filter", "body_filter", "log"))
    assert through(plugin("buffers", 1, response=response), other, app=app).data == b"ab"
    names = list(dict.fromkeys(calls))
    assert names == [
        *("app", "buffers.response ab", "filters.header_filter", "filters.body_filter", "filters.log")
    ]


def test_an_upgraded_connection_is_not_buffered(calls):
    shake = {"HTTP_CONNECTION": "Upgrade", "HTTP_UPGRADE": "websocket"}
    buffers = noting(calls, "buffers", 10, ("response",))
    app = streaming(b"frame", status="101 Switching Protocols")
    serve(gateway(buffers, app=app), environ_of(**shake))
    assert calls == []
    # Better than Kong: what a client only asks for does not switch a response handler off.
    serve(gateway(buffers, app=streaming(b"a")), environ_of(**shake))
    assert calls == ["buffers.response"]


@pytest.mark.parametrize(
    ("method", "status", "filtered"),
    [
        ("GET", "200 OK", True),
        ("HEAD", "200 OK", False),
        ("GET", "204 No Content", False),
        ("GET", "304 Not Modified", False),
    ],
)
def test_body_filter_sees_each_chunk_and_one_end(calls, method, status, filtered):
    from tests.support.plugins import made

    def body_filter(x, chunk, eof):
        calls.append((chunk, eof))
        return chunk

    chunks = (b"a", b"b") if filtered else ()
    native = made("native", 1, body_filter=body_filter)
    through(
        native, noting([], "kong", 2, ("body_filter",)), app=streaming(*chunks, status=status), method=method
    )
    assert calls == ([(b"a", False), (b"b", False), (b"", True)] if filtered else [])


def test_an_early_end_drops_the_rest_and_closes_the_app_once():
    closed = []
    ending = plugin(body_filter=lambda config: kong.response.set_raw_body("end"))
    assert through(ending, app=streaming(b"a", b"b", b"c", closed=closed)).data == b"end"
    assert len(closed) == 1


def test_a_raw_body_comes_once_at_the_end_for_two_plugins():
    seen = []

    def change(name):
        def body_filter(config):
            body = kong.response.get_raw_body()
            if body is not None:
                seen.append((name, body))
                kong.response.set_raw_body(body + name.encode())

        return body_filter

    found = through(
        plugin("x", 20, body_filter=change("x")),
        plugin("y", 10, body_filter=change("y")),
        app=streaming(b"a", b"b", b"c"),
    )
    assert (found.data, seen) == (b"abcxy", [("x", b"abc"), ("y", b"abcx")])


def test_a_filter_that_changes_the_length_leaves_no_stale_content_length():
    def body_filter(config):
        body = kong.response.get_raw_body()
        if body is not None:
            kong.response.set_raw_body(body * 2)

    answer = through(plugin(body_filter=body_filter), app=hello_app)
    assert (answer.data, answer.headers.get("Content-Length")) == (b"hellohello", "10")


def test_log_runs_once_after_the_last_byte_and_for_aborted_clients(calls):
    made = gateway(noting(calls, "log", 1, ("log",)), app=streaming(b"a", b"b", b"c"))
    result = serve(made, environ_of(), stop_after=1)
    assert (result.chunks, calls) == ([b"a"], ["log.log"])

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        calls.append("last byte")

    calls.clear()
    serve(gateway(noting(calls, "log", 1, ("log",)), app=app), environ_of())
    assert calls == ["last byte", "log.log"]


# -- context and PDK -------------------------------------------------------------------------------------


def test_contexts_belong_to_a_request_and_do_not_leak_over_threads():
    barrier = threading.Barrier(2, timeout=10)
    seen = {}

    def access(config):
        name = kong.request.get_header("x-name")
        kong.ctx.shared["name"], kong.ctx.plugin["name"] = name, name
        barrier.wait()

    def log(config):
        seen[kong.request.get_header("x-name")] = kong.ctx.shared["name"], kong.ctx.plugin["name"]

    def other(config):
        assert kong.ctx.plugin == {}

    found = gateway(plugin("one", 20, access=access, log=log), plugin("two", 10, access=other))
    threads = [
        threading.Thread(target=get, args=(found,), kwargs={"headers": {"X-Name": name}}) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {"a": ("a", "a"), "b": ("b", "b")}
    assert kong.ctx.shared is None


@pytest.mark.slow
def test_contexts_do_not_leak_over_greenlets():
    gevent = pytest.importorskip("gevent")
    seen = []

    def access(config):
        kong.ctx.shared["name"] = kong.request.get_header("x-name")
        gevent.sleep(0.001)
        seen.append(kong.ctx.shared["name"] == kong.request.get_header("x-name"))

    found = gateway(plugin(access=access))
    jobs = [gevent.spawn(get, found, headers={"X-Name": str(number)}) for number in range(20)]
    gevent.joinall(jobs, raise_error=True)
    assert seen == [True] * 20


def test_a_call_in_a_wrong_phase_names_both():
    with pytest.raises(PhaseError) as caught:
        during("log", kong.response.exit, 200)
    assert str(caught.value) == (
        "exit cannot be called in log phase (only in: rewrite, access, response, header_filter)"
    )


@pytest.mark.parametrize(
    ("body", "data", "kind"),
    [
        ({"a": 1}, b'{"a":1}', "application/json; charset=utf-8"),
        ("text", b"text", None),
        (None, b"", None),
    ],
)
def test_an_exit_has_the_type_and_length_of_its_body(body, data, kind):
    answer = through(plugin(access=lambda config: kong.response.exit(201, body, {"Transfer-Encoding": "x"})))
    assert (answer.status_code, answer.data) == (201, data)
    assert (answer.headers.get("Content-Type"), answer.headers["Content-Length"]) == (kind, str(len(data)))
    assert "Transfer-Encoding" not in answer.headers


@pytest.mark.parametrize("status", [99, 199, 600])
def test_the_status_of_an_exit_is_that_of_a_final_answer(status):
    with pytest.raises(ValueError, match="code must be a number between 200 and 599"):
        during("access", kong.response.exit, status)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("application/xml;q=0.9, text/plain;q=0.1", "application/xml; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("", "application/json; charset=utf-8"),
    ],
)
def test_an_error_is_negotiated_and_carries_the_request_id(accept, kind):
    message = 'he said "<no>"'
    answer = through(
        plugin(access=lambda config: kong.response.error(400, message)), headers={"Accept": accept}
    )
    assert answer.headers["Content-Type"] == kind
    if "json" in kind:
        assert set(json.loads(answer.data)) == {"message", "request_id"}
        assert answer.json["message"] == message
    else:
        assert b"request" in answer.data
        assert b"<no>" not in answer.data or "plain" in kind


def test_getters_are_bounded_and_tell_of_truncation():
    headers = {f"X-{number}": "1" for number in range(150)}
    query = "&".join(f"a{number}=1" for number in range(150))
    for call, maximum in ((kong.request.get_headers, "max_headers"), (kong.request.get_query, "max_args")):
        found = during("access", call, headers=headers, query_string=query)
        assert (len(found), found.err) == (100, "truncated")
        assert during("access", call, 1000, headers=headers, query_string=query).err is None
        for wrong, text in ((0, ">= 1"), (1001, "<= 1000")):
            with pytest.raises(ValueError, match=f"{maximum} must be {text}"):
                during("access", call, wrong)


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', ({"a": 1}, None, "application/json")),
        ("application/json", b"5", (None, "invalid json body", "application/json")),
        (
            "application/x-www-form-urlencoded",
            b"a=1&b",
            ({"a": "1", "b": True}, None, "application/x-www-form-urlencoded"),
        ),
        ("", b"x", (None, "missing content type", None)),
        ("text/plain", b"x", (None, "unsupported content type 'text/plain'", "text/plain")),
    ],
)
def test_a_body_is_parsed_by_its_type_with_kongs_texts(kind, body, wanted):
    request = {"method": "POST", "data": body, "environ": {"CONTENT_TYPE": kind}}
    assert during("access", kong.request.get_body, **request) == wanted


@pytest.mark.parametrize(("peer", "host"), [("10.0.0.1", "outside.example"), ("11.0.0.1", "localhost")])
def test_forwarded_getters_believe_trusted_peers_only(peer, host):
    found = during(
        "access",
        kong.request.get_forwarded_host,
        headers={"X-Forwarded-Host": "outside.example:8443"},
        environ={"REMOTE_ADDR": peer},
        config={"trusted": ["10.0.0.0/8"]},
    )
    assert found == host


# -- configuration ---------------------------------------------------------------------------------------

TABLE = {
    "fields": [
        {
            "config": {
                "type": "record",
                "fields": [
                    {"minute": {"type": "number"}},
                    {"name": {"type": "string"}},
                    {
                        "redis": {
                            "type": "record",
                            "required": True,
                            "fields": [{"port": {"typedef": "port"}}],
                        }
                    },
                ],
                "entity_checks": [{"at_least_one_of": ["minute", "name"]}],
            }
        }
    ]
}


def test_errors_come_all_at_once_nested_and_sorted_with_code_2():
    cls = config_class("limits", TABLE)
    assert violation(cls, {"redis": {"port": 70000}, "x": 1}) == {
        "code": 2,
        "name": "schema violation",
        "message": "3 schema violations (config: at least one of these fields must be non-empty: 'minute', "
        "'name'; config.redis.port: value should be between 0 and 65535; config.x: unknown field)",
        "fields": {
            "config": {
                "redis": {"port": "value should be between 0 and 65535"},
                "x": "unknown field",
                "@entity": ["at least one of these fields must be non-empty: 'minute', 'name'"],
            }
        },
    }
    assert violation(cls, {"minute": "5"})["message"] == "schema violation (config.minute: expected a number)"


def test_a_gateway_tells_all_with_their_places():
    cls = adapt(handler(log=print), "limits", config_class("limits", TABLE))
    with pytest.raises(ConfigErrors) as caught:
        cls(minute="5", name="", redis={"port": -1}, x=1)
    assert len(caught.value.errors) == 4


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"minute": "5"}, ("minute",)),
        ({"minute": True}, ("minute",)),
        ({"name": ""}, ("name",)),
        ({"nmae": "x"}, ("nmae",)),
        ({"name": 5}, ("name",)),
    ],
)
def test_nothing_is_coerced_unknown_fields_and_empty_texts_are_refused(data, path):
    found = [problem[0] for problem in read(config_class("limits", TABLE), {"minute": 1, **data})[1]]
    assert found == [path]


def test_configure_is_called_with_all_configurations_or_none(calls):
    cls = adapt(handler(configure=calls.append, log=lambda config: None), "x", Label)
    routes = [{"name": "r", "paths": ["/r"]}]
    found = gateway(Entry(cls(label="1")), Entry(cls(label="2"), route="r"), routes=routes)
    get(found)
    assert [[one.label for one in configs] for configs in calls] == [["1", "2"]]
    found._announce([])
    assert calls[1] is None


def test_tables_give_objects_with_their_defaults():
    assert build(config_class("limits", TABLE), {"minute": 1}, "here").redis.port is None
