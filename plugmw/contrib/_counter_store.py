"""Plugins that count: in the gateway's store or in a Redis of their own, and what an outage means.

The configuration class of such a plugin derives from :class:`CountingConfig`, and calls
:func:`redis_problems` in its ``check``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

from plugmw.concurrency.throttle import Throttle
from plugmw.errors import ConfigError, StoreError
from plugmw.events import watch
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Runtime
from plugmw.schema import above, as_dict, at_least, config, field, fields_of, matches
from plugmw.schema.fields import Port
from plugmw.stores import Store, open_store

#: Seconds between two log lines about the same outage.
REPORT_EVERY: Final = 60.0


@config
class Redis:
    """A Redis server; the names are Kong's (``kong/tools/redis/schema.lua``)."""

    host: str | None = field(
        None, matches(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", "a host name or address"), help="Host of the server."
    )
    port: Port = field(6379, help="Port of the server.")
    timeout: float = field(2000, above(0), help="Milliseconds to wait for a connection and each answer.")
    database: int = field(0, at_least(0), help="Number of the database.")
    username: str | None = field(None, help="User, on servers with more than one.")
    password: str | None = field(None, secret=True, help="Password.")
    ssl: bool = field(False, help="Whether to use TLS.")
    ssl_verify: bool = field(True, help="Whether the server's certificate is verified.")
    server_name: str | None = field(None, help="Name in the server's certificate; must be the host.")

    @property
    def url(self) -> str:
        """The URL that :func:`plugmw.stores.open_store` takes. It holds the password."""
        secret = "" if self.password is None else ":" + quote(self.password, safe="")
        who = quote(self.username or "", safe="") + secret
        host = f"[{self.host}]" if ":" in (self.host or "") else self.host
        scheme = "rediss" if self.ssl else "redis"
        options = "?ssl_cert_reqs=none" if self.ssl and not self.ssl_verify else ""
        return f"{scheme}://{who}{'@' if who else ''}{host}:{self.port}/{self.database}{options}"


_FIELDS: Final = {field.name: field for field in fields_of(Redis)}


def _older(name: str) -> Any:
    """Declare ``redis_<name>``, the spelling from before there was a ``redis`` record."""
    newer = _FIELDS[name]
    return field(None, *newer.checks, help=f"Older spelling of `redis.{name}`.", secret=newer.secret)


@config
class CountingConfig:
    """The fields of plugins with counters: where they are, and what an outage means."""

    policy: Literal["local", "redis"] = field(
        "local", help="Where to count: in the gateway's store, or in a Redis of this plugin's own."
    )
    fault_tolerant: bool = field(True, help="Whether requests pass when nothing can be counted.")
    redis: Redis | None = field(None, help="The server of `policy: redis`.")
    redis_host: str | None = _older("host")
    redis_port: Port | None = _older("port")
    redis_timeout: float | None = _older("timeout")
    redis_database: int | None = _older("database")
    redis_username: str | None = _older("username")
    redis_password: str | None = _older("password")
    redis_ssl: bool | None = _older("ssl")
    redis_ssl_verify: bool | None = _older("ssl_verify")
    redis_server_name: str | None = _older("server_name")


C = TypeVar("C", bound=CountingConfig)


def redis_record(config: CountingConfig) -> Redis:
    """Return the record that ``redis`` and the older spellings give together."""
    flat = {name: getattr(config, f"redis_{name}") for name in _FIELDS}
    values = {name: value for name, value in flat.items() if value is not None}
    return Redis(**{**(as_dict(config.redis) if config.redis else {}), **values})


def redis_problems(config: CountingConfig) -> Iterator[tuple[str, str]]:
    """Say what is wrong with the record, for the ``check`` of a configuration class."""
    record = redis_record(config)
    if config.redis is not None:
        for name in _FIELDS:
            if getattr(config.redis, name) != getattr(record, name):
                yield f"redis_{name}", f"given beside redis.{name}, expected only one of the two"
    if config.policy != "redis":
        return
    if record.host is None:
        yield "redis.host", "required field missing"
    elif record.ssl and record.server_name not in (None, record.host):
        # The client verifies the name it connects to and knows no other.
        yield "redis.server_name", f"got {record.server_name!r}, expected the host, {record.host!r}"


def key_prefix(kind: str, scope: Sequence[str | None]) -> str:
    """Return the beginning of an entry's keys: entries of one scope count together, others apart."""
    if not any(scope):
        return f"{kind}:"
    # 40 bits tell the entries of a configuration apart and keep usual keys below stores.base.LONGEST_KEY.
    return f"{kind}:{blake2b(repr(scope).encode(), digest_size=5).hexdigest()}:"


class Counting(Plugin[C]):
    """A plugin with ``policy``, ``redis`` and ``fault_tolerant`` fields."""

    _own: Store | None = None

    def bind(self, runtime: Runtime) -> None:
        super().bind(runtime)
        self._outage = Throttle(REPORT_EVERY, runtime.clock)

    def configure(self) -> None:
        if self.config.policy == "redis":
            try:
                self._open().close()
            except ConfigError as error:
                raise ConfigError("redis", error.problem, error.expected) from error

    def _open(self) -> Store:
        """Return the store of ``redis``; nothing is connected before it is used."""
        record = redis_record(self.config)
        return open_store(record.url, clock=self.runtime.clock, timeout=record.timeout / 1000)

    def init_worker(self) -> None:
        if self.config.policy == "redis":
            self._own = self._open()
            watch(self._own, self.runtime)

    def close(self) -> None:
        # Kept, closed: a request still under way meets a StoreError, not another store.
        if self._own is not None:
            self._own.close()

    @property
    def store(self) -> Store:
        """Where to count; StoreError when it cannot be opened."""
        return self.runtime.store if self._own is None else self._own

    def without_store(self, x: Exchange, error: StoreError) -> None:
        """Report the outage; answer 500 unless requests may pass uncounted. Phases as ``x.fail``."""
        self.report(error)
        if not self.config.fault_tolerant:
            x.fail(500)

    def report(self, error: StoreError) -> None:
        """Log that nothing is counted, once in :data:`REPORT_EVERY` seconds."""
        if self._outage():
            effect = "pass uncounted" if self.config.fault_tolerant else "are refused"
            self.logger.error("%s: no counters, requests %s: %s", self.name, effect, error)
