"""The response side of an exchange: whole, or filtered chunk by chunk as the app yields it.

The head (status and headers) is held back while a filter may still fail or the length may still change, so
that what goes wrong before the first byte is answered by a clean 500 and a length that is sent is true.

Where a response stands is one field, ``_state``:

    ==========  ===============  =====================================================================
    state       the head is      the body
    ==========  ===============  =====================================================================
    WAITING     not known        nobody has answered yet
    COLLECTING  held back        the app's is read whole, for ``response``
    HELD        held back        is known whole (``_body``), or no body filter has seen a byte of it
    FILTERING   held back        the filters have seen bytes of it and have let none through
    STARTED     with the server  goes through as the app yields it
    STREAMING   with the server  bytes are out; the rest goes through as it comes, or filtered
    SENT        with the server  is whole in ``_out``, which the server iterates
    CLOSED      any of these     the app's iterable is closed; ``log`` runs
    ==========  ===============  =====================================================================

What happens, and the state after it:

    ========================  ========================================================================
    event                     in which state: what follows
    ========================  ========================================================================
    a plugin exits or fails   WAITING: header_filter and body_filter run over its answer; SENT
    before the app is called
    the app calls             WAITING: COLLECTING if a plugin wants the answer whole; else header_filter
    start_response            runs, then HELD if a body filter wants the body, SENT if header_filter
                              replaced it, STARTED if nobody touches it
    ... again, with exc_info  up to FILTERING: as the first time, and the first answer is forgotten (but
                              FILTERING stays: a filter may have kept bytes of it); from STARTED: the
                              server takes the new head, or raises, which is STREAMING
    a chunk comes, by the     COLLECTING: kept; HELD: FILTERING, and STREAMING once a filter lets bytes
    iterable or by write()    through; STARTED, STREAMING: passed on; the body was replaced: dropped
    the app's body ends       COLLECTING: response, header_filter and body_filter run; SENT.
                              HELD, FILTERING: a true Content-Length, the head and what was held; STREAMING
    a body filter calls       the other filters get their end and later chunks are dropped; the state
    end_body                  follows as when the app's body ends
    a body filter fails or    HELD: left out if it is open; HELD, FILTERING: a 500 that nobody filters;
    exits                     SENT. From STARTED: raised to the server, which cuts the response
    the app raises            is raised to the server; with ``answer_crashes``, and from an app that a
                              plugin delegated to: up to STARTED a 500, SENT; in STREAMING and SENT that
                              500 is tried with exc_info if the app was in its call, else raised
    close()                   CLOSED, once
    ========================  ========================================================================

A late app, which calls start_response when it is iterated, passes the same states; if its chain has body
filters, what it raises in STARTED is raised to the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

from plugmw.errors import PhaseError
from plugmw.kernel.exchange import Exchange, own_headers
from plugmw.kernel.user_code import UserCodeError, is_failure
from plugmw.wsgi import answer
from plugmw.wsgi.headers import first

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

    from plugmw.kernel.chain import Chain

#: Of a changed body these say something false (RFC 9110 section 8); Content-Length is the kernel's.
ABOUT_THE_BODY = frozenset(("content-encoding", "etag", "content-md5", "accept-ranges", "digest"))


class ResponseState(IntEnum):
    """How far a response has come; from STARTED on the server has its head."""

    WAITING = 0
    COLLECTING = 1
    HELD = 2
    FILTERING = 3
    STARTED = 4
    STREAMING = 5
    SENT = 6
    CLOSED = 7


# Looked up once: several are read for every request.
WAITING, COLLECTING, HELD, FILTERING, STARTED, STREAMING, SENT, CLOSED = ResponseState


class BodyFilter(Protocol):
    """A plugin with ``body_filter``."""

    @property
    def keeps_length(self) -> bool: ...

    def body_filter(self, x: RespondingExchange, chunk: bytes, eof: bool, /) -> bytes: ...


class RespondingExchange(Exchange):
    """An exchange with its response side, for :class:`plugmw.kernel.response_iterable.ResponseIterable`."""

    _chain: ClassVar[Chain]
    _measures: ClassVar[bool]
    _watches: ClassVar[bool]
    _state: ResponseState = WAITING
    #: The body that goes out whole: the app's, once a plugin read it, or what replaced the app's.
    _body: bytes | None = None
    #: The chunks of an answer that is read whole; None where the body is not the app's.
    _collected: list[bytes] | None = None
    #: Bytes of the app's body that were collected (also those above the limit) or filtered so far.
    _received = 0
    #: Filtered output buffered until the head goes out; in SENT the chunks of the whole body.
    _out: Sequence[bytes] = ()
    #: The body filters of this response.
    _filters: Sequence[BodyFilter] = ()
    #: Whether a body filter has ended the body.
    _ended = False
    #: What the app gave to start_response while the head is held back, for the server.
    _exc_info: OptExcInfo | None = None
    #: The headers that plugins asked for before the app answered.
    _early: list[tuple[str, str]] | None = None
    #: The server's ``write``, for an app that writes what is filtered.
    _write: Callable[[bytes], object]

    # -- what plugins may call beside the exchange ------------------------------------------------

    @property
    def body(self) -> bytes:
        """The whole response body. Read it in the response phase; set it there or in header_filter.

        To HEAD there is none to see, whatever the app has sent. Content-Length follows what is set. Headers
        that describe the old bytes (Content-Encoding, ETag, Content-MD5, Accept-Ranges) go when it is set: a
        plugin that encodes it sets Content-Encoding after it.
        """
        if self.phase != "response":
            raise PhaseError("body", self.phase, ("response",))
        if self._body is None:
            self._body = b"".join(self._collected or ()) if self._has_body() else b""
        return self._body

    @body.setter
    def body(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"body: got {type(data).__name__}, expected bytes")
        if self.phase not in ("response", "header_filter"):
            raise PhaseError("body", self.phase, ("response", "header_filter"))
        self._body, self._collected = data, None
        self.forget_body_headers()
        if self.phase == "response" and self.method == "HEAD" and self.source == "service":
            # Made from the app's answer to HEAD: how long the answer to GET is, nobody knows.
            self.remove_header("Content-Length")
        else:
            self._set_length(len(data))

    def forget_body_headers(self) -> None:
        """Drop the headers that describe the body's bytes, for a plugin that is going to change it.

        To a HEAD request or with a 304, where the kernel cannot count the bytes, Content-Length goes too.
        """
        items = self.header_list or []
        items[:] = [item for item in items if item[0].lower() not in ABOUT_THE_BODY]
        if self.status_line and not self._has_body():
            self.remove_header("Content-Length")

    def end_body(self) -> None:
        """End the response body with what this call of ``body_filter`` returns; later chunks are dropped."""
        if self.phase != "body_filter":
            raise PhaseError("end_body", self.phase, ("body_filter",))
        self._ended = True

    # -- status and headers -----------------------------------------------------------------------

    def _answer_with(self, error: BaseException, plugin: object = None) -> None:
        """Replace the response by that of an exit or a failure (of ``plugin``, if that is known)."""
        if not isinstance(error, answer.Exit):
            self._note(error)
            self._chain.report(self, error, plugin)
            accept = self.environ.get("HTTP_ACCEPT", "")
            # The one answer to every failure: nothing of the cause is in it.
            error = answer.error_exit(500, answer.UNEXPECTED, None, accept, self.request_id)
        elif self.source != "error":
            self.source = "exit"
            if error.status >= 400:
                self._chain.refused(self, error, plugin)
        if not self.status_line:
            self._early = self.header_list
        self._body, self._collected = error.body, None
        self.header_list = own_headers(error.headers, self._early or ())
        self.status_line = answer.status_line(error.status)

    def _drop_body(self) -> None:
        if self.phase == "header_filter":
            self._body, self._collected = b"", None
        # With 304 the app's own length is that of what the client has (RFC 9110 section 8.6).
        if self.status != 304:
            self.remove_header("Content-Length")

    def _note(self, error: BaseException) -> None:
        """Remember what broke the exchange, for the log phase."""
        self.source = "error"
        self.error = error

    def _give_head(self, state: ResponseState, exc_info: OptExcInfo | None) -> Callable[[bytes], object]:
        """Enter ``state`` and give status and headers to the server; return its ``write``."""
        self._state = state
        self._exc_info = None
        headers = self.header_list or []
        if exc_info is None:
            return self._server(self.status_line, headers)
        return self._server(self.status_line, headers, exc_info)

    def _replace(self, exc_info: OptExcInfo | None) -> Callable[[bytes], object]:
        """Start the response after header_filter has replaced the body; return the app's ``write``."""
        self._out = [self._body] if self._body and self._has_body() else ()
        self._give_head(SENT, exc_info)
        return _swallow

    def _has_body(self) -> bool:
        """Whether this response may have a body (RFC 9110 section 6.4.1)."""
        return self.environ.get("REQUEST_METHOD") != "HEAD" and self._has_content()

    def _has_content(self) -> bool:
        """Whether a response of this status may have a body."""
        return self.status_line[:3] not in ("204", "304") and self.status_line[:1] != "1"

    def _set_length(self, length: int) -> None:
        """Make Content-Length say ``length``, in its place if there is one."""
        if not self._has_content():
            return self.remove_header("Content-Length")
        items = self.header_list = self.header_list or []
        places = [place for place, item in enumerate(items) if item[0].lower() == "content-length"]
        if len(places) == 1:
            place = places[0]
            if items[place][1] != str(length):
                items[place] = items[place][0], str(length)
        else:
            self.remove_header("Content-Length")
            items.append(("Content-Length", str(length)))

    def _declared(self) -> int | None:
        """Return the Content-Length in the headers, if there is one."""
        text = first(self.header_list or (), "content-length")
        return int(text) if text and text.isascii() and text.isdigit() else None

    # -- a body that is known whole ---------------------------------------------------------------

    def _send_whole(self) -> None:
        """Filter a body that is known whole, give it its length, start the response.

        What nobody changed goes out in the chunks in which it came, with the headers it came with.
        """
        chunks = [self._body or b""] if self._collected is None else self._collected
        if self._filters:
            chunks = self._filtered_whole(chunks)
            if self._collected is None or self._declared() is not None:
                self._set_length(sum(map(len, chunks)))
        elif self._collected is None and (self._has_body() or self.source != "service"):
            # To HEAD, an app's own Content-Length describes the body that it left out.
            self._set_length(len(chunks[0]))
        self._give_head(SENT, self._exc_info)
        # What an app sends to HEAD, and nobody changed, is the server's to drop.
        goes_out = self._has_body() or (self._collected is not None and self._has_content())
        self._out = [chunk for chunk in chunks if chunk] if goes_out else []

    def _filtered_whole(self, chunks: Iterable[bytes]) -> list[bytes]:
        before = self._body
        filtered = []
        for chunk in chunks:
            if chunk and not self._ended:
                filtered.append(self._apply(chunk, False))
        if not self._ended:
            filtered.append(self._apply(b"", True))
        return filtered if self._body is before else [self._body or b""]

    def _read_answer(self, exc_info: OptExcInfo | None) -> Callable[[bytes], object]:
        """Go on in start_response when the answer is read whole; return the app's ``write``."""
        self._state = COLLECTING
        self.phase = "response"
        self._exc_info = exc_info
        self._collected = []
        return self._collect

    def _collect(self, data: bytes) -> None:
        """Keep a chunk of an answer that is read whole; also the ``write`` of its app."""
        self._received += len(data)
        if self._collected is not None and self._received <= self.runtime.max_response_body:
            self._collected.append(data)

    # -- a body that is filtered as it comes ------------------------------------------------------

    def _open(self, exc_info: OptExcInfo | None) -> Callable[[bytes], object]:
        """Go on after header_filter: hold the head back if a body filter wants this body."""
        self._filters = self._chain.body_filters(self) if self._has_body() else ()
        if self._filters and self._state < STARTED:
            if self._state is not FILTERING:
                self._state = HELD
            self._exc_info = exc_info
            return self._write_filtered if self._body is None else _swallow
        if self._body is not None:
            return self._replace(exc_info)
        self._write = self._give_head(STREAMING if self._state is STREAMING else STARTED, exc_info)
        return self._write_counted if self._measures else self._write

    def _filtered(self, chunk: bytes | None, rest: Iterator[bytes]) -> Generator[bytes, None, None]:
        """Filter chunk by chunk; the head goes out with the first bytes that come through.

        A body that is complete by its Content-Length before then goes out with its new length; any
        other loses the Content-Length, because nobody can know it.
        """
        while chunk is not None and not self._ended:
            if chunk:
                out = self._next(chunk)
                if out:
                    yield out
                if self._body is not None:
                    break
            elif self._state >= STARTED:
                yield chunk
            chunk = next(rest, None)
        tail = b"" if self._ended or self._body is not None else self._apply(b"", True)
        if self._state >= STARTED:
            if tail:
                yield tail
        elif self._body is not None:
            self._send_whole()
            yield from self._out
        else:
            whole = b"".join((*self._out, tail))
            if whole or self._declared() is not None:
                self._set_length(len(whole))
            self._give_head(STREAMING, self._exc_info)
            if whole:
                yield whole

    def _next(self, data: bytes) -> bytes:
        """Filter a chunk of the app's; return what may be sent now, the response started if it is any."""
        self._received += len(data)
        out = self._apply(data, False)
        if self._state < STARTED:
            if out:
                self._out = (*self._out, out)
            complete = self._received == self._declared()
            if not self._out or self._ended or self._body is not None or complete:
                return b""
            if not all(plugin.keeps_length for plugin in self._filters):
                self.remove_header("Content-Length")
            self._write = self._give_head(STARTED, self._exc_info)
            out = b"".join(self._out)
        if out:
            self._state = STREAMING
        return out

    def _write_filtered(self, data: bytes) -> None:
        """Be the ``write`` callable of an app whose body is filtered."""
        if data and not self._ended and self._body is None:
            out = self._next(data)
            if out:
                (self._write_counted if self._measures else self._write)(out)

    def _write_counted(self, data: bytes) -> None:
        """Be the ``write`` of an app in a chain that notes times and sizes."""
        self._note_sent(data)
        self._write(data)

    def _note_sent(self, chunk: bytes) -> None:
        """Note when the first byte came, and how many there were."""
        if not self.first_byte:
            self.first_byte = time.monotonic()
        self.sent += len(chunk)

    def _apply(self, chunk: bytes, eof: bool) -> bytes:
        """Send a chunk through the filters; every filter sees one eof, also if another ends the body."""
        for place, plugin in enumerate(self._filters):
            if not chunk and not eof:
                break
            self.phase = "body_filter"
            try:
                out = plugin.body_filter(self, chunk, eof)
                if not isinstance(out, bytes):
                    raise TypeError(f"body_filter returned {type(out).__name__}, expected bytes")
                chunk = out
            except BaseException as error:
                if not self._goes_on_without(plugin, error):
                    return b""
            if self._ended and not eof:
                eof = True
                for upper in self._filters[:place]:
                    self._end(upper)
        if self._state is HELD:
            self._state = FILTERING
        return chunk

    def _goes_on_without(self, plugin: BodyFilter, error: BaseException) -> bool:
        """Judge the failure of a body filter.

        An ``open`` one is left out from now on, unless it may have kept bytes to itself. Otherwise the
        response becomes a clean 500, or is cut by raising again when the headers are gone.
        """
        is_exit = isinstance(error, answer.Exit)
        if not is_exit and not is_failure(error):
            raise error
        if self._state is HELD and not is_exit and self._chain.is_open(plugin):
            self._chain.report(self, error, plugin)
            self._filters = [other for other in self._filters if other is not plugin]
            return True
        if self._state >= STARTED:
            self._note(error)
            self._chain.report(self, error, plugin)
            if isinstance(error, (Exception, answer.Exit)):
                raise error
            raise UserCodeError(error) from error
        self._answer_with(RuntimeError("exit in body_filter") if is_exit else error, plugin)
        self._filters = ()
        return False

    def _end(self, plugin: BodyFilter) -> None:
        """Give a filter its eof after another has ended the body; what it still returns is dropped."""
        try:
            plugin.body_filter(self, b"", True)
        except BaseException as error:
            if not is_failure(error):
                raise
            self._chain.report(self, error, plugin)


def _swallow(data: bytes) -> None:
    """Be the ``write`` of an app whose body was replaced."""
