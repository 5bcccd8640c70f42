"""correlation-id: configuration, the identifier, and through an app."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.test import create_environ

from plugmw import ConfigError, Entry, Gateway, Plugin
from plugmw.contrib.correlation_id import CorrelationID
from plugmw.testing import gateway, get, hello_app

NAME = "X-Correlation-ID"
KEY = "HTTP_X_CORRELATION_ID"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def seen(plugin, config=None, **request):
    """Return the environ that the app got, and the answer."""
    saw = []
    environ = {**request.pop("environ", {}), "plugmw.testing.saw": saw}
    answer = get(plugin, config, environ=environ, **request)
    return (saw[0] if saw else {}), answer


# -- config -------------------------------------------------------------------------------------------


BAD = {
    "unknown generator": (
        {"generator": "nope"},
        "generator: got 'nope', expected one of uuid, uuid#counter, tracker",
    ),
    "no generator": ({"generator": None}, "generator: got None, expected one of"),
    "header with a blank": ({"header_name": "a b"}, "header_name: got 'a b', expected a header name"),
    "header with a line break": ({"header_name": "a\r\nb"}, "header_name: got"),
    "header without a name": ({"header_name": ""}, "header_name: got ''"),
    "echo that is no boolean": ({"echo_downstream": "yes"}, "echo_downstream: got 'yes', expected a boolean"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        CorrelationID(**config)
    assert message in str(caught.value)


# -- the identifier -----------------------------------------------------------------------------------


def test_uuid_is_a_random_one_per_request():
    wrapped = gateway(CorrelationID(generator="uuid"))
    made = {seen(wrapped)[0][KEY] for _ in range(3)}
    assert len(made) == 3
    assert all(re.fullmatch(UUID, one) for one in made)


def test_counter_starts_at_1_behind_the_uuid_of_the_worker():
    wrapped = gateway(CorrelationID())
    made = [seen(wrapped)[0][KEY] for _ in range(3)]
    workers, numbers = zip(*(one.split("#") for one in made))
    assert re.fullmatch(UUID, workers[0])
    assert (len(set(workers)), numbers) == (1, ("1", "2", "3"))


def test_counter_counts_only_what_was_made():
    wrapped = gateway(CorrelationID())
    seen(wrapped, headers={NAME: "mine"})
    assert seen(wrapped)[0][KEY].endswith("#1")


def test_counter_does_not_repeat_between_threads():
    wrapped = gateway(CorrelationID())
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: seen(wrapped)[0][KEY], range(64)))
    assert len(set(made)) == 64


def test_forked_worker_has_a_uuid_of_its_own():
    wrapped = gateway(CorrelationID())
    before = seen(wrapped)[0][KEY]
    wrapped.after_fork()  # what os.register_at_fork calls in the child
    after = seen(wrapped)[0][KEY]
    assert before.split("#")[0] != after.split("#")[0]
    assert after.endswith("#1")


TRACKED = {
    "address": ("127.0.0.1", "127.0.0.1"),
    "IPv6": ("::1", "::1"),
    "name with a dash": ("my-host", "my_host"),
    "what a client sent to a unix socket": ("a\r\n b", "a___b"),
}


@pytest.mark.parametrize(("server", "shown"), TRACKED.values(), ids=TRACKED)
def test_tracker_has_six_parts(server, shown):
    wrapped = Gateway(hello_app, plugins=[CorrelationID(generator="tracker")], clock=lambda: 1700000000.12345)
    environ = {"SERVER_NAME": server, "SERVER_PORT": "80"}
    made = [seen(wrapped, environ=environ)[0][KEY] for _ in range(2)]
    assert made == [f"{shown}-80-{os.getpid()}-{n}-1-1700000000.123" for n in (1, 2)]


# -- what a client sends ------------------------------------------------------------------------------

KEPT = {"text": "foobar", "all visible ASCII": "!#-~", "200 characters": "a" * 200}


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_identifier_of_the_client_is_kept(value):
    environ, answer = seen(CorrelationID(echo_downstream=True), headers={NAME: value})
    assert environ[KEY] == environ["plugmw.correlation_id"] == answer.headers[NAME] == value


def test_blanks_round_an_identifier_do_not_count():
    environ, answer = seen(CorrelationID(echo_downstream=True), environ={KEY: " foobar "})
    assert (environ[KEY], answer.headers[NAME]) == (" foobar ", "foobar")


REPLACED = {
    "empty": "",
    "blanks": "  \t",
    "blank inside": "a b",
    "line break": "a\r\nSet-Cookie: b",
    "escape": "a\x1b[2J",
    "latin-1": "\xe4",
    "201 characters": "a" * 201,
}


@pytest.mark.parametrize("value", REPLACED.values(), ids=REPLACED)
def test_identifier_that_does_not_fit_is_replaced(value):
    environ, answer = seen(CorrelationID(generator="uuid", echo_downstream=True), environ={KEY: value})
    assert re.fullmatch(UUID, environ[KEY])
    assert answer.headers[NAME] == environ[KEY]


TRUST = {"untrusted": ([], "10.0.0.1", False), "trusted": (["10.0.0.0/8"], "10.0.0.1", True)}


@pytest.mark.parametrize(("trusted", "peer", "kept"), TRUST.values(), ids=TRUST)
def test_trusted_only_keeps_identifiers_of_trusted_peers(trusted, peer, kept):
    environ, _ = seen(
        CorrelationID(trusted_only=True),
        {"trusted": trusted},
        headers={NAME: "mine"},
        environ={"REMOTE_ADDR": peer},
    )
    assert (environ[KEY] == "mine") is kept


# -- through an app -----------------------------------------------------------------------------------


def own_header(environ, start_response):
    start_response("200 OK", [("x-correlation-id", "app"), ("X-Correlation-ID", "app")])
    return [b""]


def test_answer_is_left_alone_without_echo():
    assert NAME not in get(CorrelationID()).headers
    assert get(CorrelationID(), app=own_header).headers.getlist(NAME) == ["app", "app"]


def test_echo_replaces_what_the_app_sent():
    answer = get(CorrelationID(echo_downstream=True), app=own_header, headers={NAME: "mine"})
    assert answer.headers.getlist(NAME) == ["mine"]


class Refuse(Plugin):
    name, priority = "refuse", 1000

    def access(self, x):
        x.fail(401)


class Break(Plugin):
    name, priority = "break", 1000

    def access(self, x):
        raise KeyError("broken")


@pytest.mark.parametrize(("other", "status"), [(Refuse(), 401), (Break(), 500)], ids=["refused", "broken"])
def test_echo_comes_also_when_the_app_was_not_called(other, status):
    wrapped = gateway(other, CorrelationID(echo_downstream=True))
    new, old = get(wrapped), get(wrapped, headers={NAME: "mine"})
    assert (new.status_code, old.status_code) == (status, status)
    assert re.fullmatch(f"{UUID}#1", new.headers[NAME])
    assert old.headers[NAME] == "mine"


def test_identifier_made_for_the_answer_is_recorded_for_logs():
    recorded = []

    class Log(Plugin):
        name = "log"

        def log(self, x):
            recorded.append(x.environ["plugmw.correlation_id"])

    answer = get([Refuse(), CorrelationID(echo_downstream=True), Log()])
    assert recorded == [answer.headers[NAME]]


def test_echo_comes_when_the_app_crashes():
    def crash(environ, start_response):
        raise RuntimeError

    started = []
    wrapped = gateway(CorrelationID(echo_downstream=True), app=crash, answer_crashes=True)
    # Called directly: werkzeug's client raises what the server is only told of.
    wrapped(create_environ(), lambda *arguments: started.append(arguments))
    [(status, headers, *_)] = started
    assert status == "500 Internal Server Error"
    assert re.fullmatch(f"{UUID}#1", dict(headers)[NAME])


def test_echo_is_what_the_app_got_even_if_the_app_changes_its_environ():
    def changes(environ, start_response):
        del environ[KEY]
        start_response("200 OK", [])
        return [b""]

    assert (
        get(CorrelationID(echo_downstream=True), app=changes, headers={NAME: "mine"}).headers[NAME] == "mine"
    )


def test_two_instances_echo_their_own_header():
    other = CorrelationID(header_name="X-Other", generator="uuid", echo_downstream=True)
    wrapped = gateway(CorrelationID(echo_downstream=True), Entry(other, instance="other"))
    answer = get(wrapped, headers={NAME: "mine"})
    assert answer.headers[NAME] == "mine"
    assert re.fullmatch(UUID, answer.headers["X-Other"])
