"""The WSGI side of an exchange: start_response wrapper, response iterable and ``close`` in one object.

:mod:`plugmw.chain` derives a class from :class:`Flow` for each compiled chain and adds straight-line
methods: ``_start`` (the start_response given to the app), ``_filter_headers``, ``_respond``, ``_log`` and
``_pick``. What is here is the part that is the same for every chain.

    server -> run(environ, start_response)        access, in order
                app(environ, x._start)            header_filter when the app calls it
                x._begin(iterable)                body_filter while the server iterates
    server -> x.close()                           the app's close(), then log
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from plugmw import answer
from plugmw.body import rewrap_file
from plugmw.errors import PhaseError
from plugmw.exchange import Exchange, own_headers

if TYPE_CHECKING:
    from plugmw.chain import Chain

#: Of a changed body these say something false (RFC 9110 section 8); Content-Length is the kernel's.
_ABOUT_THE_BODY = frozenset(("content-encoding", "etag", "content-md5", "accept-ranges", "digest"))

_NONE: Iterable[bytes] = ()


class Flow(Exchange):
    """An exchange that is its own start_response wrapper and response iterable."""

    _chain: ClassVar[Chain]
    _logs: ClassVar[bool] = False
    _it: Iterable[bytes] = _NONE
    _closed = False
    #: What goes out instead of the app's body, once a plugin or a failure replaced it.
    _instead: bytes | None = None
    #: The body filters of this response; with any, start_response is held until the first bytes.
    _filters: list[Any] | tuple[()] = ()
    _opened = False
    _ended = False
    _exc_info: Any = None
    _early: list[tuple[str, str]] | None = None
    _collected: list[bytes] | None = None
    _write: Callable[[bytes], object] | None = None

    # Made by plugmw.chain.
    _start: Any
    _filter_headers: Callable[[], None]
    _respond: Callable[[], None]
    _log: Callable[[], None]
    _pick: Callable[[], None]

    # -- what plugins may call beside the exchange ------------------------------------------------

    @property
    def body(self) -> bytes:
        """The whole response body. Read it in the response phase; set it there or in header_filter.

        Content-Length follows. Headers that describe the old bytes (Content-Encoding, ETag, Content-MD5,
        Accept-Ranges) go when the body is set: a plugin that encodes it sets Content-Encoding after it.
        """
        if self.phase != "response":
            raise PhaseError("body", self.phase, ("response",))
        return self._instead or b""

    @body.setter
    def body(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"body: got {type(data).__name__}, expected bytes")
        if self.phase not in ("response", "header_filter"):
            raise PhaseError("body", self.phase, ("response", "header_filter"))
        self._instead = data
        self.forget_body_headers()
        self._set_length(len(data))

    def forget_body_headers(self) -> None:
        """Drop the headers that describe the body's bytes, for a plugin that is going to change it."""
        items = self.header_list or []
        items[:] = [item for item in items if item[0].lower() not in _ABOUT_THE_BODY]

    def end_body(self) -> None:
        """End the response body with what this call of ``body_filter`` returns; later chunks are dropped."""
        self._ended = True

    # -- the request goes in ----------------------------------------------------------------------

    def _halt(self, error: BaseException) -> Iterable[bytes]:
        """Answer for a plugin that exited or failed before the app was called."""
        if not isinstance(error, (answer.Exit, Exception)):
            self._last(error)
            raise error
        self._become(error)
        self._pick()
        return self._send()

    def _become(self, error: BaseException) -> None:
        """Make the response that an exit or a failure stands for."""
        if not isinstance(error, answer.Exit):
            self.source = "error"
            self.error = error
            self._chain.report(self, error)
            error = self._broken()
        elif self.source != "error":
            self.source = "exit"
        self._instead = error.body
        self.header_list = own_headers(error.headers, self._early or self._pending())
        self.status_line = answer.status_line(error.status)

    def _broken(self) -> answer.Exit:
        """Return the one answer to every failure: nothing of the cause is in it."""
        accept = self.environ.get("HTTP_ACCEPT", "")
        return answer.error_exit(500, answer.UNEXPECTED, None, accept, self.request_id)

    def _pending(self) -> list[tuple[str, str]]:
        """Return the headers plugins asked for while there was no response."""
        return (self.header_list or []) if not self.status_line else []

    def _merge(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Put the headers plugins asked for early on the app's."""
        if not self.status_line:
            self._early = self.header_list
        return own_headers(headers, self._early) if self._early else list(headers)

    def _crash(self, error: BaseException) -> Iterable[bytes]:
        """The app raised at the call: the server gets the exception, unless it shall be answered."""
        self.source = "error"
        self.error = error
        if self.runtime.answer_crashes and isinstance(error, Exception):
            # With exc_info the server itself raises again if headers are on their way already.
            self._exc_info = (type(error), error, error.__traceback__)
            self._become(error)
            return self._send()
        self._last(error)
        raise error

    def _last(self, error: BaseException) -> None:
        """Run the log phase for an exchange that ends by an exception."""
        self.source = "error"
        self.error = error
        if not self.status_line:
            self.status_line = answer.status_line(500)
        if not self._closed:
            self._closed = True
            self.phase = "log"
            self._log()

    # -- status and headers come back -------------------------------------------------------------

    def _filter_failed(self, error: BaseException) -> None:
        """A header_filter exited (the lower ones still run) or failed (a clean 500 goes out)."""
        if not isinstance(error, (answer.Exit, Exception)):
            raise error
        self._become(error)
        self._set_length(len(self._instead or b""))
        if isinstance(error, answer.Exit):
            try:
                self._chain.filter_headers_below(self, error)
            except BaseException as again:
                if not isinstance(again, Exception):
                    raise
                self._become(again)
                self._set_length(len(self._instead or b""))

    def _open(self, exc_info: Any) -> Callable[[bytes], object]:
        """Go on after header_filter: hold the headers back if a body filter wants this body."""
        self._filters = self._chain.body_filters(self) if self._has_body() else ()
        if not self._filters or self._opened:
            return self._tell(exc_info)
        self._exc_info = exc_info
        return self._write_filtered

    def _tell(self, exc_info: Any = None) -> Callable[[bytes], object]:
        """Give status and headers to the server."""
        self._opened = True
        write: Callable[[bytes], object] = self._server(self.status_line, self.header_list or [], exc_info)
        if self._instead is not None:
            return _swallow
        return write

    def _has_body(self) -> bool:
        """Whether this response may have a body (RFC 9110 section 6.4.1)."""
        status = self.status_line[:3]
        return not (status in ("204", "304") or status[:1] == "1" or self.environ["REQUEST_METHOD"] == "HEAD")

    def _set_length(self, length: int) -> None:
        """Make Content-Length say ``length``."""
        self.remove_header("Content-Length")
        if self.status_line[:3] not in ("204", "304") and self.status_line[:1] != "1":
            self.add_header("Content-Length", str(length))

    def _declared(self) -> int | None:
        """Return the Content-Length the app gave, if it is one."""
        text = self.response_header("content-length")
        return int(text) if text and text.isascii() and text.isdigit() else None

    # -- the body comes back ----------------------------------------------------------------------

    def _begin(self, iterable: Iterable[bytes]) -> Iterable[bytes]:
        """Take the app's iterable; return what the server shall iterate, the same if possible."""
        self._it = iterable
        if self._chain.responds and not self._opened:
            return self._buffered()
        if self.status_line and self._instead is None and not self._filters:
            if not self._logs:
                return iterable
            return rewrap_file(self.environ, iterable, self.close) or self
        return self

    def __iter__(self) -> Any:
        if self.status_line and self._instead is None and not self._filters:
            return iter(self._it)
        return self._drain()

    def __len__(self) -> int:
        # Servers ask for the length to see whether there is one chunk (wsgiref then sets Content-Length).
        if self.status_line and self._instead is None and not self._filters:
            return len(self._it)  # type: ignore[arg-type]
        raise TypeError("this response has no known number of chunks")

    def __bool__(self) -> bool:
        return True

    def _drain(self) -> Generator[bytes, None, None]:
        """Iterate when the app starts late, when its body was replaced or when it is filtered."""
        iterator = iter(self._it)
        first = b""
        if self._instead is None:
            # The first chunk makes a lazy app call start_response.
            for first in iterator:
                if first or self._filters or self._instead is not None:
                    break
                yield first
        if self._instead is not None:
            yield from self._whole(self._instead)
        elif self._filters:
            yield from self._filtered(first, iterator)
        else:
            if first:
                yield first
            yield from iterator

    def _filtered(self, first: bytes, rest: Iterable[bytes]) -> Generator[bytes, None, None]:
        """Filter chunk by chunk; the headers go out with the first bytes that come through.

        A body that is complete by its Content-Length before then goes out with its new length; any
        other loses the Content-Length, because nobody can know it.
        """
        declared = self._declared()
        held: list[bytes] = []
        seen = 0
        for chunk in _chain(first, rest):
            if not chunk:
                if self._opened:
                    yield chunk
                continue
            seen += len(chunk)
            out = self._apply(chunk, False)
            if self._instead is not None:
                yield from self._whole(self._instead)
                return
            if out and self._opened:
                yield out
            elif out:
                held.append(out)
            if self._ended:
                break
            if held and seen != declared:
                self._open_stream()
                yield b"".join(held)
                held.clear()
        tail = b"" if self._ended else self._apply(b"", True)
        if self._opened:
            if tail:
                yield tail
            return
        if self._instead is not None:
            yield from self._whole(self._instead)
            return
        whole = b"".join([*held, tail])
        if whole or declared is not None:
            self._set_length(len(whole))
        self._tell(self._exc_info)
        if whole:
            yield whole

    def _apply(self, chunk: bytes, eof: bool) -> bytes:
        """Send a chunk through the filters; before the headers went out a failure is a clean 500."""
        for plugin in self._filters:
            self.phase = "body_filter"
            try:
                chunk = plugin.body_filter(self, chunk, eof)
                if not isinstance(chunk, bytes):
                    raise TypeError(f"body_filter returned {type(chunk).__name__}, expected bytes")
            except Exception as error:
                self._chain.report(self, error, plugin)
                self.error, self.source = error, "error"
                if self._opened:
                    raise
                self._filters = ()
                self._become_broken()
                return b""
            eof = eof or self._ended
        return chunk

    def _become_broken(self) -> None:
        """Replace a response whose body could not be filtered and of which nothing was sent."""
        broken = self._broken()
        self._instead, self.header_list = broken.body, broken.headers
        self.status_line = answer.status_line(500)

    def _open_stream(self) -> None:
        if not all(plugin.keeps_length for plugin in self._filters):
            self.remove_header("Content-Length")
        self._write = self._tell(self._exc_info)

    def _write_filtered(self, data: bytes) -> None:
        """Be the ``write`` callable of an app whose body is filtered."""
        out = self._apply(data, False)
        if not self._opened and self._instead is None:
            self._open_stream()
        if out and self._write is not None:
            self._write(out)

    def _whole(self, data: bytes) -> list[bytes]:
        """Filter a body that is known whole, give it its length, start the response."""
        if not self._opened:
            if self._filters:
                done = self._apply(data, False)
                if self._filters and not self._ended:
                    done += self._apply(b"", True)
                data = done if self._filters else self._instead or b""
            # Of a 304 or a HEAD answer the app's own Content-Length describes the body left out.
            if self._has_body() or self._declared() is None:
                self._set_length(len(data))
            self._instead = data
            self._tell(self._exc_info)
        return [data] if data and self._has_body() else []

    def _send(self) -> Iterable[bytes]:
        """Send an answer whose body is known: header filters, body filters, length, start."""
        self.phase = "header_filter"
        try:
            self._filter_headers()
        except BaseException as error:
            self._filter_failed(error)
        self._filters = self._chain.body_filters(self) if self._has_body() else ()
        out = self._whole(self._instead or b"")
        self._filters = ()
        self._instead = None
        if self._it is not _NONE:
            self._close_app()
        self._it = out
        return self if self._logs else out

    def _buffered(self) -> Iterable[bytes]:
        """Read the whole answer for the response phase, then send it."""
        parts = self._collected if self._collected is not None else []
        size = sum(map(len, parts))
        limit = self.runtime.max_response_body
        iterator = iter(self._it)
        try:
            for chunk in iterator:
                if self._opened:
                    # The app started late and nobody wants this answer whole (an upgrade).
                    self._it = _Resumed(chunk, iterator, self._it)
                    return self
                parts = self._collected if self._collected is not None else parts
                parts.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise _TooLarge(f"the response is larger than max_response_body, {limit} bytes")
        except _TooLarge as error:
            self._become(error)
            return self._send()
        except BaseException as error:
            self._close_app()
            return self._crash(error)
        if not self.status_line:
            return self
        self._instead = b"".join(parts)
        try:
            self._respond()
        except BaseException as error:
            if not isinstance(error, (answer.Exit, Exception)):
                raise
            self._become(error)
        return self._send()

    # -- the end ----------------------------------------------------------------------------------

    def _close_app(self) -> None:
        close, self._it = getattr(self._it, "close", None), _NONE
        if close is not None:
            close()

    def close(self) -> None:
        """Close the app's iterable and run the log phase, once, whatever the app's close does."""
        if self._closed:
            return
        self._closed = True
        try:
            close = getattr(self._it, "close", None)
            if close is not None:
                close()
        finally:
            self.phase = "log"
            self._log()


class _TooLarge(Exception):
    """A response that a plugin must see whole is over the limit."""


class _Resumed:
    """An iterable of which one chunk was taken already."""

    def __init__(self, first: bytes, rest: Iterable[bytes], whole: Any) -> None:
        self._first = first
        self._rest = rest
        self.close = getattr(whole, "close", None) or (lambda: None)

    def __iter__(self) -> Generator[bytes, None, None]:
        yield self._first
        yield from self._rest


def _chain(first: bytes, rest: Iterable[bytes]) -> Generator[bytes, None, None]:
    if first:
        yield first
    yield from rest


def _swallow(data: bytes) -> None:
    """Be the ``write`` of an app whose body was replaced."""
