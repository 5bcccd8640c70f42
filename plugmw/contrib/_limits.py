"""What limits are counted by: calendar windows and the identity of who asks.

Windows are fixed: they start and end with the second, minute, hour, day, month and year in UTC, so at a
border two full quotas can pass in a moment. Months and years are as long as in the calendar; Kong takes
them for 30 and 365 days (``kong/plugins/rate-limiting/expiration.lua``).
"""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from plugmw.kernel.exchange import Exchange
from plugmw.stores.base import short
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.paths import normalise
from plugmw.wsgi.readings import paths
from plugmw.wsgi.text import encode

#: From the shortest to the longest; each lies within one window of the next.
PERIODS: Final = ("second", "minute", "hour", "day", "month", "year")

_LENGTHS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
#: Short names in keys, spelled as in ``strftime``.
_MARKS: Final = {"second": "S", "minute": "M", "hour": "H", "day": "d", "month": "m", "year": "y"}

#: The end of a counter's key, the length of its window in seconds, and its end since the epoch.
Window = tuple[str, int, int]
Identify = Callable[[Exchange], str]


def window(period: str, now: float) -> tuple[int, int]:
    """Return the start and the end of the window that ``now`` is in, in seconds since the epoch."""
    second = int(now // 1)
    if period in _LENGTHS:
        length = _LENGTHS[period]
        start = second - second % length
        return start, start + length
    year, month = time.gmtime(second)[:2]
    if period == "month":
        return _first(year, month), _first(year + month // 12, month % 12 + 1)
    return _first(year, 1), _first(year + 1, 1)


def _first(year: int, month: int) -> int:
    return timegm((year, month, 1, 0, 0, 0))


class Windows:
    """The windows of some periods, worked out anew only when the shortest has ended. Thread-safe."""

    def __init__(self, periods: Sequence[str]) -> None:
        self._periods = periods
        self._found: tuple[int, int, list[Window]] = (0, 0, [])

    def at(self, now: float) -> list[Window]:
        """Return the windows that ``now`` is in, in the order of the periods."""
        start, end, windows = self._found
        if not start <= now < end:
            edges = [window(period, now) for period in self._periods]
            windows = [(f":{a}{_MARKS[p]}", b - a, b) for p, (a, b) in zip(self._periods, edges)]
            # The windows lie within each other: while the shortest lasts, so do all.
            self._found = (max(a for a, _ in edges), min(b for _, b in edges), windows)
        return windows


def misordered(limits: Mapping[str, float | None]) -> Iterator[str]:
    """Say which limits are lower than one of a shorter period, and so could never be reached in it."""
    given = [(period, limit) for period in PERIODS if (limit := limits.get(period)) is not None]
    for (shorter, low), (longer, high) in pairwise(given):
        if high < low:
            yield f"limit for {longer}({high:.1f}) cannot be lower than the limit for {shorter}({low:.1f})"


# -- who asks -------------------------------------------------------------------------------------------


def identity(limit_by: str, header_name: str | None = None, path: str | None = None) -> Identify:
    """Return the function that names who a request is counted for.

    Whatever yields nothing falls back to the client address. Names begin with a letter for what they
    are, so that a header's value is never taken for another client's address or consumer.
    """
    if limit_by == "header":
        return _by_header(header_name or "")
    if limit_by == "path":
        return _by_path(path or "")
    return _PLAIN[limit_by]


def by_address(x: Exchange) -> str:
    """Name the client address; clients without one (unix sockets) share a name."""
    return f"i:{x.client_ip}"


def by_credential(x: Exchange) -> str:
    """Name the credential."""
    credential = x.credential
    return by_address(x) if credential is None else f"k:{credential.id}"


def by_consumer(x: Exchange) -> str:
    """Name the consumer, else the credential (some, as LDAP's, belong to no consumer)."""
    consumer = x.consumer
    return by_credential(x) if consumer is None else f"c:{consumer.id}"


def by_service(x: Exchange) -> str:
    """Name the service that the route belongs to."""
    return f"s:{x.service}" if x.service else by_address(x)


_PLAIN: Final[Mapping[str, Identify]] = {
    "consumer": by_consumer,
    "credential": by_credential,
    "ip": by_address,
    "service": by_service,
}


def _by_header(name: str) -> Identify:
    key = cgi_key(name)

    def by_header(x: Exchange) -> str:
        # Servers join repeated fields with commas.
        value = x.environ.get(key, "").partition(",")[0].strip()
        return f"h:{short(value)}" if value else by_address(x)

    return by_header


def _by_path(path: str) -> Identify:
    wanted = normalise(encode(path, "surrogateescape"))
    found = f"p:{short(wanted)}"

    def by_path(x: Exchange) -> str:
        # No other spelling of the path is a way round its limit.
        asked = paths(x.environ)
        return found if asked.too_many or wanted in asked.ways else by_address(x)

    return by_path
