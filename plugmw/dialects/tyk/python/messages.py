"""What a hook reads and changes, in the fields of Tyk's messages (``coprocess/proto/*.proto``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from plugmw.dialects.tyk.session import Message, TextMap, text_map


def _text(default: str = "") -> Any:
    return attrs.field(default=default, validator=attrs.validators.instance_of(str))


@attrs.define(eq=False)
class Body(Message):
    """A body as bytes, and as text: empty if it is no UTF-8, or if the text is not wanted.

    It is read when it is first asked for.
    """

    _read: Callable[[], bytes] = attrs.field(default=bytes, kw_only=True, repr=False)
    _raw_only: bool = attrs.field(default=False, kw_only=True, repr=False)
    _raw: bytes | None = attrs.field(default=None, init=False, repr=False)
    _text: str | None = attrs.field(default=None, init=False, repr=False)

    @property
    def raw_body(self) -> bytes:
        if self._raw is None:
            self._raw = self._read()
        return self._raw

    @raw_body.setter
    def raw_body(self, value: bytes) -> None:
        if not isinstance(value, (bytes, bytearray)):
            raise TypeError(f"raw_body: got {type(value).__name__}, expected bytes")
        self._raw = bytes(value)

    @property
    def body(self) -> str:
        return self._decoded() if self._text is None else self._text

    @body.setter
    def body(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"body: got {type(value).__name__}, expected str")
        self._text = value

    def _decoded(self) -> str:
        try:
            return "" if self._raw_only else self._read().decode()
        except UnicodeDecodeError:
            return ""

    def changed(self, compat: bool) -> bytes | None:
        """Return the body to send on, None if it is as it was.

        ``raw_body`` counts; unless ``compat``, so does ``body`` if ``raw_body`` was left alone.
        """
        if self._raw is not None and self._raw != self._read():
            return self._raw
        if self._text is not None and not compat and self._text != self._decoded():
            return self._text.encode()
        return None


@attrs.define(eq=False)
class ReturnOverrides(Message):
    """An answer instead of the upstream's, once ``response_code`` is above 0."""

    response_code: int = attrs.field(default=-1, validator=attrs.validators.instance_of(int))
    response_error: str = _text()
    headers: TextMap = attrs.field(factory=TextMap, converter=text_map)
    override_error: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    response_body: str = _text()


@attrs.define(eq=False)
class MiniRequestObject(Body):
    """A request. ``headers`` and ``params`` are to be read; changes go into the fields made for them."""

    headers: TextMap = attrs.field(factory=TextMap, converter=text_map)
    set_headers: TextMap = attrs.field(factory=TextMap, converter=text_map)
    delete_headers: list[str] = attrs.Factory(list)
    url: str = _text()
    params: TextMap = attrs.field(factory=TextMap, converter=text_map)
    add_params: TextMap = attrs.field(factory=TextMap, converter=text_map)
    extended_params: TextMap = attrs.field(factory=TextMap, converter=text_map)
    delete_params: list[str] = attrs.Factory(list)
    return_overrides: ReturnOverrides = attrs.Factory(ReturnOverrides)
    method: str = _text()
    request_uri: str = _text()
    scheme: str = _text()


@attrs.define
class Header(Message):
    """A response header with all of its values."""

    key: str = _text()
    values: list[str] = attrs.Factory(list)


class Headers(list[Header]):
    """The response headers; ``add`` makes a new one at the end, as in Protocol Buffers."""

    def add(self, key: str = "", values: list[str] | None = None) -> Header:
        header = Header(key, list(values or ()))
        self.append(header)
        return header


@attrs.define(eq=False)
class ResponseObject(Body):
    """A response, all of it to be changed."""

    status_code: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))
    headers: TextMap = attrs.field(factory=TextMap, converter=text_map)
    multivalue_headers: Headers = attrs.field(factory=Headers, converter=Headers)
