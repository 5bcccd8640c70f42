"""A request and a response as KrakenD's modifiers see them, and the error that ends both.

Every field is a Python attribute, to be read, changed in place or set, and has Go's getter beside it
(``req.headers`` and ``req.Headers()``). A modifier may also return an object of its own with the same
attributes or getters (:func:`value_of`). Maps are plain dicts: headers and query have lists of values,
header names are spelt as Go spells them (``X-Request-Id``), parameters begin with a capital (``Id``).

Bodies are read when they are first asked for, and may be read again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import attrs

from plugmw.dialects.go_http import canonical
from plugmw.dialects.krakend.registry import method_of
from plugmw.errors import PlugmwError
from plugmw.wsgi.answer import HeaderItems, header_items, to_json

Values = dict[str, list[str]]
#: Status, body and headers.
Answer = tuple[int, bytes, list[tuple[str, str]]]


@attrs.define(kw_only=True, eq=False, slots=False)
class RequestWrapper:
    """A request. ``url`` is the backend's, None before there is one; ``body`` may be set to a stream."""

    method: str = "GET"
    path: str = "/"
    url: str | None = None
    params: dict[str, str] = attrs.field(factory=dict)
    query: Values = attrs.field(factory=dict)
    headers: Values = attrs.field(factory=dict)
    context: Any = None
    _read: Callable[[], bytes] = bytes
    _bytes: bytes | None = attrs.field(default=None, init=False)

    @property
    def body(self) -> bytes:
        if self._bytes is None:
            self._bytes = self._read()
        return self._bytes

    @body.setter
    def body(self, value: object) -> None:
        self._bytes = as_bytes(value)

    @property
    def read_body(self) -> bytes | None:
        """The body if anybody read or set it, else None: it need not be looked at."""
        return self._bytes

    def Method(self) -> str:
        return self.method

    def Path(self) -> str:
        return self.path

    def URL(self) -> str | None:
        return self.url

    def Params(self) -> dict[str, str]:
        return self.params

    def Query(self) -> Values:
        return self.query

    def Headers(self) -> Values:
        return self.headers

    def Context(self) -> Any:
        return self.context

    def Body(self) -> BytesIO:
        return BytesIO(self.body)


@attrs.define(kw_only=True, eq=False, slots=False)
class ResponseWrapper:
    """A response. ``data`` is the body's JSON object ({} if it is none); changing either changes the body."""

    status_code: int = 200
    headers: Values = attrs.field(factory=dict)
    is_complete: bool = True
    request: Any = None
    context: Any = None
    _read: Callable[[], bytes] = bytes
    #: The backend's body was ``null``, of which a merge has nothing.
    is_null: bool = attrs.field(default=False, init=False)
    _bytes: bytes | None = attrs.field(default=None, init=False)
    _data: dict[str, Any] | None = attrs.field(default=None, init=False)

    @property
    def body(self) -> bytes:
        if self._bytes is None:
            self._bytes = self._read()
        if self._data is not None and self._data != _object(self._bytes):
            return to_json(self._data)
        return self._bytes

    @body.setter
    def body(self, value: object) -> None:
        self._bytes, self._data = as_bytes(value), None

    @property
    def read_body(self) -> bytes | None:
        """The body if anybody read or set it, else None: it may go on as it comes."""
        return None if self._bytes is None and self._data is None else self.body

    @property
    def data(self) -> dict[str, Any]:
        if self._data is None:
            self._data = _object(self.body)
        return self._data

    @data.setter
    def data(self, value: dict[str, Any]) -> None:
        self._data = value

    @property
    def io(self) -> BytesIO:
        return BytesIO(self.body)

    @io.setter
    def io(self, value: object) -> None:
        self.body = value

    def close(self) -> None:
        """Let go of what the body would be read from."""

    def Data(self) -> dict[str, Any]:
        return self.data

    def Io(self) -> BytesIO:
        return self.io

    def IsComplete(self) -> bool:
        return self.is_complete

    def StatusCode(self) -> int:
        return self.status_code

    def Headers(self) -> Values:
        return self.headers

    def Request(self) -> Any:
        return self.request

    def Context(self) -> Any:
        return self.context


_REQUEST = ("method", "path", "params", "query", "headers", "body")
_RESPONSE = ("data", "io", "is_complete", "status_code", "headers")


def is_request(candidate: object) -> bool:
    """Say whether ``candidate`` can be taken for a request wrapper."""
    return isinstance(candidate, RequestWrapper) or all(method_of(candidate, n) is not None for n in _REQUEST)


def is_response(candidate: object) -> bool:
    """Say whether ``candidate`` can be taken for a response wrapper."""
    return isinstance(candidate, ResponseWrapper) or all(
        method_of(candidate, n) is not None for n in _RESPONSE
    )


def value_of(wrapper: object, name: str) -> Any:
    """Return a field of a wrapper, whether attribute or getter, in either spelling."""
    value = method_of(wrapper, name)
    return value() if callable(value) else value


def as_request(wrapper: object) -> RequestWrapper:
    """Return a modifier's own object as a wrapper, its body read; a wrapper stays as it is."""
    if isinstance(wrapper, RequestWrapper):
        return wrapper
    fields = ("method", "path", "url", "params", "query", "headers", "context")
    request = RequestWrapper(**{name: value_of(wrapper, name) for name in fields})
    request.body = value_of(wrapper, "body")
    return request


def as_response(wrapper: object, by_data: bool) -> ResponseWrapper:
    """Return a modifier's own object as a wrapper; ``by_data`` says that its data is what counts."""
    if isinstance(wrapper, ResponseWrapper):
        return wrapper
    fields = ("status_code", "headers", "is_complete")
    response = ResponseWrapper(**{name: value_of(wrapper, name) for name in fields})
    body, data = value_of(wrapper, "io"), value_of(wrapper, "data")
    if data and (by_data or body is None):
        response.data = data
    else:
        response.body = body
    return response


def as_bytes(value: object) -> bytes:
    """Return what a body was set to (None, text, bytes or a stream) as bytes."""
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, str):
        return value.encode()
    if value is not None and not isinstance(value, (bytes, bytearray)):
        raise TypeError(f"body: got {type(value).__name__}, expected bytes or a stream")
    return bytes(value or b"")


def body_of(response: object, before: bytes) -> bytes:
    """Return the body that a response wrapper stands for: its stream, or its data if only that is new."""
    if isinstance(response, ResponseWrapper):
        return response.body
    current, data = as_bytes(value_of(response, "io")), value_of(response, "data")
    if current == before and data != _object(before):
        return to_json(data)
    return current


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def by_name(items: Iterable[tuple[str, str]]) -> Values:
    """Group headers under Go's spelling of their names."""
    values: Values = {}
    for name, value in items:
        values.setdefault(canonical(name), []).append(value)
    return values


class ModifierError(PlugmwError):
    """Raised by a modifier to end the request with a status, and with text and headers if errors are shown.

    Any exception with ``status_code``, ``encoding``, ``headers`` (or Go's getters) does the same.
    """

    def __init__(
        self, body: str = "", status_code: int = 500, encoding: str = "", headers: HeaderItems = None
    ) -> None:
        super().__init__(body)
        self.status_code = status_code
        self.encoding = encoding
        self.headers = headers


def answer_of(error: Exception, tell: bool = False) -> Answer:
    """Return status, body and headers for a modifier's error (``router/gin/endpoint.go`` of Lura).

    The text is sent only if ``tell`` (KrakenD's ``return_error_msg``), and only then has it a type.
    """
    status = value_of(error, "status_code")
    known = isinstance(status, int)
    headers = header_items(value_of(error, "headers")) if known else []
    if not tell:
        return (status if known else 500), b"", headers
    encoding = value_of(error, "encoding") if known else ""
    headers.append(("Content-Type", encoding or "text/plain; charset=utf-8"))
    return (status if known else 500), str(error).encode(), headers
