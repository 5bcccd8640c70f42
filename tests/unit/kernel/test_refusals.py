"""The line that tells why a request was refused."""

from __future__ import annotations

import logging

import pytest
from werkzeug.test import Client

from plugmw import Gateway, Plugin
from plugmw.kernel.refusals import LEVEL
from plugmw.testing import hello_app

ALICE = {
    "username": "alice",
    "keyauth_credentials": [{"key": "alices"}],
    "acls": [{"group": "readers"}],
}


@pytest.fixture(autouse=True)
def every_line(caplog):
    caplog.set_level(logging.INFO, "plugmw")


def lines(caplog):
    """Return the lines of refusals, without the id at their end."""
    found = [record.getMessage() for record in caplog.records if record.levelno == LEVEL]
    assert all(" request " in text for text in found)
    return [text.rpartition(", request ")[0] for text in found]


def guarded(**more):
    plugins = [{"name": "key-auth"}, {"name": "acl", "config": {"allow": ["writers"]}}]
    return Client(Gateway(hello_app, {"plugins": plugins, "consumers": [ALICE], **more}))


def test_who_has_no_key_is_told_with_the_entry_and_the_reason(caplog):
    assert guarded().get("/orders?apikey=").status_code == 401
    assert lines(caplog) == [
        "401 by key-auth (config: plugins[0]): No API key found in request; consumer -, GET /orders"
    ]


def test_who_may_not_is_told_with_the_consumer(caplog):
    assert guarded().delete("/orders", headers={"apikey": "alices"}).status_code == 403
    assert lines(caplog) == [
        "403 by acl (config: plugins[1]): You cannot consume this service; consumer alice, DELETE /orders"
    ]


def test_a_request_that_could_be_read_as_one_of_another_route_is_refused_by_the_gateway(caplog):
    routes = [{"name": "admin", "paths": ["/admin"]}, {"name": "all", "paths": ["/"]}]
    assert guarded(routes=routes).get("/x/..;/admin").status_code == 400
    [line] = lines(caplog)
    assert line.startswith("400 by the gateway: an app could read the path as one of another route")


def test_an_answer_below_400_is_no_refusal(caplog):
    class Hello(Plugin):
        name = "hello"

        def access(self, x):
            x.exit(302, None, {"Location": "/"})

    Client(Gateway(hello_app, plugins=[Hello()])).get("/")
    assert lines(caplog) == []


BODIES = {
    "text": ("no", "Forbidden"),
    "nothing": (None, "Forbidden"),
    "a message": ({"message": "not you"}, "not you"),
    "an error": ({"error": "invalid_token"}, "invalid_token"),
    "another object": ({"a": 1}, "Forbidden"),
    "lines": ({"message": "a\nb\x1b"}, "a\\nb\\x1b"),
    "a long text": ({"message": 300 * "x"}, 200 * "x" + "..."),
    "what looks like JSON": (b"{", "Forbidden"),
    "lists in lists": (b'{"message": ' + 4000 * b"[", "Forbidden"),
    "objects in objects": (680 * b'{"a": ', "Forbidden"),
    "what is no UTF-8": (b'{"message": "\xff"}', "Forbidden"),
    "a list": (b'["message"]', "Forbidden"),
    "a number": (b"7", "Forbidden"),
    "a message that is a number": ({"message": 7}, "Forbidden"),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_reason_is_the_message_of_the_answer(name, caplog):
    body, reason = BODIES[name]

    class No(Plugin):
        name = "no"

        def access(self, x):
            x.exit(403, body)

    Client(Gateway(hello_app, plugins=[No()])).get("/")
    assert lines(caplog) == [f"403 by no (code: plugins[0]): {reason}; consumer -, GET /"]


def test_the_level_has_a_name_and_can_be_left_out(caplog):
    assert logging.getLevelName(LEVEL) == "REFUSED"
    caplog.set_level(logging.WARNING, "plugmw")
    guarded().get("/")
    assert lines(caplog) == []


def test_an_injected_logger_without_levels_gets_it_as_info():
    class Few:
        def __init__(self):
            self.lines = []

        def info(self, text, *values):
            self.lines.append(text % values)

        debug = warning = error = critical = info

    logger = Few()
    gateway = Gateway(hello_app, {"plugins": [{"name": "key-auth"}]}, logger=logger)
    Client(gateway).get("/")
    assert [line for line in logger.lines if line.startswith("401 by key-auth (config: plugins[0])")]
