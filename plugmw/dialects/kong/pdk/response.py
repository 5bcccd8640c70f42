"""``kong.response``: what goes to the client (``kong/pdk/response.lua``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from plugmw.dialects.kong.pdk.log import Log
from plugmw.dialects.kong.pdk.phase import ANSWERED, HEADERS, of_type, phases
from plugmw.dialects.kong.pdk.values import Headers, checked_max, collect, fold, header_texts
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.response import RespondingExchange
from plugmw.wsgi import answer

_LOG = Log()


class Response:
    """Reading and changing the response."""

    @phases(*ANSWERED)
    def get_status(self, x: Exchange) -> int:
        """Return the status. Phases: response, header_filter, body_filter, log."""
        return x.status

    @phases(*ANSWERED)
    def get_header(self, x: Exchange, name: str) -> str | None:
        """Return the first header of this name. Phases as :meth:`get_status`."""
        of_type(name, str, "header name", "a string")
        wanted = fold(name)
        return next((value for key, value in x.header_list or () if fold(key) == wanted), None)

    @phases(*ANSWERED)
    def get_headers(self, x: Exchange, max_headers: int | None = None) -> Headers:
        """Return all headers, in lower case (100, or 1 to 1000; ``.err`` "truncated" beyond)."""
        pairs = ((name.lower(), value) for name, value in x.header_list or ())
        return collect(Headers(), pairs, checked_max(max_headers, "max_headers"))

    @phases(*ANSWERED)
    def get_source(self, x: Exchange) -> str:
        """Return who answered: ``service``, ``exit`` or ``error``. Phases as :meth:`get_status`."""
        return x.source

    @phases(*HEADERS)
    def set_status(self, x: Exchange, status: int) -> None:
        """Set the status (100 to 599). Phases: rewrite, access, response, header_filter."""
        _check_status(status, 200)
        # Before there is a response the app's own status would replace it, as the upstream's does in Kong.
        if x.status_line:
            x.status = status

    @phases(*HEADERS)
    def set_header(self, x: Exchange, name: str, value: object) -> None:
        """Set a header: text, number, boolean, or a list for repeated fields. Phases: set_status's."""
        _set(x, _checked({name: value}))

    @phases(*HEADERS)
    def add_header(self, x: Exchange, name: str, value: object) -> None:
        """Add a header beside those of the same name. Phases as :meth:`set_status`."""
        for key, texts in _checked({name: value}).items():
            for text in texts:
                x.add_header(key, text)

    @phases(*HEADERS)
    def clear_header(self, x: Exchange, name: str) -> None:
        """Remove every header of this name. Phases as :meth:`set_status`."""
        of_type(name, str, "header name", "a string")
        x.remove_header(name.replace("_", "-"))

    @phases(*HEADERS)
    def set_headers(self, x: Exchange, headers: Mapping[str, object]) -> None:
        """Set several headers as :meth:`set_header` does, all or none. Phases as :meth:`set_status`."""
        of_type(headers, Mapping, "headers", "a table")
        _set(x, _checked(headers))

    @phases(*HEADERS)
    def exit(
        self, x: Exchange, status: int, body: object = None, headers: Mapping[str, object] | None = None
    ) -> NoReturn:
        """Answer now. A dict or list is JSON; text goes as it is, without a Content-Type; None is empty.

        Nothing after the call runs, and ``except Exception`` does not catch it. Phases as
        :meth:`set_status`.
        """
        _check_status(status, 200)
        if body is not None and not isinstance(body, (str, bytes, dict, list)):
            raise TypeError("body must be a nil, string or table")
        if headers is not None:
            of_type(headers, Mapping, "headers", "a nil or table")
        data = body.encode() if isinstance(body, str) else body
        answer.leave(status, data, _checked(headers or {}))

    @phases(*HEADERS)
    def error(
        self,
        x: Exchange,
        status: int,
        message: str | dict[str, Any] | list[Any] | None = None,
        headers: Mapping[str, object] | None = None,
    ) -> NoReturn:
        """Answer an error (400 to 599) in the format the client accepts, with ``request_id``.

        A table as message is written as JSON. Phases as :meth:`set_status`.
        """
        _check_status(status, 400)
        if isinstance(message, (dict, list)):
            message = answer.to_json(message).decode()
        if message is not None:
            of_type(message, str, "message", "a nil, a string or a table")
        if headers is not None:
            of_type(headers, Mapping, "headers", "a nil or table")
        accept = x.environ.get("HTTP_ACCEPT", "")
        raise answer.error_exit(status, message, _checked(headers or {}), accept, x.request_id)

    @phases("body_filter")
    def get_raw_body(self, x: Exchange) -> bytes | None:
        """Return the whole body at its end, None before it; chunks are held back meanwhile.

        Several plugins of a request may use it. A body over ``max_response_body`` is an error of the
        request. Phases: body_filter.
        """
        return body_state(x).whole()

    @phases("body_filter")
    def set_raw_body(self, x: Exchange, body: str | bytes) -> None:
        """End the body with this (``""`` is sent as a line end, as in Kong). Phases: body_filter."""
        of_type(body, (str, bytes), "body", "a string")
        body_state(x).replace(body.encode() if isinstance(body, str) else body)


class BodyState:
    """What ``ngx.arg`` is in body_filter: the chunk and whether it is the last, for one plugin's call."""

    def __init__(self, x: RespondingExchange, owner: object, chunk: bytes, eof: bool) -> None:
        self.x = x
        self.owner = owner
        self.chunk = chunk
        self.eof = eof

    def whole(self) -> bytes | None:
        """Hold chunks back until the end, then return all that came."""
        parts: list[bytes] = self.x.state(self.owner).setdefault("held", [])
        parts.append(self.chunk)
        if not self.eof:
            if sum(map(len, parts)) > self.x.runtime.max_response_body:
                parts.clear()
                raise RuntimeError("the response is larger than max_response_body")
            self.chunk = b""
            return None
        self.chunk = b"".join(parts)
        parts.clear()
        return self.chunk

    def replace(self, data: bytes) -> None:
        """Make ``data`` the chunk and the end of the body."""
        self.chunk = data or b"\n"
        self.eof = True
        self.x.end_body()


def body_state(x: Exchange) -> BodyState:
    """Return the state that the handler adapter put in force for a body_filter call."""
    state = x.state(BodyState).get("now")
    if not isinstance(state, BodyState):
        raise RuntimeError("get_raw_body and set_raw_body are for handlers made plugins by `adapt`")
    return state


def _check_status(status: int, low: int) -> None:
    of_type(status, int, "code", "a number")
    if not low <= status <= 599:
        raise ValueError(f"code must be a number between {low} and 599")


def _checked(headers: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the texts of each header; names with ``_`` for ``-``, as nginx reads them here."""
    checked: dict[str, list[str]] = {}
    for name, value in headers.items():
        texts = header_texts(name, value)
        checked[name.replace("_", "-")] = texts
        for text in texts:
            answer.check_header(name, text)
    if any(name.lower() == "transfer-encoding" for name in checked):
        _LOG.warn("manually setting Transfer-Encoding. Ignored.")
    return {name: texts for name, texts in checked.items() if name.lower() != "transfer-encoding"}


def _set(x: Exchange, headers: Mapping[str, list[str]]) -> None:
    for name, texts in headers.items():
        x.remove_header(name)
        for text in texts:
            x.add_header(name, text)
