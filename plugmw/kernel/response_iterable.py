"""The WSGI side of an exchange: start_response wrapper, response iterable and ``close`` in one object.

:mod:`plugmw.kernel.chain` derives a class from :class:`ResponseIterable` for each compiled chain and adds
straight-line methods: ``_start`` (the start_response given to the app), ``_filter_headers``, ``_respond``,
``_log`` and ``_pick``. What is here is the part that is the same for every chain.

    server -> run(environ, start_response)        access, in order
                app(environ, x._start)            header_filter when the app calls it
                x._begin(iterable)                body_filter while the server iterates
    server -> x.close()                           the app's close(), then log

A body that is a list, or known whole, goes out as :class:`Sized`, which closes the exchange.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from plugmw.kernel.exchange import own_headers
from plugmw.kernel.response import (
    CLOSED,
    COLLECTING,
    FILTERING,
    HELD,
    SENT,
    STARTED,
    STREAMING,
    WAITING,
    RespondingExchange,
)
from plugmw.kernel.user_code import UserCodeError, is_failure
from plugmw.wsgi import answer, keys
from plugmw.wsgi.body import rewrap_file

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication

    from plugmw.kernel.plugin import Plugin

_NONE: Iterable[bytes] = ()


class ResponseIterable(RespondingExchange):
    """An exchange that is its own start_response wrapper and response iterable."""

    _logs: ClassVar[bool] = False
    #: Whether a plugin wants times and sizes (:attr:`Plugin.needs_timings`).
    _measures: ClassVar[bool] = False
    #: Whether a plugin may ask for the service's own answer (:attr:`Plugin.needs_upstream_response`).
    _watches: ClassVar[bool] = False
    #: The app's iterable, closed at the end.
    _it: Iterable[bytes] = _NONE
    #: Whether the iterable is a file that the server sends by itself.
    _file = False
    #: What the server iterates, once it does and the body is not known whole.
    _iterator: Iterator[bytes] | None = None
    #: Plugin that delegated to another app; errors of that app are logged and answered as this plugin's.
    _stand_in: Plugin | None = None

    # Written by plugmw.kernel.chain_source, put here by plugmw.kernel.chain.
    _start: StartResponse
    _filter_headers: Callable[[], None]
    _respond: Callable[[], None]
    _log: Callable[[], None]
    _pick: Callable[[], None]

    # -- the request goes in ----------------------------------------------------------------------

    def _halt(self, error: BaseException, plugin: Plugin | None = None) -> Iterable[bytes]:
        """Answer for a plugin that exited or failed before the app was called."""
        if not isinstance(error, answer.Exit) and not is_failure(error):
            self._last(error)
            raise error
        if isinstance(error, answer.Delegate):
            self._pick()
            self._stand_in = plugin or self._chain.thrower(self, error)
            return self._delegate(error.app)
        self._answer_with(error, plugin)
        self._pick()
        return self._finish()

    def _delegate(self, app: WSGIApplication) -> Iterable[bytes]:
        """Let another app answer; what fails in it is the failure of the plugin that delegated to it."""
        self.source = "exit"
        try:
            iterable = app(self.environ, self._start)
        except BaseException as error:
            if not is_failure(error):
                self._last(error)
                raise
            self._answer_crash(error)
            return self._finish()
        return self._begin(iterable)

    def _crash(self, error: BaseException) -> Iterable[bytes]:
        """The app raised at the call: the server gets the exception, unless it shall be answered."""
        if self._answers_crashes and self._is_crash(error):
            self._answer_crash(error)
            return self._finish()
        self._last(error)
        raise error

    @property
    def _answers_crashes(self) -> bool:
        # An app that a plugin delegated to stands for the plugin, whose failures are answered.
        return self.runtime.answer_crashes or self.source == "exit"

    def _is_crash(self, error: BaseException) -> bool:
        """Say whether an app has failed: an app that stands for a plugin by whatever it raises."""
        return isinstance(error, Exception) or (self.source == "exit" and is_failure(error))

    def _answer_crash(self, error: BaseException) -> None:
        if self._state >= STARTED:
            # The server knows an answer already; with exc_info it takes another, or raises the error again.
            self._exc_info = sys.exc_info()
        self._answer_with(error, self._stand_in)

    def _finish(self) -> Iterable[bytes]:
        """Send an answer that is known whole; what fails in that is the end of the exchange."""
        try:
            self._send()
        except BaseException as error:
            self._last(error)
            raise
        if self._logs or self._it is not _NONE:
            return self._sized(self._out)
        self.error = None  # as in close(), which nobody calls of a list
        return self._out

    def _last(self, error: BaseException) -> None:
        """End an exchange by an exception that goes to the server, which answers it 500."""
        self._note(error)
        if self._state is not STREAMING:
            self.status_line = answer.status_line(500)
        try:
            self.close()
        except Exception as another:
            self._chain.report(self, another)

    def _note_begin(self) -> None:
        """Note when the exchange began, for a plugin that wants times."""
        self._started, self.begun = time.time(), time.monotonic()

    # -- status and headers come back -------------------------------------------------------------

    def _merge(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Put the headers plugins asked for early on the app's."""
        self._early = self.header_list
        return own_headers(headers, self._early or ())

    def _note_service(self, status: str, headers: Iterable[tuple[str, str]]) -> None:
        """Note the service's own status and headers, for a plugin that wants them."""
        wish = self.environ.get(keys.UPSTREAM)
        if wish is None or not wish.failed:
            self.environ[keys.SERVICE] = int(status[:3]), list(headers)

    def _restart(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Be start_response the second time: the app replaces its answer by that of an error."""
        if exc_info is None:
            raise AssertionError("start_response was called a second time without exc_info")
        before = self.status_line, self.header_list, self._state
        self.status_line, self.header_list = "", self._early
        self._body = self._collected = None
        self._out = ()
        self._received = 0
        try:
            return self._start(status, headers, exc_info)
        except BaseException:
            # Too late: the server has sent the first one, and raised the app's exception again.
            self.status_line, self.header_list, self._state = before
            if self._state >= STARTED:
                self._state = STREAMING
            raise

    def _filter_failed(self, error: BaseException) -> None:
        """A header_filter exited (the lower ones still run) or failed (a clean 500 goes out)."""
        if not isinstance(error, answer.Exit) and not is_failure(error):
            raise error
        self._answer_with(error)
        if isinstance(error, answer.Exit):
            self._chain.filter_headers_below(self, error)
        self._set_length(len(self._body or b""))

    # -- the body comes back ----------------------------------------------------------------------

    def _begin(self, iterable: Iterable[bytes]) -> Iterable[bytes]:
        """Take the app's iterable; return what the server shall iterate, the same if possible."""
        self._it = iterable
        if self._logs and "wsgi.websocket" in self.environ:
            return self._closing()
        if self._state is COLLECTING:
            return self._read_whole()
        if self._state is STARTED and not self._filters:
            if not self._logs:
                return iterable
            file = rewrap_file(self.environ, iterable, self.close)
            if file is not None:
                self._file = True
                return file
            return self._sized(iterable) if hasattr(iterable, "__len__") else self
        return self._sized(self._out) if self._state is SENT else self

    def _closing(self) -> Generator[bytes, None, None]:
        """Iterate and close: gevent-websocket never closes what an app returns after a WebSocket's end."""
        try:
            yield from self
        finally:
            self.close()

    def _sized(self, chunks: Iterable[bytes]) -> Sized:
        """Return chunks that are all there for the server, which ends this exchange by closing them."""
        sized = Sized()
        sized.chunks, sized.close = chunks, self.close
        sized.counting = self if self._measures else None
        return sized

    def _read_whole(self) -> Iterable[bytes]:
        """Read and answer at once what the response phase wants whole."""
        try:
            self._buffer(b"", iter(self._it))
        except BaseException as error:
            return self._crash(error)
        return self._sized(self._out)

    def __iter__(self) -> Iterator[bytes]:
        """Return the one iterator there is: who asks again goes on where it stands, as with a generator."""
        if self._iterator is None:
            untouched = self._state is STARTED and not self._filters
            chunks = iter(self._it) if untouched else self._drain()
            self._iterator = self._counted(chunks) if self._measures else chunks
        return self._iterator

    def _counted(self, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
        """Hand chunks on and note when the first came and how many bytes there were."""
        for chunk in chunks:
            self._note_sent(chunk)
            yield chunk

    def __bool__(self) -> bool:
        return True

    def _drain(self) -> Generator[bytes, None, None]:
        """Iterate when the app starts late, when its body was replaced or when it is filtered.

        Not one ``yield from`` of the app's iterator: a generator that is dropped would close it, and it
        is closed by :meth:`close`.
        """
        try:
            iterator = iter(self._it)
            chunk: bytes | None = b""
            if self._state in (WAITING, STARTED):
                # A late app calls start_response by its first bytes; chunks without any are its own affair.
                chunk = next(iterator, None)
                while chunk == b"" and self._state in (WAITING, STARTED):
                    yield chunk
                    chunk = next(iterator, None)
            if self._state is COLLECTING:
                self._buffer(chunk, iterator)
            elif self._state is HELD and self._body is not None:
                self._send_whole()
            elif self._filters:
                yield from self._filtered(chunk, iterator)
                return
        except BaseException as error:
            if not self._is_crash(error):
                raise
            begun = STARTED if self._chain.body else STREAMING
            if self._state >= begun or not self._answers_crashes:
                self._note(error)
                if isinstance(error, Exception):
                    raise
                raise UserCodeError(error) from error
            self._answer_crash(error)
            self._send()
        if self._state is SENT:
            yield from self._out
        elif chunk is not None:
            yield chunk
            for chunk in iterator:
                yield chunk

    def _buffer(self, chunk: bytes | None, rest: Iterator[bytes]) -> None:
        """Read the whole answer for the response phase, then send it."""
        limit = self.runtime.max_response_body
        while chunk is not None:
            self._collect(chunk)
            chunk = next(rest, None) if self._received <= limit else None
        if self._received > limit:
            self._answer_with(_TooLarge(f"the response is larger than max_response_body, {limit} bytes"))
        else:
            if self._watches:
                whole = b"".join(self._collected or ())
                self._collected = [whole]
                self.environ[keys.SERVICE_BODY] = whole if self._has_body() else b""
            self.phase = "response"
            try:
                self._respond()
            except BaseException as error:
                if not isinstance(error, answer.Exit) and not is_failure(error):
                    raise
                self._answer_with(error)
        self._send()

    def _send(self) -> None:
        """Send an answer that is known whole: header filters, body filters, length, start."""
        self.phase = "header_filter"
        try:
            self._filter_headers()
        except BaseException as error:
            self._filter_failed(error)
        self._filters = self._chain.body_filters(self) if self._has_body() else ()
        # A filter that has seen bytes of what the app sent may have kept some.
        self._state = FILTERING if self._state in (FILTERING, STREAMING) else HELD
        self._send_whole()

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the app's iterable and run the log phase, once, whatever the app's close does."""
        if self._state is CLOSED:
            return
        self._state = CLOSED
        try:
            close = getattr(self._it, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._note(error)
            raise
        finally:
            if self._measures:
                self._measure_end()
            self.phase = "log"
            self._log()
            # Their frames hold this exchange: what was open in them would wait for the garbage collector.
            self.error = self._iterator = None

    def _measure_end(self) -> None:
        self.ended = time.monotonic()
        if not self.sent and self._file:
            # The server sent the file by itself; what it was told to send is the closest there is.
            self.sent = self._declared() or 0


class Sized:
    """A response whose chunks are all there: a list, which a server may count, and iterate as it likes.

    gevent iterates a list twice, to sum it up in the middle of sending it; wsgiref and waitress ask whether
    there is one chunk. An object of its own, because they take whatever has ``__len__`` at all for a list.
    """

    __slots__ = ("chunks", "close", "counting")

    chunks: Iterable[bytes]
    close: Callable[[], None]
    #: The exchange that counts what is sent, until it has an iterator to count.
    counting: ResponseIterable | None

    def __iter__(self) -> Iterator[bytes]:
        if self.counting is None:
            return iter(self.chunks)
        x, self.counting = self.counting, None
        return x._counted(iter(self.chunks))

    def __len__(self) -> int:
        return len(self.chunks)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return True


class _TooLarge(Exception):
    """A response that a plugin must see whole is over the limit."""
