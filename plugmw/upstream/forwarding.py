"""A WSGI app that forwards to an HTTP service, streaming both ways with constant memory.

    app = Upstream(Target(url="http://127.0.0.1:9000/api"))

Connections are pooled per process and opened after the fork; cookies, redirects, proxies from the
environment and encodings are left alone: bytes and paths go through as they are. Hop-by-hop fields (RFC
9110 section 7.6.1) are dropped in both directions. Every step has a timeout; a service that is down is
answered 502, one that is slow 504, a WebSocket handshake 501.
"""

from __future__ import annotations

import http.client
import logging
import ssl
import time
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import attrs

from plugmw.concurrency.counting import Counts
from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.throttle import Throttle
from plugmw.errors import ConfigError
from plugmw.events import UPSTREAM_FAILURES, Events
from plugmw.kernel import refusals
from plugmw.schema.typedefs import split_port
from plugmw.upstream.connections import IDLE, Body, Connections, NotConnected, Request, Times
from plugmw.wsgi import answer, keys, request_target
from plugmw.wsgi.answer import Exit, respond
from plugmw.wsgi.body import BadLength, content_length
from plugmw.wsgi.headers import HOP_BY_HOP, cgi_key, headers_in
from plugmw.wsgi.paths import SENDABLE, escape, unescape
from plugmw.wsgi.proxies import Trusted
from plugmw.wsgi.request_id import request_id
from plugmw.wsgi.text import one_line
from plugmw.wsgi.upstream_request import UpstreamRequest
from plugmw.wsgi.urls import Origin, netloc, origin

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

    from plugmw.kernel.runtime import Logger

#: Of Expect the server in front has disposed.
_DROPPED: Final = HOP_BY_HOP | {"expect"}
#: What a client cannot have taken away by naming it in Connection (CVE-2024-45410), beside identity headers.
_KEPT: Final = frozenset(("host", "content-length", "content-type", "authorization", "cookie"))
_OURS: Final = ("x-consumer", "x-credential", "x-authenticated", "x-anonymous", "x-forwarded", "x-real-ip")
#: What Connection usually says.
_USUAL: Final = frozenset(("close", "keep-alive", "Close", "Keep-Alive"))
_STEP: Final = 64 * 1024
#: Seconds between two lines about a service that fails.
EVERY: Final = 10.0
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Target:
    """Where requests go, and how long they may take. Durations are seconds."""

    url: str
    connect_timeout: float = 5.0
    #: Between two writes, and between two reads.
    write_timeout: float = 60.0
    read_timeout: float = 60.0
    #: For the whole exchange; None leaves it to the other three.
    deadline: float | None = None
    #: New tries after a connection could not be opened; a request that went out is never sent again.
    retries: int = 5
    preserve_host: bool = False
    verify: bool = True
    ca_file: str | None = None
    pool_size: int = 64
    #: How long a connection that is not used is kept.
    idle: float = IDLE

    def check(self) -> None:
        """Raise :class:`ConfigError` unless the URL is one to send to."""
        try:
            origin(self.url)
        except ValueError:
            raise ConfigError("url", f"got {self.url!r}", "an http or https URL") from None


class Upstream:
    """Forward requests to a target. Thread-safe; plugins may override scheme, host, port and timeouts.

    ``trusted`` decides which forwarding fields of clients are believed and passed on.
    """

    forwards = True

    def __init__(
        self,
        to: Target,
        *,
        trusted: Trusted | None = None,
        clock: Callable[[], float] = time.monotonic,
        logger: Callable[[], Logger] = lambda: logging.getLogger("plugmw.upstream"),
        events: Events | None = None,
    ) -> None:
        to.check()
        self.target = to
        self._to = origin(to.url)
        self._base = urlsplit(to.url).path.rstrip("/")
        self._trusted = trusted or Trusted()
        self._clock = clock
        self._logger = logger
        self._events = events or Events()
        self._failing = Throttle(EVERY, clock)
        self._held_back = Counts()
        self._connections = Connections(self._context, to.pool_size, to.idle)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if _is_websocket(environ):
            return self._refuse(environ, start_response, 501, "a WebSocket handshake cannot be sent on")
        try:
            body = self.send(environ)
        except BadRequest as error:
            return self._refuse(environ, start_response, 400, str(error) or "a Content-Length that is none")
        except TimeoutError:
            return self._failed(environ, start_response, 504, "timeout", "no answer in time")
        except NotConnected as error:
            if isinstance(error.__cause__, TimeoutError):
                return self._failed(environ, start_response, 504, "connect_timeout", "no connection in time")
            return self._failed(environ, start_response, 502, "connect", f"no connection: {error}")
        except (http.client.HTTPException, OSError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            return self._failed(environ, start_response, 502, "answer", why)
        try:
            response = body.answer
            status, reason = response.status, response.reason
            wish = UpstreamRequest.of(environ)
            wish.status, wish.failed = str(status), False
            body.broken = lambda error: self._tell(environ, status, "body", _broken(error))
            line = f"{status} {reason}" if reason else answer.status_line(status)
            start_response(line, response_headers(response.headers))
        except BaseException:
            body.close()
            raise
        return body

    def _failed(
        self, environ: WSGIEnvironment, start_response: StartResponse, status: int, reason: str, why: str
    ) -> Iterable[bytes]:
        """Answer for the service, and say why."""
        self._tell(environ, status, reason, why)
        return respond(_own(environ, status), environ, start_response)

    def _refuse(
        self, environ: WSGIEnvironment, start_response: StartResponse, status: int, because: str
    ) -> Iterable[bytes]:
        """Answer a request that cannot be sent on, and say so."""
        refusal = _own(environ, status, because)
        refusals.tell(environ, self._logger(), refusal)
        return respond(refusal, environ, start_response)

    def _tell(self, environ: WSGIEnvironment, status: int, reason: str, why: str) -> None:
        """Count a failure, and say why in one line every few seconds."""
        self._events.count(UPSTREAM_FAILURES, reason)
        if self._failing():
            count = self._held_back.take("lines")
            more = f", and {count} more since the last line" if count else ""
            place, number = one_line(netloc(*self._origin_of(environ))), request_id(environ)
            self._logger().error(
                "service at %s: %d, %s (request %s)%s", place, status, one_line(why), number, more
            )
        else:
            self._held_back.add("lines")

    def close(self) -> None:
        """Close the idle connections of this process."""
        self._connections.close()

    def send(self, environ: WSGIEnvironment) -> Body:
        """Send the request; return the answer, its body not yet read. Raises what the steps raise."""
        wish = UpstreamRequest.of(environ)
        key = self._origin_of(environ)
        times = self._times(wish)
        body, chunked = request_body(environ)
        headers = self.headers_of(environ, wish, netloc(*key))
        request = Request(environ["REQUEST_METHOD"], self.target_of(environ), headers, body, chunked)
        connection = self._connect(wish.tries, key, times, _chosen(wish.retries, self.target.retries))
        return self._connections.exchange(key, request, times, connection)

    def _origin_of(self, environ: WSGIEnvironment) -> Origin:
        """Return where a request goes: what a plugin chose, else the target."""
        wish, (scheme, host, port) = UpstreamRequest.of(environ), self._to
        return _chosen(wish.scheme, scheme), _chosen(wish.host, host), _chosen(wish.port, port)

    def _connect(
        self, tries: list[dict[str, object]], key: Origin, times: Times, retries: int
    ) -> http.client.HTTPConnection:
        """Return a connection; nothing was sent on one that cannot be opened, so it may be tried again."""
        while True:
            tries.append({"ip": key[1], "port": key[2]})
            try:
                return self._connections.take(*key, times)
            except NotConnected as error:
                tries[-1]["state"] = "failed"
                if len(tries) > retries or isinstance(error.__cause__, TimeoutError):
                    raise

    def _times(self, wish: UpstreamRequest) -> Times:
        to = self.target
        return Times(
            connect=float(_chosen(wish.connect_timeout, to.connect_timeout)),
            write=float(_chosen(wish.write_timeout, to.write_timeout)),
            read=float(_chosen(wish.read_timeout, to.read_timeout)),
            deadline=None if to.deadline is None else Deadline.after(to.deadline, self._clock),
        )

    def target_of(self, environ: WSGIEnvironment) -> str:
        """Return the request target: a path that a plugin set is complete, any other is put below ours."""
        whole = UpstreamRequest.of(environ).path
        if whole is not None and unescape(whole) == environ.get("PATH_INFO"):
            path = whole
        else:
            path = self._base + request_target.request_path(environ)
        query = escape(str(environ.get("QUERY_STRING", "")), SENDABLE)
        return f"{path or '/'}?{query}" if query else path or "/"

    def headers_of(
        self, environ: WSGIEnvironment, wish: UpstreamRequest, netloc: str
    ) -> list[tuple[str, str]]:
        forwarding = forwarded(environ, self._trusted)
        replaced = {name.lower() for name in forwarding}
        host = wish.host_header
        if host is None:
            host = environ.get("HTTP_HOST") if self.target.preserve_host else None
        others = [item for item in request_headers(environ) if item[0].lower() not in replaced | {"host"}]
        added = [(name, value) for name, value in forwarding.items() if value]
        return [("Host", str(host or netloc)), *others, *added]

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.target.ca_file)
        if not self.target.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _chosen(wish: T | None, own: T) -> T:
    return own if wish is None else wish


class BadRequest(Exception):
    """The request cannot be forwarded as it is."""


# -- headers and body as pure functions ------------------------------------------------------------------


def request_headers(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """Return the request's headers without hop-by-hop fields and without what ``Connection`` names."""
    # What plugmw itself set must not go because a client names it.
    named = {name for name in _named(environ) if not (name in _KEPT or name.startswith(_OURS))}
    wish: UpstreamRequest | None = environ.get(keys.UPSTREAM)
    as_they_came = environ if wish is None or wish.named is None else wish.named
    headers = []
    for name, value in headers_in(environ, str.title):
        lower = name.lower()
        if not (lower in _DROPPED or (lower in named and as_they_came.get(cgi_key(name)) is value)):
            headers.append((name, value))
    return headers


def _named(environ: WSGIEnvironment) -> set[str]:
    return {name.strip().lower() for name in str(environ.get("HTTP_CONNECTION", "")).split(",")}


def noting_named(run: WSGIApplication) -> WSGIApplication:
    """Note the headers that a client names in Connection, before plugins set any of the same name.

    Only what is still the client's own is dropped on the way to a service, else a client could have taken
    away what a plugin says to it.
    """

    def noted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_CONNECTION", "close") not in _USUAL:
            names = map(cgi_key, _named(environ))
            # We compare values with `is` to see whether a plugin replaced the client's; CPython shares
            # one-character strings, so those are skipped.
            as_they_came = {key: environ[key] for key in names if len(environ.get(key, "")) > 1}
            UpstreamRequest.of(environ).named = as_they_came
        return run(environ, start_response)

    return noted


def forwarded(environ: WSGIEnvironment, trusted: Trusted) -> dict[str, str]:
    """Return the X-Forwarded-* and X-Real-IP fields that tell the service about the client.

    Those that a peer sent who is not trusted are replaced (``""``: dropped), save X-Forwarded-For, to
    which the peer is added: how far back it can be believed is for the service to decide.
    """
    peer = str(environ.get("REMOTE_ADDR", ""))
    before = str(environ.get("HTTP_X_FORWARDED_FOR", "")).strip()
    believed = trusted.trusts(environ)
    port = str(environ.get("HTTP_X_FORWARDED_PORT", "")) if believed else ""
    path = str(environ.get("HTTP_X_FORWARDED_PATH", "")) if believed else ""
    prefix = str(environ.get("HTTP_X_FORWARDED_PREFIX", "")) if believed else ""
    return {
        "X-Forwarded-For": f"{before}, {peer}" if before and peer else before or peer,
        "X-Forwarded-Proto": trusted.scheme(environ),
        "X-Forwarded-Host": split_port(trusted.host(environ))[0],
        "X-Forwarded-Port": port or str(environ.get("SERVER_PORT", "")),
        "X-Forwarded-Path": path or request_target.sent(environ).partition("?")[0],
        "X-Forwarded-Prefix": prefix or str(environ.get(keys.STRIPPED_PREFIX, "")),
        "X-Real-IP": str(trusted.client(environ) or peer),
    }


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


def request_body(environ: WSGIEnvironment) -> tuple[Iterable[bytes] | None, bool]:
    """Return (the pieces to send, or None; whether in chunks)."""
    try:
        length = content_length(environ)
    except BadLength:
        raise BadRequest from None
    if length is not None:
        return _exactly(environ["wsgi.input"], length), False
    if environ.get("wsgi.input_terminated") and environ.get("HTTP_TRANSFER_ENCODING"):
        return iter(lambda: _read(environ["wsgi.input"], _STEP), b""), True
    return None, False


def _read(stream: InputStream, size: int) -> bytes:
    try:
        return stream.read(size)
    except OSError as error:
        # Reset, timed out, or chunks that break off: the client's doing, not the service's.
        raise BadRequest("the client's body breaks off") from error


def _exactly(stream: InputStream, left: int) -> Generator[bytes, None, None]:
    while left:
        piece = _read(stream, min(_STEP, left))
        if not piece:
            raise BadRequest("the client sent less than its Content-Length")
        left -= len(piece)
        yield piece


def _is_websocket(environ: WSGIEnvironment) -> bool:
    wanted = str(environ.get("HTTP_CONNECTION", "")).lower().replace(" ", "").split(",")
    return "upgrade" in wanted and str(environ.get("HTTP_UPGRADE", "")).lower() == "websocket"


def _broken(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the body stopped coming"
    return f"the body broke off: {type(error).__name__}"


def _own(environ: WSGIEnvironment, status: int, because: str = "") -> Exit:
    """Return the gateway's own answer in place of the service's."""
    wish = UpstreamRequest.of(environ)
    wish.status, wish.failed = str(status), True
    accept = str(environ.get("HTTP_ACCEPT", ""))
    return answer.error_exit(status, None, None, accept, request_id(environ), because)
