"""The response headers of an exchange as a multi-dict that takes only what may be sent."""

from __future__ import annotations

from typing import Any

from webob.headers import ResponseHeaders

from plugmw.wsgi.answer import check_header


class CheckedHeaders(ResponseHeaders):  # type: ignore[misc]
    """As its base, but that a name or value that must not be sent is a ``ValueError`` (RFC 9110 section 5).

    What the app has set is looked at by the server; here it may be read and taken away.
    """

    def __setitem__(self, name: str, value: str) -> None:
        check_header(name, value)
        super().__setitem__(name, value)

    def add(self, name: str, value: str) -> None:
        check_header(name, value)
        super().add(name, value)

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self.add(name, default)
        return self[name]

    def extend(self, other: object = None, **more: str) -> None:
        headers = ResponseHeaders()
        headers.extend(other)
        for name, value in headers.items():
            self.add(name, value)
        self.update(more)
