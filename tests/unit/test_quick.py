"""The tests of this folder stay quick: whoever starts a server here is told where the test belongs."""

from __future__ import annotations

import inspect

import pytest

from tests.support import postgres, redis_server, rsyslog, servers, slapd


def test_a_server_is_not_started_outside_of_the_live_tests(monkeypatch):
    with pytest.raises(pytest.fail.Exception, match="started by a test outside of tests/live"):
        servers.only_live("redis-server")
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/security/test_s01_smuggling.py::test_a (call)")
    with pytest.raises(pytest.fail.Exception, match=r"tests/security/test_s01_smuggling\.py::test_a"):
        servers.only_live("redis-server")
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/live/test_reload.py::test_a (setup)")
    servers.only_live("redis-server")


def test_everybody_who_starts_a_server_asks_that():
    starters = (
        servers.start_gunicorn,
        redis_server.RedisServer.start,
        postgres.PostgresServer.__init__,
        rsyslog.Rsyslog.start,
        slapd.slapd,
    )
    assert [one.__qualname__ for one in starters if "only_live(" not in inspect.getsource(one)] == []
