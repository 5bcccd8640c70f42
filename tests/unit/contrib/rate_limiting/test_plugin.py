"""rate-limiting: configuration, counting, and through an app."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugmw import ConfigError, Entry, Gateway, Plugin
from plugmw.contrib import _counter_store as counting
from plugmw.contrib.rate_limiting import RateLimiting
from plugmw.errors import StoreError
from plugmw.kernel.identity import Consumer, Credential
from plugmw.schema import json_schema
from plugmw.stores import open_store
from plugmw.stores.base import LONGEST_KEY
from plugmw.testing import get, hello_app
from tests.support.clock import Clock

LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
NOW = 1_700_000_000  # 22:13:20 UTC: 40 s of the minute and 2800 s of the hour are left


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def serve(clock):
    """Put plugins into a gateway with the fake clock."""

    def make(*plugins, app=hello_app, store=None, **config):
        config = {"store": "memory://", **config}
        return Gateway(app, config, plugins=plugins, clock=clock, store=store)

    return make


def limits(answer):
    """Return the status and the headers about limits."""
    names = [name for name, _ in answer.headers if "ratelimit" in name.lower() or name == "Retry-After"]
    return answer.status_code, {name: answer.headers[name] for name in names}


def statuses(wrapped, count, **request):
    return [get(wrapped, **request).status_code for _ in range(count)]


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "no limit": (
        {},
        "at least one of these fields must be non-empty: 'second', 'minute', 'hour', 'day', 'month', 'year'",
    ),
    "zero": ({"minute": 0}, "minute: got 0, expected a number above 0"),
    "text": ({"minute": "5"}, "minute: got '5', expected a number"),
    "longer period with less": (
        {"second": 20, "hour": 10},
        "The limit for hour(10.0) cannot be lower than the limit for second(20.0)",
    ),
    "header without a name": ({"second": 1, "limit_by": "header"}, "header_name: required field missing"),
    "header with a bad name": ({"second": 1, "header_name": "a b"}, "header_name: got 'a b'"),
    "path without a path": ({"second": 1, "limit_by": "path"}, "path: required field missing"),
    "path that is none": ({"second": 1, "path": "a"}, "path: got 'a', expected a path that starts with /"),
    "unknown identity": (
        {"second": 1, "limit_by": "phase"},
        "limit_by: got 'phase', expected one of consumer,",
    ),
    "unknown policy": (
        {"second": 1, "policy": "cluster"},
        "policy: got 'cluster', expected one of local, redis",
    ),
    "status of success": ({"second": 1, "error_code": 200}, "error_code: got 200"),
    "sync_rate without redis": (
        {"second": 1, "sync_rate": 1},
        "sync_rate: sync_rate can only be used with the redis policy",
    ),
    "sync_rate too fast": (
        {"second": 1, "policy": "redis", "redis": {"host": "h"}, "sync_rate": 0.01},
        "sync_rate: got 0.01, expected -1 or at least 0.02 seconds",
    ),
    "redis without a host": ({"second": 1, "policy": "redis"}, "redis.host: required field missing"),
    "misspelt": ({"minutes": 1}, 'unknown field "minutes"; did you mean "minute"?'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        RateLimiting(**config)
    assert message in str(caught.value)


GOOD = {
    "one limit": {"year": 1},
    "rising limits": {"second": 1, "minute": 1, "hour": 2.5},
    "redis": {"second": 1, "policy": "redis", "redis": {"host": "h"}, "sync_rate": 0.02},
    "redis in its older spelling": {"second": 1, "policy": "redis", "redis_host": "h", "redis_port": 1},
}


@pytest.mark.parametrize("config", GOOD.values(), ids=GOOD)
def test_takes_a_good_configuration(config):
    RateLimiting(**config)


def test_describes_itself():
    assert json_schema(RateLimiting.Config)["properties"]["minute"]["anyOf"][0] == {
        "type": "number",
        "exclusiveMinimum": 0,
    }


# -- counting: one limit, several, borders ------------------------------------------------------------


def test_six_a_minute_leave_5_to_0_and_then_429(serve):
    wrapped = serve(RateLimiting(minute=6))
    for left in (5, 4, 3, 2, 1, 0):
        trio = {"RateLimit-Limit": "6", "RateLimit-Remaining": str(left), "RateLimit-Reset": "40"}
        assert limits(get(wrapped)) == (
            200,
            {"X-RateLimit-Limit-Minute": "6", "X-RateLimit-Remaining-Minute": str(left), **trio},
        )
    status, headers = limits(get(wrapped))
    assert (status, headers["RateLimit-Remaining"], headers["Retry-After"]) == (429, "0", "40")


def test_refusal_is_json_with_the_message(serve):
    wrapped = serve(RateLimiting(minute=1))
    get(wrapped)
    assert get(wrapped).json["message"] == "API rate limit exceeded"


def test_two_limits_show_both_and_the_tighter_one(serve):
    wrapped = serve(RateLimiting(minute=6, hour=99999))
    answers = [limits(get(wrapped)) for _ in range(7)]
    assert answers[0] == (
        200,
        {
            "X-RateLimit-Limit-Minute": "6",
            "X-RateLimit-Remaining-Minute": "5",
            "X-RateLimit-Limit-Hour": "99999",
            "X-RateLimit-Remaining-Hour": "99998",
            "RateLimit-Limit": "6",
            "RateLimit-Remaining": "5",
            "RateLimit-Reset": "40",
        },
    )
    status, headers = answers[6]
    # The refused request is not counted: the hour stands where the sixth request left it.
    assert (status, headers["X-RateLimit-Remaining-Hour"], headers["Retry-After"]) == (429, "99993", "40")


def test_refused_requests_are_not_counted(serve, clock):
    wrapped = serve(RateLimiting(minute=1, hour=3))
    found = []
    for offset in (0, 0, 0, 40, 100, 160):
        clock.now = NOW + offset
        status, headers = limits(get(wrapped))
        found.append((status, headers["X-RateLimit-Remaining-Hour"], headers.get("Retry-After")))
    assert found == [
        (200, "2", None),
        (429, "2", "40"),
        (429, "2", "40"),
        (200, "1", None),
        (200, "0", None),
        (429, "0", "2640"),
    ]
    assert headers["X-RateLimit-Remaining-Minute"] == "1"


TIES = {
    "same limits": ({"minute": 2, "hour": 2}, 1, "2800"),
    "both used up": ({"minute": 2, "hour": 2}, 3, "2800"),
    "shorter one is tighter": ({"minute": 2, "hour": 3}, 1, "40"),
}


@pytest.mark.parametrize(("config", "requests", "reset"), TIES.values(), ids=TIES)
def test_of_equally_tight_periods_the_longer_one_is_told(serve, config, requests, reset):
    wrapped = serve(RateLimiting(**config))
    for _ in range(requests):
        _, headers = limits(get(wrapped))
    assert headers["RateLimit-Reset"] == reset
    assert headers.get("Retry-After", reset) == reset


def test_reset_counts_whole_seconds_and_never_0(serve, clock):
    wrapped = serve(RateLimiting(second=9))
    clock.now = NOW + 0.999
    assert limits(get(wrapped))[1]["RateLimit-Reset"] == "1"


def test_month_resets_at_its_real_end(serve, clock):
    clock.now = 1_704_067_200 - 10  # ten seconds before 2024, on the 31st
    wrapped = serve(RateLimiting(month=1, year=9))
    assert limits(get(wrapped))[1]["RateLimit-Reset"] == "10"
    clock.now += 10
    assert get(wrapped).status_code == 200


def test_a_new_window_has_the_whole_quota(serve, clock):
    wrapped = serve(RateLimiting(minute=1))
    assert statuses(wrapped, 2) == [200, 429]
    clock.now += 39.9
    assert statuses(wrapped, 1) == [429]
    clock.now += 0.1
    assert statuses(wrapped, 2) == [200, 429]


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_jump_of_the_clock_locks_nobody_for_longer_than_a_window(serve, clock, jump):
    wrapped = serve(RateLimiting(minute=1))
    assert statuses(wrapped, 2) == [200, 429]
    clock.now += jump
    assert statuses(wrapped, 2) == [200, 429]
    clock.now += 60
    assert statuses(wrapped, 1) == [200]


def test_a_fraction_lets_one_more_through_and_is_told_so(serve):
    wrapped = serve(RateLimiting(minute=1.5))
    assert limits(get(wrapped))[1]["RateLimit-Limit"] == "2"
    assert statuses(wrapped, 2) == [200, 429]


def test_concurrent_requests_never_pass_together(serve):
    wrapped = serve(RateLimiting(minute=20))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: get(wrapped).status_code, range(64)))
    assert found.count(200) == 20


# -- counting: for whom -------------------------------------------------------------------------------


class Login(Plugin):
    """Authenticates by X-Consumer-Name and X-Key, for the tests."""

    name, priority = "login", 1000

    def access(self, x):
        who, key = x.get_header("X-User"), x.get_header("X-Key")
        consumer = Consumer(id=f"id-of-{who}", username=who) if who else None
        x.authenticate(consumer, Credential(id=key, consumer_id="") if key else None)


BOB1, BOB2 = {"X-User": "Bob", "X-Key": "1"}, {"X-User": "Bob", "X-Key": "2"}
ALICE, KEY1 = {"X-User": "Alice", "X-Key": "3"}, {"X-Key": "1"}

BUCKETS = {
    "consumer: one for two keys": ("consumer", BOB1, BOB2, True),
    "consumer: one each": ("consumer", BOB1, ALICE, False),
    "consumer: a credential of nobody": ("consumer", KEY1, {"X-Key": "2"}, False),
    "consumer: nobody shares the address": ("consumer", {}, {"X-Other": "1"}, True),
    "credential: one per key": ("credential", BOB1, BOB2, False),
    "ip: one for all": ("ip", BOB1, ALICE, True),
    "header: one per value": ("header", {"X-Tenant": "a"}, {"X-Tenant": "b"}, False),
    "header: one for a value": ("header", {"X-Tenant": "a"}, {"X-Tenant": "a", **BOB1}, True),
    "header: without it the address": ("header", {}, {"X-Tenant": "i:127.0.0.1"}, False),
}


@pytest.mark.parametrize(("limit_by", "first", "second", "shared"), BUCKETS.values(), ids=BUCKETS)
def test_quotas_are_shared_by(serve, limit_by, first, second, shared):
    wrapped = serve(Login(), RateLimiting(minute=1, limit_by=limit_by, header_name="X-Tenant"))
    assert get(wrapped, headers=first, environ=LOCAL).status_code == 200
    assert get(wrapped, headers=second, environ=LOCAL).status_code == (429 if shared else 200)


def test_without_a_consumer_each_address_has_its_quota(serve):
    wrapped = serve(RateLimiting(minute=1))
    found = [get(wrapped, environ={"REMOTE_ADDR": f"127.0.0.{n}"}).status_code for n in (1, 1, 2)]
    assert found == [200, 429, 200]


def test_address_is_the_one_a_trusted_peer_tells(serve):
    trust = {"trusted": ["0.0.0.0/0", "::/0"], "real_ip_header": "X-Real-IP"}
    wrapped = serve(RateLimiting(minute=1, limit_by="ip"), **trust)
    answers = [get(wrapped, headers={"X-Real-IP": f"10.1.1.{n}"}, environ=LOCAL) for n in (1, 2, 1)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_address_an_untrusted_peer_tells_does_not_count(serve):
    wrapped = serve(RateLimiting(minute=1, limit_by="ip"))
    answers = [get(wrapped, headers={"X-Forwarded-For": f"10.1.1.{n}"}, environ=LOCAL) for n in (1, 2)]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_path_has_a_quota_of_its_own(serve):
    wrapped = serve(RateLimiting(minute=6, limit_by="path", path="/1-test"))
    assert statuses(wrapped, 7, path="/1-test") == [200] * 6 + [429]
    assert statuses(wrapped, 1, path="/x/..//1-test") == [429]
    assert statuses(wrapped, 1, path="/1-test;x") == [429]
    assert statuses(wrapped, 7, path="/2-test") == [200] * 6 + [429]


ROUTES = {"routes": [{"name": name, "paths": [f"/{name}"], "service": f"s-{name}"} for name in "ab"]}

SCOPES = {
    "one entry for two services": ([{}], "consumer", True),
    "one entry, by service": ([{}], "service", False),
    "an entry per route": ([{"route": "a"}, {"route": "b"}], "consumer", False),
    "an entry per service": ([{"service": "s-a"}, {"service": "s-b"}], "consumer", False),
}


@pytest.mark.parametrize(("entries", "limit_by", "shared"), SCOPES.values(), ids=SCOPES)
def test_entries_of_different_scope_count_apart(serve, entries, limit_by, shared):
    plugins = [Entry(RateLimiting(minute=1, limit_by=limit_by), **entry) for entry in entries]
    wrapped = serve(*plugins, **ROUTES)
    found = [get(wrapped, path=path).status_code for path in ("/a", "/b", "/a")]
    assert found == ([200, 429, 429] if shared else [200, 200, 429])


def test_instances_count_apart_and_show_the_inner_headers(serve):
    short, long = RateLimiting(minute=9), RateLimiting(minute=3, limit_by="ip")
    wrapped = serve(short, Entry(long, instance="by address", priority=1))
    _, headers = limits(get(wrapped))
    assert headers["RateLimit-Remaining"] == "2"
    assert get(wrapped).headers.getlist("RateLimit-Limit") == ["3"]


def test_counts_go_on_after_a_reload(serve):
    store = open_store("memory://", clock=lambda: NOW)
    config = {"plugins": [{"name": "rate-limiting", "route": "a", "config": {"minute": 1}}], **ROUTES}
    found = [get(serve(store=store, **config), path="/a").status_code for _ in range(2)]
    assert found == [200, 429]


def test_usual_keys_are_short_enough_to_be_read_in_the_store(serve):
    class Seen:
        keys = ()

        def take(self, wants):
            self.keys = [key for key, _, _ in wants]
            return True, [1] * len(wants)

    class Login(Plugin):
        name, priority = "login", 1000

        def access(self, x):
            x.authenticate(Consumer(id="00000029-0000-4000-8000-000000000029"), None)

    seen = Seen()
    wrapped = serve(Login(), Entry(RateLimiting(second=1, year=1), route="a"), store=seen, **ROUTES)
    get(wrapped, path="/a")
    assert len(set(seen.keys)) == 2
    assert all(len(key) <= LONGEST_KEY for key in seen.keys)


# -- phases: what the client sees ---------------------------------------------------------------------


def test_hidden_headers_hide_retry_after_too(serve):
    wrapped = serve(RateLimiting(minute=1, hide_client_headers=True))
    assert [limits(get(wrapped)) for _ in range(2)] == [(200, {}), (429, {})]


def test_refusal_uses_the_configured_status_and_message(serve):
    wrapped = serve(RateLimiting(minute=1, error_code=403, error_message="Slow <down>"))
    get(wrapped)
    answer = get(wrapped, headers={"Accept": "text/html"})
    assert (answer.status_code, "Slow &lt;down&gt;" in answer.text) == (403, True)


def test_app_is_not_called_when_refused(serve):
    calls = []

    def app(environ, start_response):
        calls.append(environ)
        return hello_app(environ, start_response)

    wrapped = serve(RateLimiting(minute=1), app=app)
    statuses(wrapped, 3)
    assert len(calls) == 1


def test_headers_go_on_an_error_of_the_app_in_place_of_its_own(serve):
    def app(environ, start_response):
        start_response("503 Service Unavailable", [("ratelimit-limit", "1"), ("Content-Length", "0")])
        return []

    answer = get(serve(RateLimiting(minute=6), app=app))
    assert (answer.status_code, answer.headers.getlist("RateLimit-Limit")) == (503, ["6"])


def test_headers_go_on_a_refusal_of_a_later_plugin(serve):
    class Refuse(Plugin):
        name = "refuse"

        def access(self, x):
            x.fail(403)

    answer = get(serve(RateLimiting(minute=6), Refuse()))
    assert (answer.status_code, answer.headers["RateLimit-Remaining"]) == (403, "5")


# -- stores -------------------------------------------------------------------------------------------


class Down:
    def take(self, wants):
        raise StoreError("redis://h:6379/0", "is down")


def test_store_that_is_down_lets_requests_pass_without_headers(serve, caplog):
    wrapped = serve(RateLimiting(minute=1), store=Down())
    with caplog.at_level(logging.ERROR):
        assert [limits(get(wrapped)) for _ in range(3)] == [(200, {})] * 3
    assert len(caplog.records) == 1


def test_store_that_is_down_refuses_requests_if_not_tolerated(serve):
    answer = get(serve(RateLimiting(minute=1, fault_tolerant=False), store=Down()))
    assert limits(answer) == (500, {})
    assert answer.json["message"] == "An unexpected error occurred"


def test_full_store_is_one_that_is_down(serve):
    wrapped = serve(RateLimiting(minute=9, fault_tolerant=False), store="memory://?keys=1")
    found = [get(wrapped, environ={"REMOTE_ADDR": f"10.0.0.{n}"}).status_code for n in (1, 2, 1)]
    assert found == [200, 500, 200]


@pytest.fixture
def redis(monkeypatch, clock):
    """One store in memory in place of every Redis."""
    store = open_store("memory://", clock=clock)
    store.close = lambda: None
    monkeypatch.setattr(counting, "open_store", lambda url, **options: store)
    return store


def redis_limits(**config):
    return RateLimiting(policy="redis", redis={"host": "h"}, **config)


def test_redis_counts_refused_requests_in_all_periods(serve, redis):
    wrapped = serve(redis_limits(minute=1, hour=9))
    found = [limits(get(wrapped)) for _ in range(3)]
    assert [status for status, _ in found] == [200, 429, 429]
    # The second request is not shown in the hour, but counted: the third one sees it.
    assert [headers["X-RateLimit-Remaining-Hour"] for _, headers in found] == ["8", "8", "7"]
    assert [headers["X-RateLimit-Remaining-Minute"] for _, headers in found] == ["0", "0", "0"]


def test_redis_is_shared_by_gateways(serve, redis):
    found = [get(serve(redis_limits(minute=1))).status_code for _ in range(2)]
    assert found == [200, 429]


def test_sync_rate_counts_in_the_worker_and_writes_when_it_ends(serve, redis):
    wrapped = serve(redis_limits(minute=2, hour=9, sync_rate=3600))
    found = [limits(get(wrapped, environ=LOCAL)) for _ in range(3)]
    assert [status for status, _ in found] == [200, 200, 429]
    assert found[2][1]["X-RateLimit-Remaining-Hour"] == "7"
    assert redis.count(f"rl:i:127.0.0.1:{NOW - 20}M") == 0
    wrapped.stop()
    assert redis.count(f"rl:i:127.0.0.1:{NOW - 20}M") == 2


def test_nothing_is_left_to_write_without_sync_rate(serve, redis):
    wrapped = serve(redis_limits(minute=2))
    get(wrapped, environ=LOCAL)
    assert redis.count(f"rl:i:127.0.0.1:{NOW - 20}M") == 1
    wrapped.stop()
    assert redis.count(f"rl:i:127.0.0.1:{NOW - 20}M") == 1
