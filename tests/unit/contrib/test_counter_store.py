"""counting: the Redis record, its older spellings, and which store a plugin counts in."""

from __future__ import annotations

import logging

import pytest

from plugmw import ConfigError
from plugmw.contrib import _counter_store as counting
from plugmw.contrib._counter_store import (
    Counting,
    CountingConfig,
    Redis,
    key_prefix,
    redis_problems,
    redis_record,
)
from plugmw.errors import StoreError
from plugmw.schema import config
from plugmw.stores import open_store
from plugmw.testing import gateway, get
from tests.support.clock import Clock


@config
class Config(CountingConfig):
    """What is counted by no plugin of ours."""

    def check(self):
        yield from redis_problems(self)


class Count(Counting):
    name, Config = "count", Config

    def access(self, x):
        try:
            x.set_header("X-Count", str(self.store.incr("all")))
        except StoreError as error:
            self.without_store(x, error)


URLS = {
    "host": ({}, "redis://h:6379/0"),
    "port and database": ({"port": 7000, "database": 2}, "redis://h:7000/2"),
    "password": ({"password": "p@/:"}, "redis://:p%40%2F%3A@h:6379/0"),
    "user": ({"username": "u/", "password": "p"}, "redis://u%2F:p@h:6379/0"),
    "user without password": ({"username": "u"}, "redis://u@h:6379/0"),
    "TLS": ({"ssl": True}, "rediss://h:6379/0"),
    "TLS without verification": ({"ssl": True, "ssl_verify": False}, "rediss://h:6379/0?ssl_cert_reqs=none"),
    "IPv6": ({"host": "::1"}, "redis://[::1]:6379/0"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("given", "url"), URLS.values(), ids=URLS)
def test_record_names_a_store(given, url):
    made = Redis(**{"host": "h", **given})
    assert made.url == url
    open_store(made.url).close()


def test_record_has_the_defaults_of_kong_but_verifies_certificates():
    assert Redis() == Redis(port=6379, timeout=2000, database=0, ssl=False, ssl_verify=True)


BAD = {
    "host that is part of a URL": ({"host": "h/0"}, "redis.host: got 'h/0', expected a host name or address"),
    "port": ({"host": "h", "port": 65536}, "redis.port: got 65536"),
    "timeout": ({"host": "h", "timeout": 0}, "redis.timeout: got 0, expected a number above 0"),
    "database": ({"host": "h", "database": -1}, "redis.database: got -1"),
    "password": ({"host": "h", "password": 5}, "redis.password: got a secret value"),
    "other server name": (
        {"host": "h", "ssl": True, "server_name": "x"},
        "redis.server_name: got 'x', expected the host, 'h'",
    ),
    "no host": ({"port": 1}, "redis.host: required field missing"),
}


@pytest.mark.parametrize(("redis", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_record(redis, message):
    with pytest.raises(ConfigError) as caught:
        Count(policy="redis", redis=redis)
    assert message in str(caught.value)


def test_refuses_policy_redis_without_a_server():
    with pytest.raises(ConfigError, match=r"redis.host: required field missing"):
        Count(policy="redis")


def test_record_is_not_looked_at_without_policy_redis():
    Count(redis={"port": 1})


def test_server_name_may_be_the_host():
    Count(policy="redis", redis={"host": "h", "ssl": True, "server_name": "h"})


def test_older_spellings_make_the_same_record():
    made = Count(
        policy="redis",
        redis_host="h",
        redis_port=1,
        redis_timeout=5,
        redis_database=3,
        redis_username="u",
        redis_password="p",
        redis_ssl=True,
        redis_ssl_verify=False,
        redis_server_name="h",
    )
    assert redis_record(made.config) == Redis(
        host="h",
        port=1,
        timeout=5,
        database=3,
        username="u",
        password="p",
        ssl=True,
        ssl_verify=False,
        server_name="h",
    )


def test_older_spellings_are_checked_as_the_record():
    with pytest.raises(ConfigError, match="redis_timeout: got 0, expected a number above 0"):
        Count(redis_timeout=0)


def test_both_spellings_may_say_the_same():
    Count(policy="redis", redis={"host": "h"}, redis_host="h")


def test_spellings_that_differ_are_refused_and_secrets_not_shown():
    with pytest.raises(ConfigError) as caught:
        Count(policy="redis", redis={"host": "h", "password": "s1"}, redis_password="s2")
    assert str(caught.value) == (
        "Count: redis_password: given beside redis.password, expected only one of the two"
    )


# -- which store --------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """Stores in memory instead of Redis, as they are opened: (url, timeout, store)."""
    made = []

    def fake(url, *, clock, timeout):
        made.append((url, timeout, open_store("memory://", clock=clock)))
        return made[-1][2]

    monkeypatch.setattr(counting, "open_store", fake)
    return made


def test_local_policy_counts_in_the_gateway_store():
    wrapped = gateway(Count())
    assert get(wrapped).headers["X-Count"] == "1"
    assert wrapped.runtime.store.count("all") == 1


def test_redis_policy_opens_its_own_store_when_the_worker_starts(opened):
    wrapped = gateway(Count(policy="redis", redis={"host": "h", "timeout": 500}))
    assert len(opened) == 1  # to check the record, and closed again
    assert get(wrapped).headers["X-Count"] == "1"
    url, timeout, store = opened[1]
    assert (url, timeout, store.count("all")) == ("redis://h:6379/0", 0.5, 1)
    assert wrapped.runtime.store.count("all") == 0


def test_redis_store_is_closed_with_the_plugin(opened):
    wrapped = gateway(Count(policy="redis", redis={"host": "h"}))
    get(wrapped)
    wrapped.stop()
    with pytest.raises(StoreError, match="closed"):
        opened[1][2].count("all")


def test_plugin_without_a_store_of_its_own_closes_nothing():
    wrapped = gateway(Count())
    get(wrapped)
    wrapped.stop()


def test_redis_that_cannot_be_used_is_an_error_of_the_configuration(monkeypatch):
    def fake(url, **options):
        raise ConfigError(
            "store", "got 'redis://h', but redis-py is not installed", "pip install 'plugmw[redis]'"
        )

    monkeypatch.setattr(counting, "open_store", fake)
    with pytest.raises(ConfigError, match=r"redis: got 'redis://h', but redis-py is not .* pip install"):
        gateway(Count(policy="redis", redis={"host": "h"}))


class Down:
    def incr(self, key):
        raise StoreError("redis://h:6379/0", "is down")


@pytest.fixture
def clock():
    return Clock(1000.0)


def serve(plugin, clock):
    from plugmw import Gateway
    from plugmw.testing import hello_app

    return Gateway(hello_app, plugins=[plugin], store=Down(), clock=clock)


def test_outage_lets_requests_pass_if_tolerated(clock):
    answer = get(serve(Count(), clock))
    assert (answer.status_code, answer.text) == (200, "hello")


def test_outage_refuses_requests_if_not_tolerated(clock):
    answer = get(serve(Count(fault_tolerant=False), clock))
    assert answer.status_code == 500
    assert answer.json["message"] == "An unexpected error occurred"


@pytest.mark.parametrize(("tolerant", "effect"), [(True, "pass uncounted"), (False, "are refused")])
def test_outage_is_logged_once_a_minute(clock, caplog, tolerant, effect):
    wrapped = serve(Count(fault_tolerant=tolerant), clock)
    with caplog.at_level(logging.ERROR):
        for now in (1000, 1001, 1059.9, 1060, 1061, 5):
            clock.now = now
            get(wrapped)
    line = f"count: no counters, requests {effect}: redis://h:6379/0: is down"
    assert [record.getMessage() for record in caplog.records] == [line] * 3


# -- keys ---------------------------------------------------------------------------------------------


def test_entries_of_one_scope_have_one_prefix_and_others_another():
    assert key_prefix("rl", (None, None, None, None)) == "rl:"
    route = key_prefix("rl", (None, "a", None, None))
    assert route == key_prefix("rl", (None, "a", None, None)) != key_prefix("rl", (None, None, "a", None))
    assert route.startswith("rl:")
    assert len(route) == len("rl:0123456789:")
