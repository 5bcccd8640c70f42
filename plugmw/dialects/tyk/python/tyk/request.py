"""The ``request`` that hooks are given."""

from __future__ import annotations

from plugmw.dialects.tyk.python.messages import MiniRequestObject

__all__ = ("TykCoProcessRequest",)


class TykCoProcessRequest:
    """Calls that change a request, over the ``object`` that says what is to be changed."""

    def __init__(self, request: MiniRequestObject) -> None:
        self.object = request

    def add_header(self, key: str, value: str) -> None:
        """Set a header; others of the name go."""
        self.object.set_headers[key] = value

    def delete_header(self, key: str) -> None:
        """Remove a header; one that is set as well is there with its new value."""
        self.object.delete_headers.append(key)

    def add_param(self, key: str, value: str) -> None:
        """Set a query parameter; others of the name go."""
        self.object.add_params[key] = value

    def delete_param(self, key: str) -> None:
        """Remove a query parameter."""
        self.object.delete_params.append(key)

    def get_header(self, key: str) -> str | None:
        """Return a header by its name as Go spells it (``X-Api-Key``), None if absent."""
        return self.object.headers.get(key)
