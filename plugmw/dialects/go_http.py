"""Go's ``(w, req)`` handlers as WSGI apps, and WSGI apps as Go's handlers.

    @HandlerFunc
    def handler(w, req):
        if req.url_path != "/hijack-me":
            h.serve_http(w, req)         # any WSGI app, once wrapped: h = as_handler(app)
            return
        w.header()["X-By"] = "me"
        w.write("Hello")

What a handler writes is collected; what an app answers through ``serve_http`` streams to the server as if
there were no handler (a file stays a file). A handler that has to stream is written as a WSGI app.

The semantics are those of Go's ``net/http``: the first status counts, a write without one means 200, no
write at all is an empty 200. Unlike Go's, headers may still be changed after ``serve_http``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import webob
from webob.headers import ResponseHeaders
from werkzeug.wsgi import ClosingIterator

from plugmw.kernel.exchange import own_headers
from plugmw.transform.rewriting import replace_path
from plugmw.wsgi import request_target
from plugmw.wsgi.answer import check_header, status_line
from plugmw.wsgi.paths import full_path, normalise
from plugmw.wsgi.text import decode, encode

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: First parameter names that tell a Go-style function from a WSGI app.
_WRITER_NAMES = ("w", "rw")
#: Statuses without a body (RFC 9110 section 6.4.1); what is written under them is dropped.
_EMPTY = (204, 304)


def canonical(name: str) -> str:
    """Spell a header name as Go does: ``X-Request-Id``."""
    return "-".join(part.capitalize() for part in name.split("-"))


class Request(webob.Request):  # type: ignore[misc]
    """A ``webob.Request`` with Go's ``URL.Path``."""

    @property
    def url_path(self) -> str:
        """The decoded path, normalised: the one that routes and other plugins see."""
        return decode(normalise(full_path(self.environ)), "replace")

    @url_path.setter
    def url_path(self, path: str) -> None:
        """Give whoever comes after another path; the prefix that the app is mounted under stays one."""
        if not path.startswith("/"):
            raise ValueError(f"url_path: got {path!r}, expected a path that starts with /")
        environ, whole = self.environ, encode(path, "surrogateescape")
        request_target.keep(environ)
        script = str(environ.get("SCRIPT_NAME", ""))
        inside = bool(script) and whole.startswith(f"{script}/")
        environ["SCRIPT_NAME"] = script if inside else ""
        replace_path(environ, whole[len(script) :] if inside else whole)


class ResponseWriter:
    """Where a Go-style handler writes its response; also a recorder of what an app answers.

    Used by one thread. ``send``, ``body`` or ``close`` must be called once an app has answered into it.
    """

    def __init__(self) -> None:
        self._line = ""
        self._items: list[tuple[str, str]] = []
        self._own: list[tuple[str, str]] = []
        self._given: list[tuple[str, str]] = []
        self._parts: list[bytes | Iterable[bytes]] = []
        self._server: StartResponse | None = None
        self._write: Callable[[bytes], object] = self._parts.append

    # -- what handlers call -----------------------------------------------------------------------

    def header(self) -> ResponseHeaders:
        """Return the response headers, a live multi-dict (``w.header()["X-A"] = "1"``, ``.add``)."""
        return ResponseHeaders.view_list(self._items)

    def write_header(self, status: int) -> None:
        """Set the status; only the first call counts."""
        if not 200 <= status <= 599:
            raise ValueError(f"status: got {status!r}, expected a number between 200 and 599")
        self._line = self._line or status_line(status)

    def write(self, data: bytes | str) -> int:
        """Add to the body (text as UTF-8), status 200 if there is none; return the number of bytes."""
        if isinstance(data, str):
            data = data.encode()
        elif not isinstance(data, bytes):
            raise TypeError(f"write: got {type(data).__name__}, expected bytes or str")
        self.write_header(200)
        if self.status not in _EMPTY:
            # Go guesses the type from the bytes; guessing lets plain text become a script.
            self.header().setdefault("Content-Type", "text/plain; charset=utf-8")
            self._parts.append(data)
        return len(data)

    # -- what callers of handlers ask -------------------------------------------------------------

    @property
    def status(self) -> int:
        """The status; 0 while nothing was written, which means "go on" to Tyk."""
        return int(self._line[:3]) if self._line else 0

    @property
    def body(self) -> bytes:
        """The whole body; reads what an app answered to its end."""
        try:
            data = b"".join(
                chunk for part in self._parts for chunk in ([part] if isinstance(part, bytes) else part)
            )
        finally:
            self.close()
        self._parts.append(data)
        return data

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Let ``app`` answer into this writer, up to its status and headers."""
        answer = app(environ, self._start)
        if not self._line:
            answer = _started(answer, self)
        self._parts.append(answer)

    def send(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Give status and headers to the server, and return the body; once."""
        first = self._parts[0] if len(self._parts) == 1 else b""
        if not isinstance(first, bytes):
            self._send_head(start_response)
            return first
        # The handler wrote: its response is complete, and so is its length.
        data = self.body
        self.write_header(200)
        if self.status in _EMPTY:
            self.header().pop("Content-Length", None)
        elif data or environ["REQUEST_METHOD"] != "HEAD":
            self.header()["Content-Length"] = str(len(data))
        self._send_head(start_response)
        return [data] if data and environ["REQUEST_METHOD"] != "HEAD" else []

    def close(self) -> None:
        """Close what apps answered, and forget it."""
        parts = self._parts.copy()
        self._parts.clear()
        for part in parts:
            close = getattr(part, "close", None)
            if close is not None:
                close()

    # -- what apps call ---------------------------------------------------------------------------

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Be the start_response of an app."""
        if self._server is not None:
            return self._server(status, headers, exc_info)
        if not self._line:
            self._own = list(self._items)
        if exc_info is not None or not self._line:
            self._line = status
            self._given = list(headers)
            self._items[:] = own_headers(headers, self._own)
        return lambda data: self._write(data)

    def _send_head(self, start_response: StartResponse) -> None:
        # An app's headers are the server's business; those of handlers are checked here.
        for name, value in self._items:
            if (name, value) not in self._given:
                check_header(name, value)
        self._server = start_response
        self._write = start_response(self._line, self._items)


def _started(iterable: Iterable[bytes], writer: ResponseWriter) -> Iterable[bytes]:
    """Iterate until the app has called start_response; return an equal iterable."""
    close = getattr(iterable, "close", None)
    chunks = []
    try:
        iterator = iter(iterable)
        for chunk in iterator:
            chunks.append(chunk)
            if writer.status:
                break
        if not writer.status:
            raise RuntimeError("the app ended without calling start_response")
    except BaseException:
        if close is not None:
            close()
        raise
    return ClosingIterator(chain(chunks, iterator), close)


class HandlerFunc:
    """A function ``(w, req)`` as a handler: Go's ``http.HandlerFunc``, and a WSGI app as well."""

    def __init__(self, function: Callable[[ResponseWriter, Request], object]) -> None:
        self.serve_http = function

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        writer = ResponseWriter()
        try:
            self.serve_http(writer, Request(environ))
            return writer.send(environ, start_response)
        except BaseException:
            writer.close()
            raise


class AppHandler:
    """A WSGI app as a handler: ``h.serve_http(w, req)`` and ``h(environ, start_response)``."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def serve_http(self, w: ResponseWriter, req: webob.Request) -> None:
        """Let the app answer into ``w``."""
        w.run(self.app, req.environ)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start_response)


def as_handler(candidate: Any) -> WSGIApplication:
    """Return a handler (``serve_http`` and a WSGI app at once) for whatever stands for one.

    A handler stays as it is; an object with ``serve_http`` alone, or a function whose first parameter
    is called ``w`` or ``rw``, is Go's; any other callable is a WSGI app. Else raises ``TypeError``.
    """
    serve = getattr(candidate, "serve_http", None)
    if serve is not None:
        return candidate if callable(candidate) else HandlerFunc(serve)
    if not callable(candidate):
        raise TypeError(f"got {candidate!r}, expected a WSGI app or a handler (w, req)")
    return HandlerFunc(candidate) if _first_parameter(candidate) in _WRITER_NAMES else AppHandler(candidate)


def _first_parameter(function: Callable[..., object]) -> str | None:
    try:
        return next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):  # callables written in C
        return None
