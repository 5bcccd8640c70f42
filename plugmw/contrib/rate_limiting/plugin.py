"""Limit how many requests a client may make per second, minute, hour, day, month or year.

    plugins:
      - name: rate-limiting
        config:
          minute: 60
          hour: 1000
          limit_by: consumer

Every answer tells the limits (``X-RateLimit-Limit-Minute``, ``X-RateLimit-Remaining-Minute``, ...) and the
tightest of them (``RateLimit-Limit``, ``RateLimit-Remaining``, ``RateLimit-Reset``). Above a limit the client
gets ``error_code`` (429) with ``error_message`` and ``Retry-After``, in the format it accepts.

Counts before the app is called, in one atomic step for all periods. Fails open, as Kong does: without
counters requests pass, unless ``fault_tolerant`` is off. Contract: Kong's rate-limiting
(``kong/plugins/rate-limiting``), with months and years as long as in the calendar.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from plugmw.contrib._counter_store import Counting, CountingConfig, key_prefix, redis_problems
from plugmw.contrib._limits import PERIODS, Window, Windows, identity, misordered
from plugmw.contrib.rate_limiting.write_behind import Collecting
from plugmw.errors import StoreError
from plugmw.kernel.exchange import Exchange
from plugmw.schema import Finding, above, as_dict, between, config, field
from plugmw.schema.fields import HeaderName, URLPath
from plugmw.stores import Store
from plugmw.stores.base import MOST

Wants = Sequence[tuple[str, int, float]]

#: Seconds: no faster than Kong lets a worker write (``kong/plugins/rate-limiting/schema.lua``).
FASTEST = 0.02


@config
class Config(CountingConfig):
    """At least one period; a longer one may not have the lower limit."""

    second: float | None = field(None, above(0), help="Requests allowed per second.")
    minute: float | None = field(None, above(0), help="Requests allowed per minute.")
    hour: float | None = field(None, above(0), help="Requests allowed per hour.")
    day: float | None = field(None, above(0), help="Requests allowed per day (UTC).")
    month: float | None = field(None, above(0), help="Requests allowed per calendar month (UTC).")
    year: float | None = field(None, above(0), help="Requests allowed per calendar year (UTC).")
    limit_by: Literal["consumer", "credential", "ip", "service", "header", "path"] = field(
        "consumer", help="Who shares a quota; where there is no such thing, the client address does."
    )
    header_name: HeaderName | None = field(None, help="The header of `limit_by: header`.")
    path: URLPath | None = field(None, help="The path of `limit_by: path`.")
    hide_client_headers: bool = field(False, help="Whether answers keep quiet about the limits.")
    error_code: int = field(429, between(400, 599), help="Status of the refusal.")
    error_message: str = field("API rate limit exceeded", help="Text of the refusal.")
    sync_rate: float = field(
        -1, help="Seconds between writes to Redis; -1 counts each request there before it passes."
    )

    def check(self) -> Iterator[Finding]:
        if all(getattr(self, period) is None for period in PERIODS):
            yield f"at least one of these fields must be non-empty: {', '.join(map(repr, PERIODS))}"
        for problem in misordered(as_dict(self)):
            yield f"The {problem}"
        if self.limit_by == "header" and self.header_name is None:
            yield "header_name", "required field missing"
        if self.limit_by == "path" and self.path is None:
            yield "path", "required field missing"
        if self.sync_rate != -1 and self.policy != "redis":
            yield "sync_rate", "sync_rate can only be used with the redis policy"
        elif self.sync_rate != -1 and self.sync_rate < FASTEST:
            yield "sync_rate", f"got {self.sync_rate!r}, expected -1 or at least {FASTEST} seconds"
        yield from redis_problems(self)


class RateLimiting(Counting[Config]):
    """Phases: access."""

    name, priority, Config = "rate-limiting", 901, Config
    _collecting: Collecting | None = None

    def configure(self) -> None:
        super().configure()
        config = self.config
        periods = [period for period in PERIODS if getattr(config, period) is not None]
        self._windows = Windows(periods)
        # A limit of 2.5 lets three requests through, as in Kong; say so.
        self._limits = [math.ceil(getattr(config, period)) for period in periods]
        self._shown = [_names(*each) for each in zip(periods, self._limits)]
        self._identify = identity(config.limit_by, config.header_name, config.path)
        self._prefix = key_prefix("rl", self.scope)

    def init_worker(self) -> None:
        super().init_worker()
        if self.config.sync_rate != -1:
            self._collecting = Collecting(self.store, self.config.sync_rate, self.report)
            self._collecting.start()

    def close(self) -> None:
        if self._collecting is not None:
            self._collecting.close()
        super().close()

    def access(self, x: Exchange) -> None:
        now = self.runtime.clock()
        windows = self._windows.at(now)
        who = self._prefix + self._identify(x)
        wants = [(who + mark, limit, length) for (mark, length, _), limit in zip(windows, self._limits)]
        try:
            taken, counts = self._take(wants)
        except StoreError as error:
            self.without_store(x, error)
            return
        if not self.config.hide_client_headers:
            self._tell(x, taken, counts, windows, int(now))
        if not taken:
            x.fail(self.config.error_code, self.config.error_message)

    def _take(self, wants: Wants) -> tuple[bool, list[int]]:
        if self._own is None:
            return self.runtime.store.take(wants)
        if self._collecting is not None:
            return self._collecting.take(wants)
        return take_always(self._own, wants)

    def _tell(
        self, x: Exchange, taken: bool, counts: Sequence[int], windows: Sequence[Window], second: int
    ) -> None:
        """Ask for the headers; they land on whatever answer goes out."""
        items: list[tuple[str, str]] = []
        least: int | None = None
        for limit, count, (first, name, tightest), window in zip(self._limits, counts, self._shown, windows):
            left = limit - count if count < limit else 0
            items += (first, (name, str(left)))
            # Of equally tight periods the longer one counts: it makes the client wait the longest.
            if least is None or left <= least:
                least, trio, end = left, tightest, window[2]
        reset = str(end - second)
        items += (trio, ("RateLimit-Remaining", str(least)), ("RateLimit-Reset", reset))
        if not taken:
            items.append(("Retry-After", reset))
        if x.header_list is None:
            x.header_list = items
        else:
            for name, value in items:
                x.set_header(name, value)


def take_always(store: Store, wants: Wants) -> tuple[bool, list[int]]:
    """Count a hit on every key, refused or not, as Kong's redis policy does; else as ``Store.take``."""
    _, counts = store.take([(key, MOST, ttl) for key, _, ttl in wants])
    taken = all(count <= limit for count, (_, limit, _) in zip(counts, wants))
    return taken, counts if taken else [count - 1 for count in counts]


def _names(period: str, limit: int) -> tuple[tuple[str, str], str, tuple[str, str]]:
    """Return what is the same on every answer: a period's limit, the name of what remains, the limit."""
    name, text = period.title(), str(limit)
    return (f"X-RateLimit-Limit-{name}", text), f"X-RateLimit-Remaining-{name}", ("RateLimit-Limit", text)
