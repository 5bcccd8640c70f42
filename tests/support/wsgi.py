"""A server in miniature, strict as PEP 3333 wants it, and apps of every kind to put in front of it.

result = serve(app, stop_after=1)         # a client that goes away after one chunk
result.status, result.headers, result.body, result.raised
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

App = Callable[..., Iterable[bytes]]


def environ_of(path: str = "/", method: str = "GET", **extra: Any) -> dict[str, Any]:
    """Return a complete environ; ``extra`` sets or (None) removes keys."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input": io.BytesIO(b""),
    }
    setup_testing_defaults(environ)
    environ.update(extra)
    return {key: value for key, value in environ.items() if value is not None}


class Result:
    """What a client has received, and what the server has seen."""

    def __init__(self) -> None:
        #: As they were when the first byte went out (at the end, if there was none).
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.chunks: list[bytes] = []
        #: What the app raised to the server, and where: ``call``, ``iterate`` or ``close``.
        self.raised: BaseException | None = None
        self.where = ""
        self.sent = False
        #: What the app returned.
        self.returned: Any = None

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def serve(app: App, environ: dict[str, Any] | None = None, stop_after: int | None = None) -> Result:
    """Run one request as a server does; the client goes away after ``stop_after`` chunks."""
    result = Result()
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info is not None and result.sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if told and exc_info is None:
            raise AssertionError("start_response called twice")
        assert type(status) is str
        assert type(headers) is list
        told[:] = [(status, headers)]
        return write

    def write(data: bytes) -> None:
        assert type(data) is bytes
        assert told, "bytes before start_response"
        if data:
            if not result.sent:
                result.status, result.headers = told[0][0], list(told[0][1])
                result.sent = True
            result.chunks.append(data)

    iterable: Any = None
    try:
        result.where = "call"
        iterable = result.returned = app(environ if environ is not None else environ_of(), start_response)
        result.where = "iterate"
        if stop_after != 0:
            for chunk in iterable:
                write(chunk)
                if stop_after is not None and len(result.chunks) >= stop_after:
                    break
        result.where = ""
    except BaseException as error:
        result.raised = error
    try:
        if hasattr(iterable, "close"):
            iterable.close()
    except BaseException as error:
        result.raised, result.where = error, "close"
    if not result.sent and told:
        result.status, result.headers = told[0][0], list(told[0][1])
    return result


# -- apps ------------------------------------------------------------------------------------------------

TEXT = ("Content-Type", "text/plain")


class Oops(Exception):
    """Raised by apps on purpose."""


class Closing:
    """An iterable that counts how often it is closed. ``fail`` raises in close."""

    def __init__(self, chunks: Iterable[bytes], closed: list[str], fail: bool = False) -> None:
        self._chunks = iter(chunks)
        self._closed = closed
        self._fail = fail

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self._closed.append("close")
        if self._fail:
            raise Oops("close")


def _headers(length: int | None = None) -> list[tuple[str, str]]:
    return [
        TEXT,
        ("X-Many", "1"),
        ("X-Many", "2"),
        *([] if length is None else [("Content-Length", str(length))]),
    ]


def _list(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers(6))
        return [b"one", b"two"]

    return app


def _single(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT, ("Content-Length", "3"), ("ETag", '"x"')])
        return [b"one"]

    return app


def _tuple(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())
        return (b"one", b"two")

    return app


def _generator(closed: list[str]) -> App:
    def chunks() -> Iterator[bytes]:
        try:
            yield b"one"
            yield b""
            yield b"two"
        finally:
            closed.append("close")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())
        return chunks()

    return app


def _late(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers(6))
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.append("close")

    return app


def _late_empty(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers(0))
        yield b""

    return app


def _closing(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())
        return Closing([b"one", b"two"], closed)

    return app


def _late_closing(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        def chunks() -> Iterator[bytes]:
            start_response("200 OK", _headers())
            yield b"one"
            yield b"two"

        return Closing(chunks(), closed)

    return app


def _write(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", _headers(6))
        write(b"one")
        write(b"two")
        return []

    return app


def _write_one(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers(3))(b"one")
        return []

    return app


def _write_and_iterate(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())(b"one")
        return Closing([b"two"], closed)

    return app


def _empty(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())
        return []

    return app


def _empty_chunks(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers(0))
        return Closing([b"", b""], closed)

    return app


def _file(closed: list[str]) -> App:
    class File(io.BytesIO):
        def close(self) -> None:
            closed.append("close")
            super().close()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers(6))
        return environ["wsgi.file_wrapper"](File(b"onetwo"), 3)

    return app


def _no_content(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("204 No Content", [("X-Many", "1")])
        return Closing([], closed)

    return app


def _not_modified(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("304 Not Modified", [("ETag", '"x"')])
        return []

    return app


def _error_before_headers(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers(99))
        try:
            raise Oops
        except Oops:
            start_response("500 Oops", [TEXT], sys.exc_info())
        return [b"sorry"]

    return app


#: Apps that behave; all give a body of ``onetwo`` or less.
GOOD: dict[str, Callable[[list[str]], App]] = {
    "list": _list,
    "one chunk": _single,
    "tuple": _tuple,
    "generator": _generator,
    "late start": _late,
    "late start, empty": _late_empty,
    "iterator with close": _closing,
    "late iterator with close": _late_closing,
    "write": _write,
    "one write": _write_one,
    "write and iterate": _write_and_iterate,
    "empty list": _empty,
    "empty chunks": _empty_chunks,
    "file": _file,
    "204": _no_content,
    "304": _not_modified,
    "exc_info before the headers": _error_before_headers,
}


def _raises_at_call(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        raise Oops("call")

    return app


def _raises_after_start(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())
        raise Oops("call")

    return app


def _raises_after_write(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())(b"one")
        raise Oops("call")

    return app


def _raises_late(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        def chunks() -> Iterator[bytes]:
            raise Oops("first")
            yield b""

        return Closing(chunks(), closed)

    return app


def _raises_first(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        def chunks() -> Iterator[bytes]:
            raise Oops("first")
            yield b""

        start_response("200 OK", _headers())
        return Closing(chunks(), closed)

    return app


def _raises_midstream(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        def chunks() -> Iterator[bytes]:
            yield b"one"
            raise Oops("second")

        start_response("200 OK", _headers(6))
        return Closing(chunks(), closed)

    return app


def _raises_in_close(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", _headers())
        return Closing([b"one", b"two"], closed, fail=True)

    return app


def _error_after_headers(closed: list[str]) -> App:
    def app(environ: Any, start_response: Any) -> Any:
        def chunks() -> Iterator[bytes]:
            yield b"one"
            try:
                raise Oops("second")
            except Oops:
                start_response("500 Oops", [TEXT], sys.exc_info())
            yield b"sorry"

        start_response("200 OK", _headers())
        return Closing(chunks(), closed)

    return app


#: Apps that do not; every one raises Oops to the server.
BAD: dict[str, Callable[[list[str]], App]] = {
    "raises at call": _raises_at_call,
    "raises after start_response": _raises_after_start,
    "raises after write": _raises_after_write,
    "raises before a late start": _raises_late,
    "raises at the first chunk": _raises_first,
    "raises midstream": _raises_midstream,
    "raises in close": _raises_in_close,
    "exc_info after the headers": _error_after_headers,
}
APPS = {**GOOD, **BAD}
