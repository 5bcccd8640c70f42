"""What plugin code finds as TykGateway: the log and the store."""

from __future__ import annotations

import logging

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.dialects.tyk.python.gateway import TykGateway
from plugmw.errors import StoreError
from plugmw.stores import open_store
from tests.unit.dialects.tyk.python.conftest import echo


@pytest.fixture
def run(entries):
    """Run lines in a hook, over a store."""

    def call(*lines, store="memory://"):
        text = "@Hook\ndef H(request, session, spec):\n" + "".join(f"    {line}\n" for line in lines)
        made = entries(text + "    return request, session\n", pre="H")
        return Client(Gateway(echo, {}, plugins=made, store=store)).get("/").json

    return call


@pytest.mark.parametrize(
    ("level", "number"),
    [("debug", 10), ("info", 20), ("warning", 30), ("error", 40), ("other", 20)],
)
def test_levels_of_the_log(run, log, level, number):
    run(f"tyk.log('hello %s', {level!r})")
    record = next(record for record in log.records if record.getMessage() == "hello %s")
    assert (record.levelno, record.name) == (number, "plugmw.tyk-python")


def test_log_error_and_events(run, log):
    run("tyk.log_error('bad')", "tyk.trigger_event('QuotaExceeded', 'all of it')")
    found = [(record.levelno, record.getMessage()) for record in log.records]
    assert (logging.ERROR, "bad") in found
    assert (logging.INFO, "event QuotaExceeded: all of it") in found


def test_data_is_kept_in_the_gateways_store_under_its_prefix(run):
    store = open_store("memory://")
    lines = [
        "tyk.store_data('k', 'vä', 15)",
        "request.object.raw_body = tyk.get_data('k') + tyk.get_data('none')",
    ]
    assert run(*lines, store=store)["body"] == "vä".encode().decode("latin-1")
    assert store.get("coprocess-data:k") == "vä".encode()


@pytest.mark.parametrize(("ttl", "left"), [(5, None), (0, b"v"), (-1, b"v")])
def test_data_lives_for_its_seconds_or_for_ever(run, ttl, left):
    now = [1000.0]
    store = open_store("memory://", clock=lambda: now[0])
    run(f"tyk.store_data('k', b'v', {ttl})", store=store)
    now[0] += 6
    assert store.get("coprocess-data:k") == left


class Down:
    """A store that is down."""

    url = "down://"
    scope = "process"

    def get(self, key):
        raise StoreError(self.url, "is down")

    def set(self, key, value, ttl=None):
        raise StoreError(self.url, "is down")

    def close(self):
        """Hold nothing."""


def test_a_store_that_is_down_reads_as_empty_and_is_logged(run, log):
    answer = run("tyk.store_data('k', 'v', 1)", "request.object.raw_body = tyk.get_data('k')", store=Down())
    assert answer["body"] == ""
    assert "could not set key: down://: is down" in log.text
    assert "could not get key: down://: is down" in log.text


def test_while_a_bundle_is_imported_there_is_a_log_but_no_store(entries, log):
    entries(
        "tyk.log('at import', 'info')\ntyk.store_data('k', 'v', 1)\nassert tyk.get_data('k') == b''\n",
        pre="H",
    )
    assert "at import" in log.text
    assert "could not get key: store: can only be used in a hook" in log.text


def test_outside_of_everything_there_is_the_log_of_plugmw(log):
    TykGateway.log("from a thread", "info")
    assert "from a thread" in log.text
    assert TykGateway.get_data("k") == b""
