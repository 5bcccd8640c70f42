"""``kong.response``: what goes to the client (``kong/pdk/response.lua``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from plugmw import answer
from plugmw.dialects.kong.pdk.phase import ANSWERED, HEADERS, of_type, phases
from plugmw.dialects.kong.pdk.values import Headers, checked_max, collect, fold
from plugmw.errors import PhaseError
from plugmw.exchange import Exchange
from plugmw.flow import Flow


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
        made = Headers()
        pairs = ((name.lower(), value) for name, value in x.header_list or ())
        collect(made, pairs, checked_max(max_headers, "max_headers"))
        return made

    @phases(*ANSWERED)
    def get_source(self, x: Exchange) -> str:
        """Return who answered: ``service``, ``exit`` or ``error``. Phases as :meth:`get_status`."""
        return x.source

    @phases(*HEADERS)
    def set_status(self, x: Exchange, status: int) -> None:
        """Set the status (100 to 599). Phases: rewrite, access, response, header_filter."""
        of_type(status, int, "code", "a number")
        if not 100 <= status <= 599:
            raise ValueError("code must be a number between 100 and 599")
        # Before there is a response the app's own status would replace it, as the upstream's does in Kong.
        if x.status_line:
            x.status = status

    @phases(*HEADERS)
    def set_header(self, x: Exchange, name: str, value: Any) -> None:
        """Set a header: text, number, boolean, or a list for repeated fields. Phases: set_status's."""
        texts = _texts(name, value)
        if name.lower() == "transfer-encoding":
            return
        x.remove_header(name)
        for text in texts:
            x.add_header(name, text)

    @phases(*HEADERS)
    def add_header(self, x: Exchange, name: str, value: Any) -> None:
        """Add a header beside those of the same name. Phases as :meth:`set_status`."""
        for text in _texts(name, value):
            if name.lower() != "transfer-encoding":
                x.add_header(name, text)

    @phases(*HEADERS)
    def clear_header(self, x: Exchange, name: str) -> None:
        """Remove every header of this name. Phases as :meth:`set_status`."""
        of_type(name, str, "header name", "a string")
        x.remove_header(name)

    @phases(*HEADERS)
    def set_headers(self, x: Exchange, headers: Mapping[str, Any]) -> None:
        """Set several headers as :meth:`set_header` does, all or none. Phases as :meth:`set_status`."""
        of_type(headers, Mapping, "headers", "a table")
        prepared = {name: _texts(name, value) for name, value in headers.items()}
        for name, texts in prepared.items():
            if name.lower() != "transfer-encoding":
                x.remove_header(name)
                for text in texts:
                    x.add_header(name, text)

    @phases(*HEADERS)
    def exit(
        self, x: Exchange, status: int, body: Any = None, headers: Mapping[str, Any] | None = None
    ) -> NoReturn:
        """Answer now. A dict or list is JSON; text goes as it is, without a Content-Type; None is empty.

        Nothing after the call runs, and ``except Exception`` does not catch it.
        """
        of_type(status, int, "code", "a number")
        if not 100 <= status <= 599:
            raise ValueError("code must be a number between 100 and 599")
        if body is not None and not isinstance(body, (str, bytes, dict, list)):
            raise TypeError("body must be a nil, string or table")
        if headers is not None:
            of_type(headers, Mapping, "headers", "a nil or table")
        data = body.encode() if isinstance(body, str) else body
        answer.leave(status, data, [(n, t) for n, v in (headers or {}).items() for t in _texts(n, v)])

    @phases(*HEADERS)
    def error(
        self,
        x: Exchange,
        status: int,
        message: str | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> NoReturn:
        """Answer an error (400 to 599) in the format the client accepts, with ``request_id``."""
        of_type(status, int, "code", "a number")
        if not 400 <= status <= 599:
            raise ValueError("code must be a number between 400 and 599")
        if message is not None:
            of_type(message, str, "message", "a nil or a string")
        pairs = [(n, t) for n, v in (headers or {}).items() for t in _texts(n, v)]
        accept = x.environ.get("HTTP_ACCEPT", "")
        raise answer.error_exit(status, message, pairs, accept, x.request_id)

    @phases("body_filter", "response")
    def get_raw_body(self, x: Exchange) -> bytes | None:
        """Return the whole body at its end, None before it; chunks are held back meanwhile.

        The buffer is shared by all plugins of the request, so several may use it. Phases: body_filter
        (and response, where the body is whole already).
        """
        if x.phase == "response" and isinstance(x, Flow):
            return x.body
        state = body_state(x)
        if state is None:
            raise PhaseError("get_raw_body", x.phase, ("body_filter",))
        return state.whole()

    @phases("body_filter", "response")
    def set_raw_body(self, x: Exchange, body: str | bytes) -> None:
        """Replace the body (``""`` is sent as a line end, as in Kong). Phases as :meth:`get_raw_body`."""
        of_type(body, (str, bytes), "body", "a string")
        data = body.encode() if isinstance(body, str) else body
        if x.phase == "response" and isinstance(x, Flow):
            x.body = data
            return
        state = body_state(x)
        if state is None:
            raise PhaseError("set_raw_body", x.phase, ("body_filter",))
        state.replace(data)


class BodyState:
    """What ``ngx.arg`` is in body_filter: the chunk and whether it is the last, for one plugin's call."""

    def __init__(self, x: Flow, chunk: bytes, eof: bool) -> None:
        self.x = x
        self.chunk = chunk
        self.eof = eof

    def whole(self) -> bytes | None:
        """Hold chunks back until the end, then return all that came."""
        held: dict[Any, list[bytes]] = self.x.ctx.setdefault("plugmw.kong.held", {})
        from plugmw import current

        parts = held.setdefault(current.plugin(), [])
        parts.append(self.chunk)
        if not self.eof:
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


def body_state(x: Exchange) -> BodyState | None:
    """Return the state that the handler adapter put in force for a body_filter call."""
    state = x.environ.get("plugmw.kong.body")
    return state if isinstance(state, BodyState) else None


def _texts(name: Any, value: Any) -> list[str]:
    """Return the checked texts of a header value; an empty one is sent as a blank, as Kong does."""
    of_type(name, str, "header name", "a string")
    values = value if isinstance(value, (list, tuple)) else [value]
    texts = []
    for one in values:
        if isinstance(one, bool):
            text = "true" if one else "false"
        elif isinstance(one, (str, int, float)):
            text = str(one)
        else:
            raise TypeError(
                f"header value for {name!r} must be a string, number or boolean, or a list of them"
            )
        text = text or " "
        answer.check_header(name, text)
        texts.append(text)
    return texts
