"""A WSGI app that forwards to an HTTP service, streaming both ways with constant memory.

    app = Upstream(Target(url="http://127.0.0.1:9000/api"))

Connections are pooled per process and opened after the fork; cookies, redirects, proxies from the
environment and encodings are left alone: bytes and paths go through as they are. Hop-by-hop fields (RFC
9110 section 7.6.1) are dropped in both directions. Every step has a timeout; a service that is down is
answered 502, one that is slow 504, a WebSocket handshake 501.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import attrs

from plugmw import answer, target
from plugmw.connections import IDLE, Answer, Connections, NotConnected, Times, ask
from plugmw.errors import ConfigError
from plugmw.kernel.deadline import Deadline
from plugmw.trust import Trusted
from plugmw.typedefs import split_port

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Fields that concern one connection only (RFC 9110 section 7.6.1), and what goes with them.
HOP_BY_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade", "http2-settings"),
    )
)
#: What a client cannot have taken away by naming it in Connection (CVE-2024-45410), beside identity headers.
_KEPT: Final = frozenset(("host", "content-length", "content-type", "authorization", "cookie"))
_OURS: Final = ("x-consumer", "x-credential", "x-authenticated", "x-anonymous", "x-forwarded", "x-real-ip")
#: Where headers that a client named in Connection are kept as they came; and what Connection usually says.
_NAMED: Final = "plugmw.upstream.named"
_USUAL: Final = frozenset(("close", "keep-alive", "Close", "Keep-Alive"))
_STEP: Final = 64 * 1024
#: What stays as it is in a target: escapes included, only what cannot be sent is escaped.
_SENDABLE: Final = "".join(map(chr, range(0x21, 0x7F)))
_SAFE: Final = "/!$&'()*+,;=:@~-._"


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
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ConfigError("url", f"got {self.url!r}", "an http or https URL")


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
    ) -> None:
        to.check()
        self.target = to
        parts = urlsplit(to.url)
        self._to = parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._base = parts.path.rstrip("/")
        self._trusted = trusted or Trusted()
        self._clock = clock
        self._connections = Connections(self._context, to.pool_size, to.idle)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if _is_websocket(environ):
            return _fail(environ, start_response, 501)
        try:
            body = self.send(environ)
        except BadRequest:
            return _fail(environ, start_response, 400)
        except TimeoutError:
            return _fail(environ, start_response, 504)
        except NotConnected as error:
            return _fail(environ, start_response, 504 if isinstance(error.__cause__, TimeoutError) else 502)
        except (http.client.HTTPException, OSError, ValueError):
            return _fail(environ, start_response, 502)
        found = body.answer
        environ["plugmw.upstream.status"] = str(found.status)
        line = f"{found.status} {found.reason}" if found.reason else answer.status_line(found.status)
        start_response(line, response_headers(found.headers))
        return body

    def close(self) -> None:
        """Close the idle connections of this process."""
        self._connections.close()

    def send(self, environ: WSGIEnvironment) -> Body:
        """Send the request; return the answer, its body not yet read. Raises what the steps raise."""
        wish: Mapping[str, Any] = environ.get("plugmw.upstream.target") or {}
        scheme, host, port = self._to
        key = wish.get("scheme", scheme), wish.get("host", host), wish.get("port", port)
        times = self._times(wish)
        body, chunked = request_body(environ)
        headers = self.headers_of(environ, wish, _netloc(*key))
        connection = self._connect(environ, key, times, int(wish.get("retries", self.target.retries)))
        try:
            found = ask(
                connection, environ["REQUEST_METHOD"], self.target_of(environ), headers, body, chunked, times
            )
            if found.status < 200:
                found.close()
                raise http.client.HTTPException(f"a final answer {found.status}")
        except BaseException:
            connection.close()
            raise
        return Body(found, connection, lambda: self._connections.give(key, connection))

    def _connect(
        self, environ: WSGIEnvironment, key: tuple[str, str, int], times: Times, retries: int
    ) -> http.client.HTTPConnection:
        """Return a connection; nothing was sent on one that cannot be opened, so it may be tried again."""
        tries: list[dict[str, Any]] = environ.setdefault("plugmw.upstream.tries", [])
        while True:
            tries.append({"ip": key[1], "port": key[2]})
            try:
                return self._connections.take(*key, times)
            except NotConnected as error:
                tries[-1]["state"] = "failed"
                if len(tries) > retries or isinstance(error.__cause__, TimeoutError):
                    raise

    def _times(self, wish: Mapping[str, Any]) -> Times:
        to = self.target
        wanted = {
            name: wish[f"{name}_timeout"] / 1000 if f"{name}_timeout" in wish else float(own)
            for name, own in (
                ("connect", to.connect_timeout),
                ("write", to.write_timeout),
                ("read", to.read_timeout),
            )
        }
        deadline = None if to.deadline is None else Deadline.after(to.deadline, self._clock)
        return Times(**wanted, deadline=deadline)

    def target_of(self, environ: WSGIEnvironment) -> str:
        """Return the request target: a path that a plugin set is complete, any other is put below ours."""
        whole = environ.get("plugmw.upstream.path")
        if whole is not None and _unquoted(whole) == environ.get("PATH_INFO"):
            path = str(whole)
        else:
            path = self._base + request_path(environ)
        query = quote(str(environ.get("QUERY_STRING", "")).encode("latin-1", "replace"), safe=_SENDABLE)
        return f"{path or '/'}?{query}" if query else path or "/"

    def headers_of(
        self, environ: WSGIEnvironment, wish: Mapping[str, Any], netloc: str
    ) -> list[tuple[str, str]]:
        told = forwarded(environ, self._trusted)
        replaced = {name.lower() for name in told}
        host = wish.get("host_header")
        if host is None:
            host = environ.get("HTTP_HOST") if self.target.preserve_host else None
        kept = [item for item in request_headers(environ) if item[0].lower() not in replaced | {"host"}]
        added = [(name, value) for name, value in told.items() if value]
        return [("Host", str(host or netloc)), *kept, *added]

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.target.ca_file)
        if not self.target.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


_PORTS: Final = {"http": 80, "https": 443}


def _netloc(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == _PORTS[scheme] else f"{name}:{port}"


class BadRequest(Exception):
    """The request cannot be forwarded as it is."""


class Body:
    """The service's body as it comes; gives the connection back when it was read whole."""

    def __init__(
        self, found: Answer, connection: http.client.HTTPConnection, give_back: Callable[[], None]
    ) -> None:
        self.answer = found
        self._connection = connection
        self._give_back = give_back

    def __iter__(self) -> Generator[bytes, None, None]:
        # What has arrived is handed on, so that events reach the client at once.
        while chunk := self.answer.read(_STEP):
            yield chunk

    def close(self) -> None:
        whole = self.answer.is_complete
        self.answer.close()
        if whole:
            self._give_back()
        else:
            self._connection.close()


# -- headers, path and body as pure functions ------------------------------------------------------------


def request_headers(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """Return the request's headers without hop-by-hop fields and without what ``Connection`` names."""
    named = _named(environ)
    as_they_came = environ.get(_NAMED, environ)
    made = []
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:]
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            name = key
        else:
            continue
        name = name.replace("_", "-").title()
        lower = name.lower()
        # What plugmw itself set must not go because a client names it.
        if (
            lower in named
            and as_they_came.get(key) is value
            and not (lower in _KEPT or lower.startswith(_OURS))
        ):
            continue
        # Of Expect the server in front has disposed.
        if lower not in HOP_BY_HOP and lower != "expect":
            made.append((name, str(value)))
    return made


def _named(environ: WSGIEnvironment) -> set[str]:
    return {name.strip().lower() for name in str(environ.get("HTTP_CONNECTION", "")).split(",")}


def noting_named(run: WSGIApplication) -> WSGIApplication:
    """Note the headers that a client names in Connection, before plugins set any of the same name.

    Only what is still the client's own is dropped on the way to a service, else a client could have taken
    away what a plugin says to it.
    """

    def noted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_CONNECTION", "close") not in _USUAL:
            keys = [f"HTTP_{name.upper().replace('-', '_')}" for name in _named(environ)]
            # Texts are told apart by identity; one of a single character is the same object for everybody.
            environ[_NAMED] = {key: environ[key] for key in keys if len(environ.get(key, "")) > 1}
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
        "X-Forwarded-Path": path or target.sent(environ).partition("?")[0],
        "X-Forwarded-Prefix": prefix or str(environ.get("plugmw.stripped_prefix", "")),
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


def request_path(environ: WSGIEnvironment) -> str:
    """Return the path to send, in the client's own spelling where that is known and nobody changed it."""
    path = str(environ.get("PATH_INFO", ""))
    script = str(environ.get("SCRIPT_NAME", ""))
    raw = quote(target.sent(environ).partition("?")[0].encode("latin-1", "replace"), safe=_SENDABLE)
    taken = _length_of(script, raw)
    if taken is not None and _unquoted(raw[taken:]) == path:
        return raw[taken:]
    return quote(path.encode("latin-1", "replace"), safe=_SAFE)


def _length_of(script: str, raw: str) -> int | None:
    """Return how much of an escaped path is ``script``, which ends with a segment; None if it is not."""
    taken, read = 0, ""
    while len(read) < len(script) and taken < len(raw):
        end = raw.find("/", taken + 1)
        end = len(raw) if end < 0 else end
        read += _unquoted(raw[taken:end])
        taken = end
    return taken if read == script else None


def _unquoted(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1")


def request_body(environ: WSGIEnvironment) -> tuple[Iterable[bytes] | None, bool]:
    """Return (the pieces to send, or None; whether in chunks)."""
    text = str(environ.get("CONTENT_LENGTH") or "")
    if text:
        if not (text.isascii() and text.isdigit()):
            raise BadRequest
        return _exactly(environ["wsgi.input"], int(text)), False
    if environ.get("wsgi.input_terminated") and environ.get("HTTP_TRANSFER_ENCODING"):
        return iter(lambda: environ["wsgi.input"].read(_STEP), b""), True
    return None, False


def _exactly(stream: Any, left: int) -> Generator[bytes, None, None]:
    while left:
        piece = stream.read(min(_STEP, left))
        if not piece:
            raise BadRequest("the client sent less than its Content-Length")
        left -= len(piece)
        yield piece


def _is_websocket(environ: WSGIEnvironment) -> bool:
    wanted = str(environ.get("HTTP_CONNECTION", "")).lower().replace(" ", "").split(",")
    return "upgrade" in wanted and str(environ.get("HTTP_UPGRADE", "")).lower() == "websocket"


def _fail(environ: WSGIEnvironment, start_response: StartResponse, status: int) -> Iterable[bytes]:
    environ["plugmw.upstream.status"] = str(status)
    request_id = str(environ.get("plugmw.request_id") or "")
    made = answer.error_exit(status, None, None, str(environ.get("HTTP_ACCEPT", "")), request_id)
    start_response(answer.status_line(status), [*made.headers, ("Content-Length", str(len(made.body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [made.body]
