"""Request bodies that are measured while they come: at once, into a spool, or as the app reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Final

from plugmw.concurrency.deadline import Deadline
from plugmw.wsgi.answer import Exit, respond

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

#: Bytes of a body that are kept in memory; beyond, it is in a temporary file.
IN_MEMORY: Final = 256 * 1024
_STEP: Final = 64 * 1024
#: Seconds in which a body that is read whole must have come.
PATIENCE: Final = 300.0


class Spool(SpooledTemporaryFile[bytes]):
    """A temporary file that goes when nobody holds it any more: at the end of its request."""

    def __del__(self) -> None:
        self.close()


def spool(environ: WSGIEnvironment, limit: int, deadline: Deadline | None = None) -> bool:
    """Read a body of unknown length whole; the app gets it from the start, with its length.

    Raises TimeoutError if it has not come by ``deadline``, :data:`PATIENCE` from now. False if there are more
    than ``limit`` bytes; the rest is not read. A request that neither has nor announces a body stays
    as it is.
    """
    source, kept = environ["wsgi.input"], Spool(IN_MEMORY)
    deadline = deadline or Deadline.after(PATIENCE)
    total = 0
    while total <= limit:
        deadline.left_or_raise()
        chunk = source.read(min(_STEP, limit + 1 - total))
        if not chunk:
            kept.seek(0)
            if total or environ.get("HTTP_TRANSFER_ENCODING") or environ.get("CONTENT_LENGTH"):
                give(environ, kept, total)
            return True
        total += len(chunk)
        kept.write(chunk)
    kept.close()
    return False


def give(environ: WSGIEnvironment, stream: InputStream | Spool, length: int) -> None:
    """Give the app a body of known length whose end is the end of the stream."""
    environ["wsgi.input"] = stream
    environ["wsgi.input_terminated"] = True
    environ["CONTENT_LENGTH"] = str(length)
    environ.pop("HTTP_TRANSFER_ENCODING", None)


class Metered:
    """A ``wsgi.input`` that raises ``refusal`` once more than ``limit`` bytes were read."""

    def __init__(self, stream: InputStream, limit: int, refusal: Exit) -> None:
        self._stream = stream
        self._left = limit
        self._refusal = refusal

    def read(self, size: int | None = -1) -> bytes:
        return self._counted(self._stream.read(self._most(size)))

    def readline(self, size: int | None = -1) -> bytes:
        return self._counted(self._stream.readline(self._most(size)))

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _most(self, size: int | None) -> int:
        """Return how much to ask for: one byte above the limit tells that there are more."""
        return self._left + 1 if size is None or size < 0 else min(size, self._left + 1)

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            self._left = 0
            raise self._refusal
        return data


def answering(app: WSGIApplication) -> WSGIApplication:
    """Wrap ``app`` so that an :class:`~plugmw.wsgi.answer.Exit` raised by its input becomes its answer.

    Exits are no ``Exception``, so frameworks let them through. Once bytes have gone out the connection is
    broken off.
    """

    def run(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            iterable = app(environ, start_response)
        except Exit as refusal:
            return _answer(refusal, environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(iterable, (list, tuple)) or (
            isinstance(wrapper, type) and isinstance(iterable, wrapper)
        ):
            return iterable  # no code that could still read; a server knows its own files by their type
        return _Answering(iterable, environ, start_response)

    return run


def _answer(refusal: Exit, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    # What the server raises if it has sent something already.
    error = ConnectionAbortedError("the request body is over its limit, and the response has begun")
    exc_info: Any = (type(error), error, None)
    return respond(refusal, environ, start_response, exc_info)


class _Answering:
    """An app's iterable whose exits become answers."""

    def __init__(
        self, iterable: Iterable[bytes], environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        self._iterable = iterable
        self._request = environ, start_response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._iterable
        except Exit as refusal:
            yield from _answer(refusal, *self._request)

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()
