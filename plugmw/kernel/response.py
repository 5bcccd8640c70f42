"""A response on its way to the server: whole, or filtered chunk by chunk as the app makes it.

Status and headers are held back while a filter may still fail or the length may still change, so that
what goes wrong before the first byte is answered by a clean 500 and a length that is sent is true.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from plugmw.errors import PhaseError
from plugmw.kernel.exchange import Exchange, own_headers
from plugmw.kernel.user_code import UserCodeError, is_failure
from plugmw.wsgi import answer
from plugmw.wsgi.headers import first

if TYPE_CHECKING:
    from plugmw.kernel.chain import Chain

#: Of a changed body these say something false (RFC 9110 section 8); Content-Length is the kernel's.
ABOUT_THE_BODY = frozenset(("content-encoding", "etag", "content-md5", "accept-ranges", "digest"))


class RespondingExchange(Exchange):
    """The response side of an exchange, for :class:`plugmw.kernel.response_iterable.ResponseIterable`."""

    _chain: ClassVar[Chain]
    _watches: ClassVar[bool]
    #: What goes out instead of the app's body, once a plugin or a failure replaced it.
    _instead: bytes | None = None
    #: The chunks of an answer that is read whole, and how many bytes they are (also of those not kept).
    _collected: list[bytes] | None = None
    _size = 0
    #: ``_collected`` joined, once a plugin asked for the body.
    _joined: bytes | None = None
    #: The body filters of this response; with any, start_response is held until the first bytes.
    _filters: Sequence[Any] = ()
    #: Whether the filters have seen bytes, which they may have kept to themselves.
    _begun = False
    #: Bytes of the app's body that the filters have seen, and what they gave before the start.
    _seen = 0
    _held: Sequence[bytes] = ()
    #: Whether status and headers were given to the server; whether it is known to have sent them.
    _opened = False
    _sent = False
    _ended = False
    _exc_info: Any = None
    _early: list[tuple[str, str]] | None = None
    _write: Callable[[bytes], object]

    # -- what plugins may call beside the exchange ------------------------------------------------

    @property
    def body(self) -> bytes:
        """The whole response body. Read it in the response phase; set it there or in header_filter.

        Content-Length follows. Headers that describe the old bytes (Content-Encoding, ETag, Content-MD5,
        Accept-Ranges) go when the body is set: a plugin that encodes it sets Content-Encoding after it.
        """
        if self.phase != "response":
            raise PhaseError("body", self.phase, ("response",))
        if self._instead is None:
            self._instead = self._joined = b"".join(self._collected or ())
        return self._instead

    @body.setter
    def body(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"body: got {type(data).__name__}, expected bytes")
        if self.phase not in ("response", "header_filter"):
            raise PhaseError("body", self.phase, ("response", "header_filter"))
        self._instead, self._joined = data, None
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

    def _become(self, error: BaseException, plugin: Any = None) -> None:
        """Make the response that an exit or a failure (of ``plugin``, if that is known) stands for."""
        if not isinstance(error, answer.Exit):
            self._note(error)
            self._chain.report(self, error, plugin)
            accept = self.environ.get("HTTP_ACCEPT", "")
            # The one answer to every failure: nothing of the cause is in it.
            error = answer.error_exit(500, answer.UNEXPECTED, None, accept, self.request_id)
        elif self.source != "error":
            self.source = "exit"
        if not self.status_line:
            self._early = self.header_list
        self._instead, self._joined, self._collected = error.body, None, None
        self.header_list = own_headers(error.headers, self._early or ())
        self.status_line = answer.status_line(error.status)

    def _drop_body(self) -> None:
        if self.phase == "header_filter":
            self._instead, self._joined = b"", None
        # With 304 the app's own length is that of what the client has (RFC 9110 section 8.6).
        if self.status != 304:
            self.remove_header("Content-Length")

    def _note(self, error: BaseException) -> None:
        """Remember what broke the exchange, for the log phase."""
        self.source = "error"
        self.error = error

    def _tell(self, exc_info: Any = None) -> Callable[[bytes], object]:
        """Give status and headers to the server."""
        self._opened = True
        self._exc_info = None
        write: Callable[[bytes], object] = self._server(self.status_line, self.header_list or [], exc_info)
        return write if self._instead is None else _swallow

    def _has_body(self) -> bool:
        """Whether this response may have a body (RFC 9110 section 6.4.1)."""
        return self.environ["REQUEST_METHOD"] != "HEAD" and self._has_content()

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

    def _whole(self) -> list[bytes]:
        """Filter a body that is known whole, give it its length, start the response; return its chunks.

        What nobody changed goes out in the chunks in which it came, with the headers it came with.
        """
        if self._opened:
            return [self._instead] if self._instead and self._has_body() else []
        replaced = self._instead is not self._joined
        chunks = [self._instead or b""] if replaced else self._collected or []
        if self._filters:
            chunks = self._filtered_whole(chunks)
            replaced = replaced or self._instead is not self._joined
            if replaced or self._declared() is not None:
                self._set_length(sum(map(len, chunks)))
        elif replaced and (self._has_body() or self.source != "service"):
            # To HEAD, an app's own Content-Length describes the body that it left out.
            self._set_length(len(chunks[0]))
        self._tell(self._exc_info)
        # What an app sends to HEAD, and nobody changed, is the server's to drop.
        keep = self._has_body() or (not replaced and self._has_content())
        return [chunk for chunk in chunks if chunk] if keep else []

    def _filtered_whole(self, chunks: Iterable[bytes]) -> list[bytes]:
        filtered = []
        for chunk in chunks:
            if chunk and not self._ended:
                filtered.append(self._apply(chunk, False))
        if not self._ended:
            filtered.append(self._apply(b"", True))
        return filtered if self._filters else [self._instead or b""]

    def _collect(self, data: bytes) -> None:
        """Keep a chunk of an answer that is read whole; also the ``write`` of its app."""
        self._size += len(data)
        if self._collected is not None and self._size <= self.runtime.max_response_body:
            self._collected.append(data)

    # -- a body that is filtered as it comes ------------------------------------------------------

    def _open(self, exc_info: Any) -> Callable[[bytes], object]:
        """Go on after header_filter: hold the headers back if a body filter wants this body."""
        self._filters = self._chain.body_filters(self) if self._has_body() else ()
        if not self._filters or self._opened:
            return self._tell(exc_info)
        self._exc_info = exc_info
        return self._write_filtered if self._instead is None else _swallow

    def _filtered(self, first: bytes, rest: Iterator[bytes]) -> Generator[bytes, None, None]:
        """Filter chunk by chunk; the headers go out with the first bytes that come through.

        A body that is complete by its Content-Length before then goes out with its new length; any
        other loses the Content-Length, because nobody can know it.
        """
        chunk: bytes | None = first
        while chunk is not None and not self._ended:
            if chunk:
                out = self._next(chunk)
                if out:
                    yield out
                if self._instead is not None:
                    break
            elif self._opened:
                yield chunk
            chunk = next(rest, None)
        tail = b"" if self._ended or self._instead is not None else self._apply(b"", True)
        if self._opened:
            if tail:
                yield tail
        elif self._instead is not None:
            yield from self._whole()
        else:
            whole = b"".join((*self._held, tail))
            if whole or self._declared() is not None:
                self._set_length(len(whole))
            self._tell(self._exc_info)
            if whole:
                yield whole

    def _next(self, data: bytes) -> bytes:
        """Filter a chunk of the app's; return what may be sent now, the response started if it is any."""
        self._seen += len(data)
        out = self._apply(data, False)
        if self._opened:
            return out
        if out:
            self._held = (*self._held, out)
        if not self._held or self._ended or self._instead is not None or self._seen == self._declared():
            return b""
        if not all(plugin.keeps_length for plugin in self._filters):
            self.remove_header("Content-Length")
        self._write = self._tell(self._exc_info)
        return b"".join(self._held)

    def _write_filtered(self, data: bytes) -> None:
        """Be the ``write`` callable of an app whose body is filtered."""
        if data and not self._ended and self._instead is None:
            out = self._next(data)
            if out:
                self._sent = True
                self._write(out)

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
        self._begun = True
        return chunk

    def _goes_on_without(self, plugin: Any, error: BaseException) -> bool:
        """Judge the failure of a body filter.

        An ``open`` one is left out from now on, unless it may have kept bytes to itself. Otherwise the
        response becomes a clean 500, or is cut by raising again when the headers are gone.
        """
        is_exit = isinstance(error, answer.Exit)
        if not is_exit and not is_failure(error):
            raise error
        if not self._begun and not is_exit and self._chain.is_open(plugin):
            self._chain.report(self, error, plugin)
            self._filters = [other for other in self._filters if other is not plugin]
            return True
        if self._opened:
            self._note(error)
            self._chain.report(self, error, plugin)
            if isinstance(error, (Exception, answer.Exit)):
                raise error
            raise UserCodeError(error) from error
        self._become(RuntimeError("exit in body_filter") if is_exit else error, plugin)
        self._filters = ()
        return False

    def _end(self, plugin: Any) -> None:
        """Give a filter its eof after another has ended the body; what it still returns is dropped."""
        try:
            plugin.body_filter(self, b"", True)
        except BaseException as error:
            if not is_failure(error):
                raise
            self._chain.report(self, error, plugin)


def _swallow(data: bytes) -> None:
    """Be the ``write`` of an app whose body was replaced."""
