"""What never stands in a log entry: values of headers and query parameters, left out by name.

Names are compared in any case and with ``-`` for ``_``: rather one value too many is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import attrs

from plugmw.wsgi.text import decode, unquote_field

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

REDACTED: Final = "REDACTED"
#: Headers whose value never goes out. Kong hides the first two only; a session's cookie is a credential too.
REDACTED_HEADERS: Final = frozenset(("authorization", "proxy-authorization", "cookie", "set-cookie"))


@attrs.frozen
class Redaction:
    """Names of headers and of query parameters whose values are left out."""

    headers: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()

    @classmethod
    def of(cls, headers: Iterable[str] = (), query: Iterable[str] = ()) -> Redaction:
        """Return the redaction of these names."""
        return cls(frozenset(map(_plain, headers)), frozenset(map(_plain, query)))

    def within(self, x: Exchange) -> Redaction:
        """Return this one with the headers that are always left out and the gateway's credential names."""
        known = frozenset(map(_plain, x.runtime.credential_names))
        return Redaction(self.headers | REDACTED_HEADERS | known, self.query | known)

    def header(self, name: str, value: str) -> str:
        """Return the value of a header, or what stands for it."""
        plain = _plain(name)
        if plain in self.headers:
            return REDACTED
        # The target of an earlier request, with what that had in its query.
        return decode(self.target(value) if plain == "referer" else value, "replace")

    def target(self, uri: str) -> str:
        """Return a target without the values in its query that are to be left out."""
        path, mark, query = uri.partition("?")
        if not mark or not self.query:
            return uri
        pieces = (piece.partition("=") for piece in query.split("&"))
        shown = (
            f"{name}={REDACTED}"
            if equals and _plain(_unquoted(name)) in self.query
            else name + equals + value
            for name, equals, value in pieces
        )
        return f"{path}?{'&'.join(shown)}"

    def pairs(self, query: str) -> Iterable[tuple[str, str | bool]]:
        """Yield the decoded names and values of a query; the value is True for a name without ``=``."""
        for piece in query.split("&"):
            if piece:
                name, equals, value = piece.partition("=")
                name = _unquoted(name)
                hidden = equals and _plain(name) in self.query
                yield name, REDACTED if hidden else _unquoted(value) if equals else True


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def credential_fields(config: type) -> list[str]:
    """Return the names of the fields of a configuration class that say under which names credentials come."""
    attributes = attrs.fields(config) if attrs.has(config) else ()
    return [attribute.name for attribute in attributes if attribute.metadata.get("credential")]


def credential_names(config: object) -> set[str]:
    """Return the names that those fields of a configuration have: each a name, or a list of names."""
    names: set[str] = set()
    for field in credential_fields(type(config)):
        value = getattr(config, field)
        names.update([value] if isinstance(value, str) else value or ())
    return names - {""}


def without(answer: bytes, secrets: Iterable[str]) -> bytes:
    """Return the answer of another server without the secrets that it was sent, which some repeat."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        answer = answer.replace(secret.encode(), REDACTED.encode())
    return answer


def _unquoted(field: str) -> str:
    return unquote_field(field, "replace")
