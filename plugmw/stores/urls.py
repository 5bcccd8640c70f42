"""Opening a store by its URL."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from plugmw.errors import ConfigError
from plugmw.stores.auto import private_folder
from plugmw.stores.base import Store

# Each wait: for a lock of the file store, for a connection and an answer of Redis. Kong waits 2 s; a gateway
# that does so with every request in flight is down itself.
TIMEOUT = 1.0

_KINDS = "memory://, file:///path, redis://host, rediss://host or unix:///path.sock"


def open_store(url: str, *, clock: Callable[[], float] = time.time, timeout: float = TIMEOUT) -> Store:
    """Return the store that the URL names, without connecting to it or opening files yet.

    ``clock`` gives seconds since the epoch; Redis uses its own. ``timeout`` bounds each wait, in seconds.
    ConfigError for a URL that is not understood, and for a store that cannot work here.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise ConfigError("store", f"got {redact(url)!r}", _KINDS)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # Its own message may quote a piece of a password that holds a slash or a bracket.
        raise _bad(url, "a host and a port number; / ? # [ ] @ in a password as %2F and so on") from None
    return opener(url, parts, clock, timeout)


def redact(url: str) -> str:
    """Return a URL fit for messages: without user, password and query, however broken it is."""
    return re.sub(r"^([a-z+]*:?/{0,2}).*@", r"\1***@", url, flags=re.DOTALL | re.IGNORECASE).partition("?")[0]


def _memory(url: str, parts: SplitResult, clock: Callable[[], float], timeout: float) -> Store:
    from plugmw.stores.memory import KEYS, MemoryStore

    if parts.netloc or parts.path:
        raise _bad(url, "memory:// or memory://?keys=100000")
    query = _query(url, parts, {"keys"})
    return MemoryStore(keys=_number(url, query, "keys", KEYS), clock=clock)


def _file(url: str, parts: SplitResult, clock: Callable[[], float], timeout: float) -> Store:
    try:
        from plugmw.stores.file import SLOTS, FileStore
    except ModuleNotFoundError as error:  # fcntl
        problem = f"got {redact(url)!r}, but this system has no file locks ({error.name})"
        raise ConfigError("store", problem, "memory:// (one process) or redis://host") from error
    query = _query(url, parts, {"slots"})
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or path.endswith("/") or "\0" in path:
        raise _bad(url, "file:///path/of/a/file")
    path = path or str(private_folder() / "shared.table")
    if not os.path.isdir(os.path.dirname(path)):
        raise _bad(url, f"a file in a folder that exists, {os.path.dirname(path)!r} does not")
    return FileStore(path, slots=_number(url, query, "slots", SLOTS), clock=clock, timeout=timeout)


def _redis(url: str, parts: SplitResult, clock: Callable[[], float], timeout: float) -> Store:
    try:
        from plugmw.stores.redis import RedisStore
    except ModuleNotFoundError as error:
        problem = f"got {redact(url)!r}, but redis-py is not installed"
        raise ConfigError("store", problem, "pip install 'plugmw[redis]'") from error
    query = _query(url, parts, _REDIS_OPTIONS[parts.scheme])
    socket, db = _unix_place(url, parts, query) if parts.scheme == "unix" else _place(url, parts)
    if query.get("ssl_cert_reqs", "required") not in ("required", "none"):
        raise _bad(url, "ssl_cert_reqs=required or none")
    return RedisStore(
        parts.hostname or "localhost",
        6379 if parts.port is None else parts.port,
        socket=socket,
        db=db,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
        options={name: text for name, text in query.items() if name.startswith("ssl_")},
        prefix=query.get("prefix", "plugmw:"),
        timeout=timeout,
    )


def _place(url: str, parts: SplitResult) -> tuple[None, int]:
    if not re.fullmatch(r"(/[0-9]{0,5})?", parts.path):
        raise _bad(url, "redis://host:port/db with db a number")
    return None, int(parts.path[1:] or 0)


def _unix_place(url: str, parts: SplitResult, query: Mapping[str, str]) -> tuple[str, int]:
    if parts.hostname or len(parts.path) < 2:
        raise _bad(url, "unix:///path.sock")
    return unquote(parts.path), _number(url, query, "db", 0)


_TLS_OPTIONS = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}
_REDIS_OPTIONS = {"redis": {"prefix"}, "rediss": {"prefix", *_TLS_OPTIONS}, "unix": {"prefix", "db"}}

_OPENERS: Mapping[str, Callable[[str, SplitResult, Callable[[], float], float], Store]] = {
    "memory": _memory,
    "file": _file,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
}


def _query(url: str, parts: SplitResult, known: set[str]) -> dict[str, str]:
    """Return the options after ``?``; ConfigError for one that the store does not have."""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in pairs:
        if name not in known:
            raise _bad(url, f"no option {name!r}, only: {', '.join(sorted(known))}")
    if parts.fragment:
        raise _bad(url, "no part after '#'; # in a password as %23")
    return dict(pairs)


def _number(url: str, query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text) or (name != "db" and int(text) == 0):
        raise _bad(url, f"{name} to be a whole number above 0" if name != "db" else "db to be a number")
    return int(text)


def _bad(url: str, expected: str) -> ConfigError:
    return ConfigError("store", f"got {redact(url)!r}", expected)
