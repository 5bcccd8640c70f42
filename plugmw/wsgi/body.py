"""Bodies: reading a request's once for everybody, and keeping a file a file on the way out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, WSGIEnvironment

_STEP: Final = 64 * 1024
#: No body has a length of more; beyond some thousands ``int`` raises an error of its own.
_DIGITS: Final = 18


class BodyTooLarge(Exception):
    """The request body is longer than the limit in bytes, its one argument."""


class BadLength(Exception):
    """CONTENT_LENGTH is not a plain number; its one argument is that text."""


class Incomplete(Exception):
    """The client went away before the whole body came; its arguments are bytes read, and declared or None."""


def content_length(environ: WSGIEnvironment) -> int | None:
    """Return the declared length in bytes, or None; raises :class:`BadLength`.

    Digits only: ``int`` alone would take ``+10``, `` 1`` and ``1_0`` (RFC 9112 section 6.2).
    """
    text = environ.get("CONTENT_LENGTH") or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise BadLength(text)
    return int(text)


def read_request(environ: WSGIEnvironment, limit: int) -> bytes:
    """Read the whole request body and put an equal stream back for the next reader.

    Reads up to CONTENT_LENGTH, or to the end when the server says the input is terminated (chunked
    requests). Raises :class:`BodyTooLarge` above ``limit`` bytes, counted while reading, and
    :class:`Incomplete` for a body shorter than declared: half a body must not pass for a whole one.
    """
    known: tuple[io.BytesIO, bytes] | None = environ.get(keys.BODY)
    if known is not None and known[0] is environ["wsgi.input"]:
        data = known[1]
        if len(data) > limit:
            raise BodyTooLarge(limit)
        known[0].seek(0)
        return data
    length = content_length(environ)
    if length is not None and length > limit:
        raise BodyTooLarge(limit)
    if length is None and not environ.get("wsgi.input_terminated"):
        data = b""
    else:
        data = _read(environ["wsgi.input"], length, limit)
    replace_request(environ, data)
    return data


def _read(stream: InputStream, length: int | None, limit: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while length is None or total < length:
        try:
            part = stream.read(_STEP if length is None else min(_STEP, length - total))
        except OSError as error:
            # Reset, timed out, or chunks that break off: the client's doing, and no failure of a plugin.
            raise Incomplete(total, length) from error
        if not part:
            break
        total += len(part)
        parts.append(part)
        if total > limit:
            raise BodyTooLarge(limit)
    if length is not None and total < length:
        raise Incomplete(total, length)
    return b"".join(parts)


def replace_request(environ: WSGIEnvironment, data: bytes) -> None:
    """Give everyone after this call ``data`` as the request body, with framing that fits it."""
    stream = environ["wsgi.input"] = io.BytesIO(data)
    environ[keys.BODY] = stream, data
    environ["wsgi.input_terminated"] = True
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(data))


class ClosingFile:
    """A file that calls ``on_close`` once after it was closed.

    The *file* is wrapped and not the iterable, because servers recognise their own file wrapper by its
    type and reach through it for ``fileno()`` to call ``sendfile``.
    """

    def __init__(self, file: Iterable[bytes], on_close: Callable[[], None]) -> None:
        self._file = file
        self._on_close = on_close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def close(self) -> None:
        self._on_close()


def rewrap_file(
    environ: WSGIEnvironment, iterable: Iterable[bytes], on_close: Callable[[], None]
) -> Iterable[bytes] | None:
    """Return the server's file wrapper round a :class:`ClosingFile`, or None if it is not one.

    ``on_close`` must close ``iterable`` itself.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if not isinstance(wrapper, type) or not isinstance(iterable, wrapper):
        return None
    # The names of wsgiref, gunicorn and mod_wsgi, and those of werkzeug. A file may be false (Django's are).
    file = getattr(iterable, "filelike", getattr(iterable, "file", None))
    if file is None:
        return None
    size = getattr(iterable, "blksize", getattr(iterable, "buffer_size", 8192))
    again: Iterable[bytes] = wrapper(ClosingFile(file, on_close), size)
    if getattr(again, "close", None) is None:
        return None
    return again
