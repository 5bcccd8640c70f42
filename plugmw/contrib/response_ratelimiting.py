"""Limit named resources by what the app says a response has used.

    plugins:
      - name: response-ratelimiting
        config:
          limits:
            video: {minute: 10}
            image: {minute: 100, hour: 1000}

The app answers with ``X-Usage-Limit: video=2, image=1``; the client sees ``X-RateLimit-Limit-video-minute``
and ``X-RateLimit-Remaining-video-minute`` instead, and the app's next request has
``X-RateLimit-Remaining-video``. A response that uses more of what is used up becomes an empty 429: the app
has worked by then, save with ``block_on_first_violation``, where requests are answered 429 "API rate limit
exceeded for 'video'" before it.

Fails open, as Kong does: without counters requests pass, unless ``fault_tolerant`` is off. Contract: Kong's
response-ratelimiting (``kong/plugins/response-ratelimiting``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, Literal

import attrs

from plugmw.contrib._counter_store import Counting, CountingConfig, key_prefix, redis_problems
from plugmw.contrib._limits import PERIODS, Window, Windows, identity, misordered
from plugmw.errors import StoreError
from plugmw.kernel.exchange import Exchange
from plugmw.schema import REQUIRED, Finding, above, as_dict, config, field, not_empty
from plugmw.schema.fields import HeaderName
from plugmw.wsgi.answer import check_header
from plugmw.wsgi.headers import cgi_key

#: Pairs of the app's header that are looked at, and digits of their numbers.
MOST_PAIRS: Final = 100
_PAIR: Final = re.compile(r"\s*([^=\s]+)\s*=\s*([0-9]{1,15})\s*", re.ASCII).fullmatch


@config
class Limits:
    """At least one period; a longer one may not have the lower limit."""

    second: float | None = field(None, above(0), help="Uses allowed per second.")
    minute: float | None = field(None, above(0), help="Uses allowed per minute.")
    hour: float | None = field(None, above(0), help="Uses allowed per hour.")
    day: float | None = field(None, above(0), help="Uses allowed per day (UTC).")
    month: float | None = field(None, above(0), help="Uses allowed per calendar month (UTC).")
    year: float | None = field(None, above(0), help="Uses allowed per calendar year (UTC).")

    def check(self) -> Iterator[str]:
        if all(getattr(self, period) is None for period in PERIODS):
            yield f"at least one of these fields must be non-empty: {', '.join(map(repr, PERIODS))}"
        for problem in misordered(as_dict(self)):
            yield f"the {problem}"


@config
class Config(CountingConfig):
    """At least one name in ``limits``."""

    limits: dict[str, Limits] = field(REQUIRED, not_empty(), help="The limits of each name.")
    header_name: HeaderName = field(
        "X-Usage-Limit", help="The app's header: `name=number` pairs; Kong's is `x-kong-limit`."
    )
    limit_by: Literal["consumer", "credential", "ip"] = field(
        "consumer", help="Who shares a quota; where there is no such thing, the client address does."
    )
    block_on_first_violation: bool = field(
        False, help="Whether requests are refused once anything is used up, before the app is asked."
    )
    hide_client_headers: bool = field(False, help="Whether answers keep quiet about the limits.")

    def check(self) -> Iterator[Finding]:
        for name in self.limits:
            try:
                check_header(name, "")
            except ValueError:
                yield "limits", f"got {name!r}, expected a name that can be part of a header's"
        yield from redis_problems(self)


@attrs.define
class Usage:
    """What is left for a request: by (name, period) before its response, and where to count."""

    prefix: str
    windows: dict[str, Window]
    left: dict[tuple[str, str], int]

    def least(self, name: str) -> int:
        return min(left for (one, _), left in self.left.items() if one == name)


class ResponseRateLimiting(Counting[Config]):
    """Phases: access, header_filter."""

    name, priority, Config = "response-ratelimiting", 900, Config

    def configure(self) -> None:
        super().configure()
        self._windows = Windows(PERIODS)
        # A limit of 2.5 lets three uses through, as in Kong; say so.
        self._limits = {
            (name, period): math.ceil(limit)
            for name, limits in self.config.limits.items()
            for period in PERIODS
            if (limit := getattr(limits, period)) is not None
        }
        self._told = {name: cgi_key(f"X-RateLimit-Remaining-{name}") for name in self.config.limits}
        self._identify = identity(self.config.limit_by)
        self._prefix = key_prefix("rrl", self.scope)

    def access(self, x: Exchange) -> None:
        for key in self._told.values():
            x.environ.pop(key, None)
        try:
            usage = self._read(x)
        except StoreError as error:
            self.without_store(x, error)
            return
        for name, key in self._told.items():
            least = usage.least(name)
            if least <= 0 and self.config.block_on_first_violation:
                x.fail(429, f"API rate limit exceeded for '{name}'")
            x.environ[key] = str(least)
        x.state(self)["usage"] = usage

    def _read(self, x: Exchange) -> Usage:
        """Read what is left. The time is taken once: what is used counts in the same windows."""
        store = self.store
        windows = dict(zip(PERIODS, self._windows.at(self.runtime.clock())))
        prefix = self._prefix + self._identify(x)
        left = {
            (name, period): limit - store.count(f"{prefix}:{name}{windows[period][0]}")
            for (name, period), limit in self._limits.items()
        }
        return Usage(prefix, windows, left)

    def header_filter(self, x: Exchange) -> None:
        name = self.config.header_name.lower()
        fields = [value for key, value in x.header_list or () if key.lower() == name]
        x.remove_header(name)
        # Taken away: an app that starts again, for an error, is not counted twice.
        usage: Usage | None = x.state(self).pop("usage", None)
        if usage is None:
            return
        # Only the app's own answer says what was used.
        used = parse_usage(fields, self.config.limits) if x.source == "service" else {}
        headers = [] if self.config.hide_client_headers else list(self._headers(usage, used))
        if any(number > 0 and usage.least(name) <= 0 for name, number in used.items()):
            x.exit(429, None, headers)
        for key, value in headers:
            x.set_header(key, value)
        self._count(usage, used)

    def _headers(self, usage: Usage, used: dict[str, int]) -> Iterator[tuple[str, str]]:
        for (name, period), limit in self._limits.items():
            left = max(0, usage.left[name, period] - used.get(name, 0))
            yield f"X-RateLimit-Limit-{name}-{period}", str(limit)
            yield f"X-RateLimit-Remaining-{name}-{period}", str(left)

    def _count(self, usage: Usage, used: dict[str, int]) -> None:
        """Count in all periods, so that a limit that is added later starts from what was used."""
        try:
            for name, number in used.items():
                for mark, length, _ in usage.windows.values() if number else ():
                    self.store.incr(f"{usage.prefix}:{name}{mark}", number, length)
        except StoreError as error:
            self.report(error)


def parse_usage(fields: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    """Read ``name=number`` pairs; unknown names and what is no whole number from 0 are left out."""
    known = frozenset(names)
    pairs = (pair for value in fields for pair in value.split(","))
    found = (match for pair in islice(pairs, MOST_PAIRS) if (match := _PAIR(pair)))
    return {match[1]: int(match[2]) for match in found if match[1] in known}
