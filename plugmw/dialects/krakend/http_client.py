"""The client that asks backends over HTTP: a WSGI app, as an ``http-client`` plugin is one.

The environ says where to (``wsgi.url_scheme``, ``SERVER_NAME``, ``SERVER_PORT``, ``RAW_URI``) and, in its
:class:`~plugmw.dialects.krakend.forwarding.Call`, until when. Bodies stream both ways. As Go's client it
follows redirects, at most ten, and asks for gzip and unpacks it if the request asks for nothing itself.
Unlike Go's it takes no proxy from the environment, and sends what could be a credential only to the very same
origin.

Raises :class:`~plugmw.dialects.krakend.failures.BackendError`.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import attrs

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.krakend.failures import TOO_LATE, BackendError
from plugmw.upstream.connections import Answer, Body, Connections, NotConnected, Request, Times
from plugmw.upstream.forwarding import request_body, request_headers, response_headers
from plugmw.wsgi import keys
from plugmw.wsgi.answer import status_line
from plugmw.wsgi.headers import first
from plugmw.wsgi.paths import SENDABLE, escape, full_path, unescape
from plugmw.wsgi.urls import Origin, origin

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: As many as Go's client follows.
REDIRECTS: Final = 10
#: What goes along to another origin: any other header may be a credential, whatever its name.
_HARMLESS: Final = frozenset(
    (
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-type"),
        *("if-modified-since", "if-none-match", "pragma", "range", "user-agent", "x-forwarded-via"),
    )
)
_STEP: Final = 64 * 1024

Headers = list[tuple[str, str]]


@attrs.frozen
class _Request:
    """One request, before or after a redirect."""

    url: str
    method: str
    headers: Headers
    pieces: Iterable[bytes] | None
    chunked: bool

    @property
    def origin(self) -> Origin:
        return origin(self.url)

    def send(self, connections: Connections, times: Times) -> Body:
        """Ask, and return the beginning of the answer."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = [("Host", parts.netloc.rpartition("@")[2]), *self.headers]
        request = Request(self.method, target, headers, self.pieces, self.chunked)
        return connections.exchange(self.origin, request, times)

    def after(self, answer: Answer) -> _Request | None:
        """Return the request that an answer asks for, None if it is to be taken as it is."""
        location = first(answer.headers, "location") or ""
        if answer.status not in (301, 302, 303, 307, 308) or not location:
            return None
        method, pieces, headers = self.method, self.pieces, self.headers
        if answer.status < 307:
            method = method if method in ("GET", "HEAD") else "GET"
            headers = [item for item in headers if not item[0].lower().startswith("content-")]
        elif pieces is not None:
            # The body is gone, as it was streamed; Go takes such an answer as it is, too.
            return None
        following = attrs.evolve(
            self, url=self._join(location), method=method, headers=headers, pieces=None, chunked=False
        )
        if following.origin == self.origin:
            return following
        kept = [item for item in headers if item[0].lower() in _HARMLESS]
        return attrs.evolve(following, headers=kept)

    def _join(self, location: str) -> str:
        try:
            url = urljoin(self.url, escape(location, SENDABLE))
            origin(url)
        except ValueError:
            raise BackendError("redirected to what is no http or https URL") from None
        return url


class HTTPClient:
    """One for a process: connections are pooled, and opened in the process that uses them. Thread-safe."""

    def __init__(self) -> None:
        self._connections = Connections(ssl.create_default_context)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = _first(environ)
        gzip = not any(name == "Accept-Encoding" for name, _ in request.headers)
        if gzip:
            request.headers.append(("Accept-Encoding", "gzip"))
        body = self._follow(request, environ[keys.KRAKEND_CALL].deadline)
        try:
            answer = body.answer
            headers = response_headers(answer.headers)
            pieces: Iterable[bytes] = _ResponseBody(body)
            if gzip and is_gzip(headers):
                headers = [
                    item for item in headers if item[0].lower() not in ("content-encoding", "content-length")
                ]
                pieces = Unpacked(pieces)
            start_response(
                f"{answer.status} {answer.reason}" if answer.reason else status_line(answer.status), headers
            )
        except BaseException:
            body.close()
            raise
        return pieces

    def close(self) -> None:
        """Close the idle connections of this process."""
        self._connections.close()

    def _follow(self, request: _Request, deadline: Deadline) -> Body:
        times = Times(connect=_LONG, write=_LONG, read=_LONG, deadline=deadline)
        with _NetworkErrors():
            for _ in range(REDIRECTS + 1):
                body = request.send(self._connections, times)
                try:
                    following = request.after(body.answer)
                except BaseException:
                    body.close()
                    raise
                if following is None:
                    return body
                body.close()
                request = following
        raise BackendError(f"stopped after {REDIRECTS} redirects")


#: Seconds; the deadline of the call is what counts.
_LONG: Final = 3600.0


def _first(environ: WSGIEnvironment) -> _Request:
    host, query = environ["HTTP_HOST"], escape(environ["QUERY_STRING"], SENDABLE)
    # A client plugin may have changed any of it before it asked.
    path = environ["RAW_URI"].partition("?")[0]
    if unescape(path) != full_path(environ):
        path = escape(full_path(environ))
    pieces, chunked = request_body(environ)
    skipped = ("Host", "Transfer-Encoding")
    headers = [item for item in request_headers(environ) if item[0] not in skipped]
    url = f"{environ['wsgi.url_scheme']}://{host}{path}" + (f"?{query}" if query else "")
    return _Request(url, environ["REQUEST_METHOD"], headers, pieces, chunked)


# -- bodies ----------------------------------------------------------------------------------------------


class _NetworkErrors:
    """Raise network errors as :class:`BackendError`, whose text may be sent to clients."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        late = isinstance(error, TimeoutError) or isinstance(error and error.__cause__, TimeoutError)
        if late:
            raise BackendError(TOO_LATE) from error
        if isinstance(error, NotConnected):
            raise BackendError("no connection") from error
        if isinstance(error, (OSError, http.client.HTTPException)):
            raise BackendError("invalid response") from error


class _ResponseBody:
    """A body whose reading fails with a :class:`BackendError`."""

    def __init__(self, body: Body) -> None:
        self.close = body.close
        self._pieces = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with _NetworkErrors():
            return next(self._pieces)


def is_gzip(headers: Headers) -> bool:
    """Say whether a body comes packed with gzip."""
    return any(name.lower() == "content-encoding" and value.lower() == "gzip" for name, value in headers)


class Unpacked:
    """A gzip body, unpacked in pieces of a limited size."""

    def __init__(self, packed: Iterable[bytes]) -> None:
        self._packed = packed

    def __iter__(self) -> Generator[bytes, None, None]:
        unpacker, begun = zlib.decompressobj(wbits=31), False
        try:
            for piece in self._packed:
                more = False
                while piece or more:
                    begun = True
                    data = unpacker.decompress(piece, _STEP)
                    if data:
                        yield data
                    # At the limit there may be more to come of what it has taken in already.
                    piece, more = unpacker.unconsumed_tail, len(data) == _STEP
                    if unpacker.eof:
                        more = False
                        # Several members are one stream (RFC 1952 section 2.2).
                        piece, unpacker, begun = unpacker.unused_data, zlib.decompressobj(wbits=31), False
        except zlib.error as error:
            raise BackendError("invalid response") from error
        if begun:
            raise BackendError("invalid response: cut short")

    def close(self) -> None:
        close = getattr(self._packed, "close", None)
        if close is not None:
            close()
