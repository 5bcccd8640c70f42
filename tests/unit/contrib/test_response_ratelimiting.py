"""response-ratelimiting: configuration, what is told, counting, and the verdict."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugmw import ConfigError, Entry, Gateway
from plugmw.contrib.response_ratelimiting import MOST_PAIRS, ResponseRateLimiting, parse_usage
from plugmw.errors import StoreError
from plugmw.schema import json_schema
from plugmw.stores import open_store
from plugmw.testing import get
from tests.support.clock import Clock
from tests.support.plugins import made
from tests.support.wsgi import environ_of, serve

NOW = 1_700_000_000


@pytest.fixture
def clock():
    return Clock(NOW)


class App:
    """Answers with what it is told to report; keeps the environs it saw."""

    def __init__(self):
        self.saw = []
        self.closed = 0

    def close(self):
        self.closed += 1

    def __iter__(self):
        return iter([b"hello"])

    def __call__(self, environ, start_response):
        self.saw.append(environ)
        fields = [("X-Usage-Limit", value) for value in environ.get("test.usage", ())]
        start_response("200 OK", [("Content-Type", "text/plain"), *fields])
        return self


@pytest.fixture
def app():
    return App()


@pytest.fixture
def serve_(clock, app):
    """Put plugins into a gateway with the fake clock; return what asks it for a usage."""

    def make(*plugins, store=None, **config):
        wrapped = Gateway(app, {"store": "memory://", **config}, plugins=plugins, clock=clock, store=store)

        def ask(*usage, path="/", **environ):
            return get(wrapped, path=path, environ={"test.usage": usage, **environ})

        return ask

    return make


def told(answer):
    """Return the status and what the headers tell."""
    found = {name: value for name, value in answer.headers if name.lower().startswith("x-")}
    return answer.status_code, found


# -- config -------------------------------------------------------------------------------------------

ONE = {"video": {"minute": 1}}
BAD = {
    "no limits": ({}, "limits: missing, expected at least one item"),
    "no name": ({"limits": {}}, "limits: got {}, expected at least one item"),
    "no period": ({"limits": {"video": {}}}, "limits.video: at least one of these fields must be non-empty"),
    "unknown period": ({"limits": {"video": {"seco": 1}}}, 'limits.video.seco: unknown field "seco"'),
    "zero": ({"limits": {"video": {"second": 0}}}, "limits.video.second: got 0, expected a number above 0"),
    "longer period with less": (
        {"limits": {"video": {"second": 2, "minute": 1}}},
        "limits.video: the limit for minute(1.0) cannot be lower than the limit for second(2.0)",
    ),
    "name that fits into no header": (
        {"limits": {"a b": {"second": 1}}},
        "limits: got 'a b', expected a name that can be part of a header's",
    ),
    "unknown identity": (
        {"limits": ONE, "limit_by": "path"},
        "limit_by: got 'path', expected one of consumer, credential, ip",
    ),
    "unknown policy": ({"limits": ONE, "policy": "cluster"}, "policy: got 'cluster'"),
    "redis without a host": ({"limits": ONE, "policy": "redis"}, "redis.host: required field missing"),
    "no sync_rate": ({"limits": ONE, "sync_rate": 1}, 'unknown field "sync_rate"'),
    "bad header": ({"limits": ONE, "header_name": "a b"}, "header_name: got 'a b', expected a header name"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        ResponseRateLimiting(**config)
    assert message in str(caught.value)


def test_describes_itself():
    schema = json_schema(ResponseRateLimiting.Config)
    assert schema["required"] == ["limits"]
    assert schema["properties"]["limits"]["additionalProperties"]["additionalProperties"] is False


# -- the usage header ---------------------------------------------------------------------------------

USAGES = {
    "pairs": (["video=2, image=1"], {"video": 2, "image": 1}),
    "several fields": (["video=2", "image=1"], {"video": 2, "image": 1}),
    "blanks": ([" video = 2 ,image=1"], {"video": 2, "image": 1}),
    "unknown name": (["other=1,video=2"], {"video": 2}),
    "no number": (["video=x, image=1.5"], {}),
    "negative": (["video=-5"], {}),
    "signed": (["video=+5"], {}),
    "other digits": (["video=٣"], {}),
    "two signs": (["video=1=2"], {}),
    "no sign": (["video"], {}),
    "too large": (["video=" + "9" * 16], {}),
    "large": (["video=" + "9" * 15], {"video": 10**15 - 1}),
    "the last counts": (["video=1,video=2"], {"video": 2}),
    "zero": (["video=0"], {"video": 0}),
    "empty": (["", ","], {}),
    "bounded": ([",".join(["a=1"] * MOST_PAIRS + ["video=1"])], {}),
}


@pytest.mark.parametrize(("fields", "used"), USAGES.values(), ids=USAGES)
def test_reads_the_usage(fields, used):
    assert parse_usage(fields, ["video", "image"]) == used


def test_a_hostile_usage_is_read_in_no_time():
    start = time.perf_counter()
    parse_usage([" " * 100_000 + "x" * 100_000, "=" * 100_000], ["video"])
    assert time.perf_counter() - start < 1


# -- what is told -------------------------------------------------------------------------------------

VIDEO = {"video": {"second": 6, "minute": 12}, "image": {"second": 5}}


def test_tells_the_client_what_is_left_after_this_response(serve_):
    ask = serve_(ResponseRateLimiting(limits=VIDEO))
    assert told(ask("video=2, image=1")) == (
        200,
        {
            "X-RateLimit-Limit-video-second": "6",
            "X-RateLimit-Remaining-video-second": "4",
            "X-RateLimit-Limit-video-minute": "12",
            "X-RateLimit-Remaining-video-minute": "10",
            "X-RateLimit-Limit-image-second": "5",
            "X-RateLimit-Remaining-image-second": "4",
        },
    )


def test_tells_the_app_what_was_left_before_it(serve_, app):
    ask = serve_(ResponseRateLimiting(limits=VIDEO))
    for usage in ("", "video=2, image=1", ""):
        ask(usage, HTTP_X_RATELIMIT_REMAINING_VIDEO="999")
    names = ("HTTP_X_RATELIMIT_REMAINING_VIDEO", "HTTP_X_RATELIMIT_REMAINING_IMAGE")
    assert [[environ[name] for name in names] for environ in app.saw] == [["6", "5"], ["6", "5"], ["4", "4"]]


def test_hidden_headers_are_hidden_from_the_client_only(serve_, app):
    ask = serve_(ResponseRateLimiting(limits=VIDEO, hide_client_headers=True))
    assert told(ask("video=1")) == (200, {})
    assert app.saw[0]["HTTP_X_RATELIMIT_REMAINING_VIDEO"] == "6"


def test_the_header_may_have_another_name(serve_):
    ask = serve_(ResponseRateLimiting(limits=ONE, header_name="x-kong-limit"))
    status, headers = told(ask("video=1"))
    assert (status, headers["X-RateLimit-Remaining-video-minute"], headers["X-Usage-Limit"]) == (
        200,
        "1",
        "video=1",
    )


def test_a_fraction_lets_one_more_through(serve_):
    ask = serve_(ResponseRateLimiting(limits={"video": {"minute": 1.5}}))
    assert [ask("video=1").status_code for _ in range(3)] == [200, 200, 429]


# -- the verdict --------------------------------------------------------------------------------------


def test_a_response_that_uses_what_is_used_up_becomes_an_empty_429(serve_, app):
    ask = serve_(ResponseRateLimiting(limits={"video": {"minute": 6}, "image": {"minute": 4}}))
    for _ in range(3):
        assert ask("video=2").status_code == 200
    answer = ask("video=2, image=1")
    status, headers = told(answer)
    assert (status, answer.data, answer.headers["Content-Length"]) == (429, b"", "0")
    assert headers["X-RateLimit-Remaining-video-minute"] == "0"
    assert app.closed == 4
    # Nothing of it was counted, also not what had quota left.
    assert told(ask())[1]["X-RateLimit-Remaining-image-minute"] == "4"


def test_a_response_that_uses_nothing_always_passes(serve_):
    ask = serve_(ResponseRateLimiting(limits=ONE))
    ask("video=1")
    for usage in ((), ("video=0",), ("other=1",)):
        status, headers = told(ask(*usage))
        assert (status, headers["X-RateLimit-Remaining-video-minute"]) == (200, "0")


def test_more_than_is_left_may_be_used_once(serve_):
    ask = serve_(ResponseRateLimiting(limits={"video": {"minute": 6}}))
    status, headers = told(ask("video=10"))
    assert (status, headers["X-RateLimit-Remaining-video-minute"]) == (200, "0")
    assert ask("video=1").status_code == 429


def test_any_period_that_is_used_up_blocks(serve_, clock):
    ask = serve_(ResponseRateLimiting(limits={"video": {"second": 1, "minute": 2}}))
    found = []
    for _ in range(3):
        found += [ask("video=1").status_code, ask("video=1").status_code]
        clock.now += 1
    assert found == [200, 429, 200, 429, 429, 429]


def test_a_new_window_has_the_whole_quota(serve_, clock):
    ask = serve_(ResponseRateLimiting(limits=ONE))
    assert [ask("video=1").status_code for _ in range(2)] == [200, 429]
    clock.now += 60
    assert ask("video=1").status_code == 200


def test_the_time_is_taken_once(serve_, clock, app):
    ask = serve_(ResponseRateLimiting(limits=ONE))
    original = App.__call__

    def slow(self, environ, start_response):
        clock.now += 60
        return original(self, environ, start_response)

    App.__call__ = slow
    try:
        ask("video=1")
    finally:
        App.__call__ = original
    # It was counted in the minute in which the request began.
    assert told(ask())[1]["X-RateLimit-Remaining-video-minute"] == "1"
    clock.now -= 60
    assert told(ask())[1]["X-RateLimit-Remaining-video-minute"] == "0"


def test_blocks_before_the_app_on_the_first_violation(serve_, app):
    ask = serve_(ResponseRateLimiting(limits=VIDEO, block_on_first_violation=True))
    assert ask("video=9").status_code == 200
    answer = ask()
    assert (answer.status_code, answer.json["message"]) == (429, "API rate limit exceeded for 'video'")
    assert (len(app.saw), told(answer)[1]) == (1, {})


def test_all_six_periods_are_counted(serve_, clock):
    store = open_store("memory://", clock=clock)
    first = serve_(ResponseRateLimiting(limits={"video": {"second": 9}}), store=store)
    second = serve_(ResponseRateLimiting(limits={"video": {"minute": 9, "year": 9}}), store=store)
    first("video=3")
    _, headers = told(second())
    assert [headers[f"X-RateLimit-Remaining-video-{period}"] for period in ("minute", "year")] == ["6", "6"]


def test_concurrent_responses_are_all_counted(serve_):
    ask = serve_(ResponseRateLimiting(limits={"video": {"minute": 1000}}))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask("video=3"), range(64)))
    assert told(ask())[1]["X-RateLimit-Remaining-video-minute"] == str(1000 - 3 * 64)


# -- for whom -----------------------------------------------------------------------------------------


def test_each_address_has_its_quota(serve_):
    ask = serve_(ResponseRateLimiting(limits=ONE, limit_by="ip"))
    found = [ask("video=1", REMOTE_ADDR=f"127.0.0.{n}").status_code for n in (1, 1, 2)]
    assert found == [200, 429, 200]


def test_entries_of_different_scope_count_apart(serve_):
    entries = [Entry(ResponseRateLimiting(limits=ONE), route=name) for name in "ab"]
    ask = serve_(*entries, routes=[{"name": name, "paths": [f"/{name}"]} for name in "ab"])
    assert [ask("video=1", path=path).status_code for path in ("/a", "/b", "/a")] == [200, 200, 429]


# -- who answers --------------------------------------------------------------------------------------


def test_what_another_plugin_answers_uses_nothing_and_shows_no_usage(serve_):
    def leave(x):
        x.exit(200, "mine", {"X-Usage-Limit": "video=1"})

    ask = serve_(ResponseRateLimiting(limits=ONE), made("leave", 5, access=leave))
    for _ in range(2):
        assert told(ask())[1] == {
            "X-RateLimit-Limit-video-minute": "1",
            "X-RateLimit-Remaining-video-minute": "1",
        }


def test_a_request_that_ended_earlier_is_left_alone_but_for_the_usage(serve_):
    def leave(x):
        x.exit(200, "mine", {"X-Usage-Limit": "video=1"})

    ask = serve_(ResponseRateLimiting(limits=ONE), made("leave", 5000, access=leave))
    assert told(ask()) == (200, {})


def test_an_app_that_starts_again_is_counted_once(clock):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Usage-Limit", "video=1")])
        try:
            raise KeyError
        except KeyError:
            fields = [("Content-Type", "text/plain"), ("X-Usage-Limit", "video=1")]
            start_response("500 Oh", fields, sys.exc_info())
        return [b"oh"]

    config = {"store": "memory://"}
    wrapped = Gateway(
        app, config, plugins=[ResponseRateLimiting(limits={"video": {"minute": 9}})], clock=clock
    )
    result = serve(wrapped, environ_of())
    assert (result.status, result.header("X-Usage-Limit")) == ("500 Oh", None)
    assert serve(wrapped, environ_of()).raised is None


@pytest.mark.parametrize("lazy", [False, True], ids=["write", "late"])
def test_apps_of_all_kinds_are_blocked(clock, lazy):
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Usage-Limit", "video=1")])
        if not lazy:
            write(b"one")
        return []

    def late(environ, start_response):
        yield from app(environ, start_response)
        yield b"one"

    wrapped = Gateway(
        late if lazy else app,
        {"store": "memory://"},
        plugins=[ResponseRateLimiting(limits=ONE)],
        clock=clock,
    )
    found = [serve(wrapped, environ_of()) for _ in range(2)]
    assert [(one.status[:3], one.body, one.raised) for one in found] == [
        ("200", b"one", None),
        ("429", b"", None),
    ]


# -- without counters ---------------------------------------------------------------------------------


class Down:
    """A store that is down, for reading or for counting."""

    url, scope = "test://", "process"

    def __init__(self, reading=True):
        self.reading = reading

    def count(self, key):
        if self.reading:
            raise StoreError(self.url, "down")
        return 0

    def incr(self, key, amount=1, ttl=None):
        raise StoreError(self.url, "down")

    def close(self):
        pass


def test_requests_pass_without_headers_when_nothing_can_be_read(serve_, app, caplog):
    ask = serve_(ResponseRateLimiting(limits=ONE), store=Down())
    assert told(ask("video=1", HTTP_X_RATELIMIT_REMAINING_VIDEO="999")) == (200, {})
    assert "HTTP_X_RATELIMIT_REMAINING_VIDEO" not in app.saw[0]
    assert "no counters, requests pass uncounted: test://: down" in caplog.text


def test_requests_are_refused_when_nothing_can_be_read_and_that_matters(serve_, app):
    ask = serve_(ResponseRateLimiting(limits=ONE, fault_tolerant=False), store=Down())
    answer = ask("video=1")
    assert (answer.status_code, answer.json["message"]) == (500, "An unexpected error occurred")
    assert (told(answer)[1], app.saw) == ({}, [])


@pytest.mark.parametrize("tolerant", [True, False])
def test_responses_pass_when_nothing_can_be_counted(serve_, caplog, tolerant):
    ask = serve_(ResponseRateLimiting(limits=ONE, fault_tolerant=tolerant), store=Down(reading=False))
    assert ask("video=1").status_code == 200
    assert "no counters" in caplog.text


def test_a_redis_of_its_own_that_is_down_is_an_outage(serve_):
    redis = pytest.importorskip("redis", reason="redis is not installed (plugmw[redis])")
    assert redis
    server = {"host": "127.0.0.1", "port": 1, "timeout": 100}
    ask = serve_(ResponseRateLimiting(limits=ONE, policy="redis", redis=server))
    assert told(ask("video=1")) == (200, {})
