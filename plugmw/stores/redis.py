"""``redis://``: counters and values of many machines, in one Redis (or Valkey) server.

    redis://[user:password@]host[:6379][/db]      rediss:// the same over TLS, verified by default
    unix://[user:password@]/path.sock[?db=0]

Needs redis-py 5.2 or newer (``pip install 'plugmw[redis]'``). Each operation is one command or one script,
so one round trip, and is never sent twice, as a lost answer does not tell whether the hit was counted. Times
are the server's. ``take`` reads several keys in one script, which Redis Cluster refuses: use one server,
replicated if you like.

``timeout`` is the time of a whole call, connecting included, however the answer trickles in. When the server
is down, slow, loading or read-only, or answers what is no answer, the call that notices raises StoreError
and from then on calls fail at once, without a try, while a thread in the background looks every 0.25 s
whether it takes writes again. Resolving a host name has no deadline of ours (the system's resolver has one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from hashlib import sha1
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError
from redis.retry import Retry

from plugmw.concurrency.deadline import Deadline
from plugmw.errors import StoreError
from plugmw.events import Outage
from plugmw.stores.base import MOST, Scope, distinct, encode, lifetime, short
from plugmw.stores.breaker import Breaker
from plugmw.wsgi.redaction import REDACTED

# A probe may not last longer: with the pause of the breaker it bounds how late a recovery is seen (2 s).
LONGEST_PROBE = 1.0

_OUTAGES = (redis.ConnectionError, redis.TimeoutError, ReadOnlyError, OSError)
#: What Redis answers; the type is the command's.
Reply = Any


class _Pool(Protocol):
    def disconnect(self, inuse_connections: bool = True) -> None: ...


class _Client(Protocol):
    """What is used of ``redis.Redis``, which has no types for it."""

    @property
    def connection_pool(self) -> _Pool: ...
    def execute_command(self, *command: object) -> Reply: ...


#: The end of the call that is under way in this thread or greenlet.
_deadline: ContextVar[Deadline | None] = ContextVar("plugmw.stores.redis", default=None)


class _Socket:
    """A socket whose every step has what is left of the call's time, and not the whole time again."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._waits = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        self._waits = seconds != 0  # 0 is for a look whether there is something to read
        self._sock.settimeout(seconds)

    def recv(self, *arguments: Any) -> bytes:
        self._use_what_is_left()
        data: bytes = self._sock.recv(*arguments)
        return data

    def recv_into(self, *arguments: Any) -> int:
        self._use_what_is_left()
        count: int = self._sock.recv_into(*arguments)
        return count

    def sendall(self, *arguments: Any) -> None:
        self._use_what_is_left()
        self._sock.sendall(*arguments)

    def _use_what_is_left(self) -> None:
        deadline = _deadline.get()
        if self._waits and deadline is not None:
            self._sock.settimeout(deadline.left_or_raise())


class _Timed:
    """What makes a connection of redis-py one whose steps share one deadline."""

    _own: float | None = None

    def _left(self) -> float | None:
        deadline = _deadline.get()
        return self._own if deadline is None else deadline.left_or_raise()

    def _keep(self, seconds: float | None) -> None:
        self._own = seconds

    socket_timeout = property(_left, _keep)
    socket_connect_timeout = property(_left, _keep)

    def _connect(self) -> _Socket:
        return _Socket(super()._connect())  # type: ignore[misc]


class _Connection(_Timed, Connection):
    """Over TCP."""


class _SSLConnection(_Timed, SSLConnection):
    """Over TLS."""


class _UnixConnection(_Timed, UnixDomainSocketConnection):
    """Over a unix socket."""


class _Script:
    """A Lua script and its name in the server's script cache."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


# KEYS: counters. ARGV: limit, milliseconds for each. Answers taken, then the counts.
_TAKE = _Script("""
local answer, found = {1}, {}
for i, key in ipairs(KEYS) do
  found[i] = redis.call('GET', key)
  answer[i + 1] = tonumber(found[i] or 0)
  if answer[i + 1] >= tonumber(ARGV[2 * i - 1]) then answer[1] = 0 end
end
if answer[1] == 1 then
  for i, key in ipairs(KEYS) do
    if found[i] then
      redis.call('INCR', key)
    elseif ARGV[2 * i] == '' then
      redis.call('SET', key, 1)
    else
      redis.call('SET', key, 1, 'PX', ARGV[2 * i])
    end
    answer[i + 1] = answer[i + 1] + 1
  end
end
return answer
""")

# KEYS: counter. ARGV: amount, milliseconds or '', the most it may be. Answers the new count.
_INCR = _Script("""
local found = redis.call('GET', KEYS[1])
local old = tonumber(found or 0)
local new = math.min(math.max(old + tonumber(ARGV[1]), 0), tonumber(ARGV[3]))
if found then
  redis.call('INCRBY', KEYS[1], string.format('%.0f', new - old))
elseif new > 0 then
  local text = string.format('%.0f', new)
  if ARGV[2] == '' then
    redis.call('SET', KEYS[1], text)
  else
    redis.call('SET', KEYS[1], text, 'PX', ARGV[2])
  end
end
return new
""")


class RedisStore:
    """Store in a Redis server; thread-safe, connects at the first use, forks at any time.

    ``socket`` is the path of a unix socket, used instead of host and port. ``options`` are redis-py's own
    for the connection (``ssl_ca_certs``, ``ssl_cert_reqs``, ...). ``timeout`` is in seconds, for a whole
    call. ``prefix`` begins all keys, so that several gateways can use one database.
    """

    scope: Scope = "network"

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6379,
        *,
        socket: str | None = None,
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        options: Mapping[str, object] | None = None,
        prefix: str = "plugmw:",
        timeout: float = 1.0,
    ) -> None:
        if socket is not None:
            self.url = f"unix://{socket}?db={db}"
            where: dict[str, object] = {"connection_class": _UnixConnection, "path": socket}
        else:
            self.url = f"{'rediss' if tls else 'redis'}://{_bracketed(host)}:{port}/{db}"
            kind = _SSLConnection if tls else _Connection
            where = {"connection_class": kind, "host": host, "port": port}
            if tls:  # said aloud: redis-py before 6 does not check the name
                checked = (options or {}).get("ssl_cert_reqs") != "none"
                where.update(ssl_cert_reqs="required", ssl_check_hostname=checked)
        if username or password:
            # Not as plain options: the repr of redis-py's pool shows those in some versions (6.4 to 7).
            where["credential_provider"] = UsernamePasswordCredentialProvider(username, password)
        where["db"] = db
        where.update(options or {})
        self._prefix = encode(prefix)
        self._hide = _hiding(password or "")
        self._timeout = timeout
        self._closed = False
        self._client = _client(where, timeout)
        self._probe_client = _client(where, min(timeout, LONGEST_PROBE))
        self._outage = Outage(self.url)
        self.outages = (self._outage,)
        self._breaker = Breaker(self._probe, recovered=self._outage.works)

    def __repr__(self) -> str:
        return f"<RedisStore {self.url}>"

    def take(self, wants: Sequence[tuple[str, int, float]]) -> tuple[bool, list[int]]:
        distinct(wants)
        keys = [self._counter(key) for key, _, _ in wants]
        args = [arg for _, limit, ttl in wants for arg in (limit, _milliseconds(ttl))]
        reply = self._script(_TAKE, keys, args)
        if not (isinstance(reply, list) and len(reply) == 1 + len(keys) and all(map(_is_count, reply))):
            raise self._improper(reply)
        return reply[0] == 1, reply[1:]

    def incr(self, key: str, amount: int = 1, ttl: float | None = None) -> int:
        args = [amount, _milliseconds(lifetime(ttl)), MOST]
        count = self._script(_INCR, [self._counter(key)], args)
        if not _is_count(count):
            raise self._improper(count)
        return int(count)

    def count(self, key: str) -> int:
        text = self._text(self._counter(key)) or b"0"
        if not (text.isdigit() and len(text) <= 20):
            raise self._improper(text)
        return int(text)

    def get(self, key: str) -> bytes | None:
        return self._text(self._value(key))

    def _text(self, key: bytes) -> bytes | None:
        value = self._call("GET", key)
        if not (value is None or isinstance(value, bytes)):
            raise self._improper(value)
        return value

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        done = self._call("SET", self._value(key), bytes(value), *_px(ttl))
        if done is not True:
            raise self._improper(done)

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        done = self._call("SET", self._value(key), bytes(value), "NX", *_px(ttl))
        if not (done is True or done is None):
            raise self._improper(done)
        return done is True

    def delete(self, key: str) -> None:
        self._call("DEL", self._counter(key), self._value(key))

    def close(self) -> None:
        self._closed = True
        self._breaker.close()
        # Those in use are closed by whoever uses them.
        self._client.connection_pool.disconnect(inuse_connections=False)

    def _counter(self, key: str) -> bytes:
        return self._prefix + b"c:" + encode(short(key))

    def _value(self, key: str) -> bytes:
        return self._prefix + b"v:" + encode(short(key))

    def _script(self, script: _Script, keys: Sequence[bytes], args: Sequence[object]) -> Reply:
        deadline = Deadline.after(self._timeout)
        try:
            return self._call("EVALSHA", script.sha, len(keys), *keys, *args, deadline=deadline)
        except StoreError as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        # A new or restarted server does not know it yet, and has run nothing; EVAL makes it known.
        return self._call("EVAL", script.text, len(keys), *keys, *args, deadline=deadline)

    def _call(self, *command: object, deadline: Deadline | None = None) -> Reply:
        """Run one command; every failure is a StoreError, and an outage opens the breaker."""
        if self._closed:
            raise StoreError(self.url, "is closed")
        cause = self._breaker.cause
        if cause is not None:
            self._outage.failed(cause)
            raise StoreError(self.url, f"is down: {cause}") from cause
        token = _deadline.set(deadline or Deadline.after(self._timeout))
        try:
            reply = self._client.execute_command(*command)
            if self._outage.since is not None and self._breaker.cause is None:
                self._outage.works()
            return reply
        except _OUTAGES as error:
            self._trip(error)
            raise StoreError(self.url, f"failed within {self._timeout} s: {error}") from error
        except RedisError as error:
            self._hide(error)
            if not isinstance(error, NoScriptError):
                self._outage.failed(f"refused: {error}")
            raise StoreError(self.url, f"refused: {error}") from error
        except Exception as error:
            # redis-py parses a number, a text or a nesting that is none by whatever Python raises.
            self._trip(error)
            raise StoreError(self.url, "answered what is no answer of Redis") from error
        finally:
            _deadline.reset(token)
            if self._closed:
                self._client.connection_pool.disconnect(inuse_connections=False)

    def _trip(self, error: Exception) -> None:
        self._hide(error)
        # The other idle connections lead to the same lost or demoted server.
        self._client.connection_pool.disconnect(inuse_connections=False)
        self._outage.failed(error)
        self._breaker.trip(error)

    def _improper(self, reply: object) -> StoreError:
        """Return the error for an answer of another shape: what comes after it on its connection is none."""
        error = StoreError(self.url, f"answered {type(reply).__name__}, which is no answer to what was asked")
        self._trip(error)
        return error

    def _probe(self) -> None:
        """Write something: a replica, and so a server that was demoted, answers a ping all the same."""
        token = _deadline.set(Deadline.after(min(self._timeout, LONGEST_PROBE)))
        try:
            done = self._probe_client.execute_command("SET", self._prefix + b"probe", b"1", "PX", 1000)
            if done is not True:
                raise StoreError(self.url, "does not write")
        except Exception as error:
            self._hide(error)
            raise
        finally:  # here and not in close(), which may run in another thread in the middle of this
            _deadline.reset(token)
            self._probe_client.connection_pool.disconnect()


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _hiding(password: str) -> Callable[[Exception], None]:
    """Return what takes the password out of an error: some servers repeat the commands they do not know.

    A closure, so that no ``repr`` shows it.
    """

    def hide(error: Exception) -> None:
        if password:
            error.args = tuple(str(arg).replace(password, REDACTED) for arg in error.args)

    return hide


def _client(where: Mapping[str, object], timeout: float) -> _Client:
    """Return a client that never retries, as the answer to a counted hit may just have been lost."""
    options: dict[str, Any] = dict(where, socket_timeout=timeout, socket_connect_timeout=timeout)
    # As many connections as calls at once: redis-py's own bound of 100 would look like an outage to gevent.
    # RESP2 needs no handshake and every server speaks it.
    options.update(retry=Retry(NoBackoff(), 0), max_connections=2**31, protocol=2)
    pool = redis.ConnectionPool(**options)
    client: _Client = redis.Redis(connection_pool=pool)
    return client


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _milliseconds(ttl: float) -> object:
    """Return a ttl for PX, at least 1; empty for an infinite one."""
    return math.ceil(min(ttl, 1e12) * 1000) if math.isfinite(ttl) else ""


def _px(ttl: float | None) -> tuple[object, ...]:
    milliseconds = _milliseconds(lifetime(ttl))
    return ("PX", milliseconds) if milliseconds else ()
