"""limits: calendar windows, the order of limits, and who a request is counted for."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from plugmw.contrib._limits import PERIODS, Windows, identity, misordered, window
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential
from plugmw.kernel.runtime import Runtime
from plugmw.stores.base import LONGEST_KEY

NOW = 1_700_000_000  # 2023-11-14 22:13:20 UTC, a Tuesday


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


WINDOWS = {
    "second": ("second", "2023-11-14T22:13:20", "2023-11-14T22:13:21"),
    "minute": ("minute", "2023-11-14T22:13:00", "2023-11-14T22:14:00"),
    "hour": ("hour", "2023-11-14T22:00:00", "2023-11-14T23:00:00"),
    "day": ("day", "2023-11-14T00:00:00", "2023-11-15T00:00:00"),
    "month": ("month", "2023-11-01T00:00:00", "2023-12-01T00:00:00"),
    "year": ("year", "2023-01-01T00:00:00", "2024-01-01T00:00:00"),
}


@pytest.mark.parametrize(("period", "start", "end"), WINDOWS.values(), ids=WINDOWS)
def test_windows_are_those_of_the_calendar(period, start, end):
    assert window(period, NOW + 0.75) == (at(start), at(end))


BORDERS = {
    "the first moment belongs to the new window": ("2024-02-01", "2024-02-01", "2024-03-01"),
    "a leap year's February has 29 days": ("2024-02-29T23:59:59", "2024-02-01", "2024-03-01"),
    "the 31st is still in its month": ("2023-12-31T23:59:59", "2023-12-01", "2024-01-01"),
}


@pytest.mark.parametrize(("moment", "start", "end"), BORDERS.values(), ids=BORDERS)
def test_months_are_real(moment, start, end):
    assert window("month", at(moment)) == (at(start), at(end))


@pytest.mark.parametrize(("year", "days"), [(2023, 365), (2024, 366), (2100, 365)])
def test_years_are_real(year, days):
    start, end = window("year", at(f"{year}-07-01"))
    assert end - start == days * 86400


def test_windows_lie_within_each_other():
    edges = [window(period, at("2023-12-31T23:59:59.500")) for period in PERIODS]
    assert edges == sorted(edges, key=lambda edge: (edge[0], edge[1]), reverse=True)
    assert len({end for _, end in edges}) == 1


def test_windows_are_given_with_the_end_of_the_key_their_length_and_their_end():
    assert Windows(["minute", "month"]).at(NOW) == [
        (":1699999980M", 60, 1700000040),
        (":1698796800m", 30 * 86400, 1701388800),
    ]


def test_windows_of_all_periods_have_different_keys_even_if_they_start_together():
    assert len({mark for mark, _, _ in Windows(PERIODS).at(at("2024-01-01"))}) == 6


def test_windows_are_worked_out_once_while_they_last():
    windows = Windows(["second", "hour"])
    assert windows.at(NOW) is windows.at(NOW + 0.9)


@pytest.mark.parametrize("step", [1, -1, -0.1, 3600])
def test_windows_follow_the_clock_forth_and_back(step):
    windows = Windows(["second", "hour"])
    windows.at(NOW)
    assert windows.at(NOW + step) == Windows(["second", "hour"]).at(NOW + step)


ORDERS = {
    "rising": ({"second": 1, "minute": 2, "year": 3}, []),
    "equal": ({"second": 1, "hour": 1}, []),
    "unset between": (
        {"second": 20, "minute": None, "hour": 10},
        ["limit for hour(10.0) cannot be lower than the limit for second(20.0)"],
    ),
    "twice": (
        {"second": 3, "minute": 2, "hour": 1},
        [
            "limit for minute(2.0) cannot be lower than the limit for second(3.0)",
            "limit for hour(1.0) cannot be lower than the limit for minute(2.0)",
        ],
    ),
}


@pytest.mark.parametrize(("limits", "problems"), ORDERS.values(), ids=ORDERS)
def test_limits_that_could_never_be_reached_are_told(limits, problems):
    assert list(misordered(limits)) == problems


# -- who asks -----------------------------------------------------------------------------------------


def exchange(service=None, consumer=None, credential=None, **environ):
    of_service = type("OfService", (Exchange,), {"runtime": Runtime(), "service": service})
    environ = {"REMOTE_ADDR": "10.0.0.1", "SCRIPT_NAME": "", "PATH_INFO": "/", **environ}
    x = of_service(environ, None)
    x.environ["plugmw.consumer"] = consumer
    x.environ["plugmw.credential"] = credential
    return x


BOB = Consumer(id="bob")
KEY = Credential(id="key1", consumer_id="bob")

NAMES = {
    "consumer": ("consumer", {"consumer": BOB, "credential": KEY}, "c:bob"),
    "credential of nobody": ("consumer", {"credential": KEY}, "k:key1"),
    "neither": ("consumer", {}, "i:10.0.0.1"),
    "credential": ("credential", {"consumer": BOB, "credential": KEY}, "k:key1"),
    "no credential": ("credential", {"consumer": BOB}, "i:10.0.0.1"),
    "ip": ("ip", {"consumer": BOB, "credential": KEY}, "i:10.0.0.1"),
    "mapped ip": ("ip", {"REMOTE_ADDR": "::ffff:10.0.0.1"}, "i:10.0.0.1"),
    "unix socket": ("ip", {"REMOTE_ADDR": ""}, "i:None"),
    "service": ("service", {"service": "shop"}, "s:shop"),
    "no service": ("service", {}, "i:10.0.0.1"),
}


@pytest.mark.parametrize(("limit_by", "given", "name"), NAMES.values(), ids=NAMES)
def test_names_who_asks(limit_by, given, name):
    assert identity(limit_by)(exchange(**given)) == name


HEADERS = {
    "value": ("acme", "h:acme"),
    "first of several fields": ("acme,other", "h:acme"),
    "blanks round it": (" acme , other", "h:acme"),
    "blank": (" ", "i:10.0.0.1"),
    "empty first field": (",other", "i:10.0.0.1"),
    "an address is not the client of that address": ("10.0.0.1", "h:10.0.0.1"),
}


@pytest.mark.parametrize(("value", "name"), HEADERS.values(), ids=HEADERS)
def test_names_by_header(value, name):
    assert identity("header", header_name="X-Tenant")(exchange(HTTP_X_TENANT=value)) == name


def test_names_by_header_without_the_header_is_the_address():
    assert identity("header", header_name="X-Tenant")(exchange()) == "i:10.0.0.1"


def test_long_header_values_are_hashed():
    name = identity("header", header_name="X-Tenant")
    one, two = (name(exchange(HTTP_X_TENANT="a" * 10_000 + end)) for end in "12")
    assert one != two
    assert len(one) <= LONGEST_KEY + 2


PATHS = {
    "the path": ("/a", {"PATH_INFO": "/a"}, "p:/a"),
    "normalised": ("/a", {"PATH_INFO": "//x/../a"}, "p:/a"),
    "mounted": ("/a/b", {"SCRIPT_NAME": "/a", "PATH_INFO": "/b"}, "p:/a/b"),
    "configured in another spelling": ("/x/../a", {"PATH_INFO": "/a"}, "p:/a"),
    "outside ASCII": ("/ä", {"PATH_INFO": "/Ã¤"}, "p:/Ã¤"),
    "below it": ("/a", {"PATH_INFO": "/a/b"}, "i:10.0.0.1"),
    "another": ("/a", {"PATH_INFO": "/b"}, "i:10.0.0.1"),
}


@pytest.mark.parametrize(("path", "given", "name"), PATHS.values(), ids=PATHS)
def test_names_by_path(path, given, name):
    assert identity("path", path=path)(exchange(**given)) == name
