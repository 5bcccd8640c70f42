"""A WSGI app that forwards to an HTTP service, streaming both ways with constant memory.

    app = Upstream(Target("http://127.0.0.1:9000/api"))

Connections are pooled per process and opened after the fork; cookies, redirects, proxies from the
environment and decoding are left alone: bytes go through as they are. Hop-by-hop fields (RFC 9110 section
7.6.1) are dropped in both directions. Every call has deadlines; a service that is down or slow is answered
502 or 504.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import attrs

from plugmw import answer
from plugmw.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from urllib3 import BaseHTTPResponse, PoolManager

#: Fields that concern one connection only (RFC 9110 section 7.6.1), and what goes with them.
HOP_BY_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade", "http2-settings"),
    )
)
_STEP: Final = 64 * 1024


@attrs.frozen(kw_only=True)
class Target:
    """Where requests go, and how long they may take. Durations are seconds."""

    url: str
    connect_timeout: float = 5.0
    #: Between two reads, and between two writes.
    read_timeout: float = 60.0
    #: For the whole exchange; None leaves it to the other two.
    deadline: float | None = None
    #: New tries after a connection could not be opened; a request that went out is never sent again.
    retries: int = 5
    preserve_host: bool = False
    verify: bool = True
    ca_file: str | None = None
    pool_size: int = 64

    @property
    def base(self) -> str:
        """The path requests are put under, without a trailing slash."""
        return urlsplit(self.url).path.rstrip("/")

    def check(self) -> None:
        """Raise :class:`ConfigError` unless the URL is one to send to."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("url", f"got {self.url!r}", "an http or https URL")


class Upstream:
    """Forward requests to a target. Thread-safe; plugins may override host, port and timeouts per request."""

    def __init__(self, target: Target, *, clock: Callable[[], float] = time.monotonic) -> None:
        target.check()
        self.target = target
        self._clock = clock
        self._lock = threading.Lock()
        self._pid = 0
        self._pool: PoolManager | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        import urllib3.exceptions as trouble

        begun = self._clock()
        try:
            response = self._send(environ, begun)
        except _BadRequest:
            return _fail(environ, start_response, 400)
        except trouble.NewConnectionError:
            # A subclass of the time-out errors in urllib3, though it means "refused".
            return _fail(environ, start_response, 502)
        except (trouble.ConnectTimeoutError, trouble.ReadTimeoutError, TimeoutError):
            return _fail(environ, start_response, 504)
        except (trouble.HTTPError, OSError, ValueError):
            return _fail(environ, start_response, 502)
        environ["plugmw.upstream.status"] = str(response.status)
        headers = response_headers(response.headers.items())
        reason = response.reason or ""
        line = f"{response.status} {reason}" if reason else answer.status_line(response.status)
        start_response(line, headers)
        if environ["REQUEST_METHOD"] == "HEAD" or response.status in (204, 304):
            response.release_conn()
            return []
        until = None if self.target.deadline is None else begun + self.target.deadline
        return _Body(response, until, self._clock)

    # -- out ----------------------------------------------------------------------------------------

    def _send(self, environ: WSGIEnvironment, begun: float) -> BaseHTTPResponse:
        from urllib3 import Timeout
        from urllib3.exceptions import NewConnectionError

        wish: Mapping[str, Any] = environ.get("plugmw.upstream.target") or {}
        url = self._url(environ, wish)
        timeout = Timeout(
            connect=wish["connect_timeout"] / 1000
            if "connect_timeout" in wish
            else self.target.connect_timeout,
            read=wish["read_timeout"] / 1000 if "read_timeout" in wish else self._read_timeout(begun),
        )
        body, chunked = request_body(environ)
        headers = self._headers(environ, url)
        for left in range(int(wish.get("retries", self.target.retries)), -1, -1):
            try:
                return self._pools().urlopen(
                    environ["REQUEST_METHOD"],
                    url,
                    body=body,
                    headers=headers,
                    chunked=chunked,
                    timeout=timeout,
                    preload_content=False,
                    decode_content=False,
                    redirect=False,
                    retries=False,
                )
            except NewConnectionError:
                # Nothing was sent, so another try cannot do anything twice.
                if not left or self._late(begun):
                    raise
        raise AssertionError("unreachable")

    def _late(self, begun: float) -> bool:
        deadline = self.target.deadline
        return deadline is not None and self._clock() - begun >= deadline

    def _read_timeout(self, begun: float) -> float:
        if self.target.deadline is None:
            return self.target.read_timeout
        return max(0.001, min(self.target.read_timeout, begun + self.target.deadline - self._clock()))

    def _url(self, environ: WSGIEnvironment, wish: Mapping[str, Any]) -> str:
        parts = urlsplit(self.target.url)
        scheme = wish.get("scheme", parts.scheme)
        host, port = wish.get("host", parts.hostname), wish.get("port", parts.port)
        netloc = f"[{host}]" if ":" in host else host
        if port:
            netloc = f"{netloc}:{port}"
        path = self.target.base + request_path(environ)
        query = environ.get("QUERY_STRING", "")
        return f"{scheme}://{netloc}{path or '/'}{'?' + query if query else ''}"

    def _headers(self, environ: WSGIEnvironment, url: str) -> Any:
        from urllib3 import HTTPHeaderDict

        made = HTTPHeaderDict(request_headers(environ))
        for name, value in forwarded(environ):
            made[name] = value
        if not self.target.preserve_host or "host" not in made:
            made["Host"] = urlsplit(url).netloc
        # urllib3 adds its own of these unless told otherwise.
        made.setdefault("User-Agent", "plugmw")
        made.setdefault("Accept-Encoding", "identity")
        return made

    def _pools(self) -> PoolManager:
        if self._pool is None or self._pid != os.getpid():
            with self._lock:
                if self._pool is None or self._pid != os.getpid():
                    self._pool, self._pid = self._open(), os.getpid()
        return self._pool

    def _open(self) -> PoolManager:
        from urllib3 import PoolManager

        tls: dict[str, Any] = {"cert_reqs": "CERT_REQUIRED" if self.target.verify else "CERT_NONE"}
        if self.target.ca_file:
            tls["ca_certs"] = self.target.ca_file
        elif self.target.verify:
            import certifi

            tls["ca_certs"] = os.environ.get("SSL_CERT_FILE") or certifi.where()
        return PoolManager(num_pools=16, maxsize=self.target.pool_size, block=False, **tls)

    def close(self) -> None:
        """Close the pooled connections of this process."""
        pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.clear()


class _BadRequest(Exception):
    """The request cannot be forwarded as it is."""


class _Body:
    """The service's body as it comes; returns the connection to the pool when it was read whole."""

    def __init__(self, response: BaseHTTPResponse, until: float | None, clock: Callable[[], float]) -> None:
        self._response = response
        self._until = until
        self._clock = clock
        self._done = False

    def __iter__(self) -> Generator[bytes, None, None]:
        # read1 hands on what has arrived, so that events reach the client at once.
        while True:
            chunk = self._response.read1(_STEP, decode_content=False)
            if not chunk:
                break
            if self._until is not None and self._clock() > self._until:
                raise TimeoutError("the upstream's answer took longer than its deadline")
            yield chunk
        self._done = True

    def close(self) -> None:
        if self._done:
            self._response.release_conn()
        else:
            self._response.close()


# -- headers, path and body as pure functions ------------------------------------------------------------


def request_headers(environ: WSGIEnvironment) -> Iterable[tuple[str, str]]:
    """Yield the request's headers without hop-by-hop fields and without what ``Connection`` names."""
    named = {name.strip().lower() for name in str(environ.get("HTTP_CONNECTION", "")).split(",")}
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:].replace("_", "-").title()
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            name = key.replace("_", "-").title()
        else:
            continue
        lower = name.lower()
        # What plugmw itself set must not go because a client names it in Connection (CVE-2024-45410).
        ours = lower.startswith(("x-consumer", "x-credential", "x-authenticated", "x-anonymous"))
        if lower in HOP_BY_HOP or lower == "expect" or (lower in named and not ours and lower not in _KEPT):
            continue
        yield name, str(value)


_KEPT: Final = frozenset(("host", "content-length", "content-type", "authorization"))


def forwarded(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """Return the X-Forwarded-* and X-Real-IP fields that tell the service about the client."""
    peer = str(environ.get("REMOTE_ADDR", ""))
    before = str(environ.get("HTTP_X_FORWARDED_FOR", "")).strip()
    told = [("X-Forwarded-For", f"{before}, {peer}" if before and peer else before or peer)]
    host = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", ""))
    told += [
        ("X-Forwarded-Proto", str(environ.get("plugmw.scheme") or environ["wsgi.url_scheme"])),
        ("X-Forwarded-Host", str(environ.get("plugmw.host") or host)),
        ("X-Forwarded-Port", str(environ.get("SERVER_PORT", ""))),
        ("X-Real-IP", str(environ.get("plugmw.client_ip") or peer)),
    ]
    prefix = environ.get("plugmw.stripped_prefix")
    if prefix:
        told.append(("X-Forwarded-Prefix", str(prefix)))
    return [(name, value) for name, value in told if value]


def response_headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the response's headers without hop-by-hop fields and what ``Connection`` names."""
    listed = list(pairs)
    named = {
        part.strip().lower()
        for name, value in listed
        if name.lower() == "connection"
        for part in value.split(",")
    }
    drop = HOP_BY_HOP | (named - {"set-cookie", "content-length", "content-type"})
    return [(name, value) for name, value in listed if name.lower() not in drop]


def request_path(environ: WSGIEnvironment) -> str:
    """Return the path to send, in the client's own spelling where that is known and nobody changed it."""
    path = str(environ.get("PATH_INFO", ""))
    stripped = str(environ.get("plugmw.stripped_prefix", ""))
    raw = str(environ.get("RAW_URI") or "").partition("?")[0]
    prefix = quote(stripped.encode("latin-1", "replace"), safe=_SAFE)
    if (
        raw.startswith(prefix)
        and _unquoted(raw[len(prefix) :]) == path
        and raw[len(prefix) :].startswith("/")
    ):
        return raw[len(prefix) :]
    return quote(path.encode("latin-1", "replace"), safe=_SAFE)


_SAFE: Final = "/!$&'()*+,;=:@~-._"


def _unquoted(path: str) -> str:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1")


def request_body(environ: WSGIEnvironment) -> tuple[Any, bool]:
    """Return (what to send, whether in chunks): a stream that ends, or None."""
    text = str(environ.get("CONTENT_LENGTH") or "")
    if text:
        if not (text.isascii() and text.isdigit()):
            raise _BadRequest
        length = int(text)
        return (_Limited(environ["wsgi.input"], length), False) if length else (None, False)
    if environ.get("wsgi.input_terminated") and environ.get("HTTP_TRANSFER_ENCODING"):
        return _pieces(environ["wsgi.input"]), True
    return None, False


def _pieces(stream: Any) -> Generator[bytes, None, None]:
    while True:
        piece = stream.read(_STEP)
        if not piece:
            return
        yield piece


class _Limited:
    """At most ``left`` bytes of a stream, as a file to read from."""

    def __init__(self, stream: Any, left: int) -> None:
        self._stream = stream
        self._left = left

    def read(self, size: int = -1) -> bytes:
        size = self._left if size is None or size < 0 else min(size, self._left)
        data: bytes = self._stream.read(size) if size else b""
        self._left -= len(data)
        if size and not data and self._left:
            raise OSError("the client sent less than its Content-Length")
        return data


def _fail(environ: WSGIEnvironment, start_response: StartResponse, status: int) -> Iterable[bytes]:
    environ["plugmw.upstream.status"] = str(status)
    request_id = str(environ.get("plugmw.request_id") or "")
    made = answer.error_exit(status, None, None, str(environ.get("HTTP_ACCEPT", "")), request_id)
    start_response(answer.status_line(status), [*made.headers, ("Content-Length", str(len(made.body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [made.body]
