"""Texts with values of the request in them: ``/users/$(uri_captures.id)``.

    $( value or value ... )     the first value that exists, else nothing
    value                       'text', "text", source.name, source['name'], uri_captures[0]
    source                      headers, query_params, uri_captures, shared (the context of earlier plugins)

Values are looked up, never evaluated: there are no calls, no attributes and no arithmetic, and what comes
from a request is not looked at for another ``$(``. A result with CR, LF or NUL is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs

from plugmw.wsgi.forms import pair_values
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.text import decode

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

#: Returns the value of (source, key) as text, None if there is none. An int key counts from 1, 0 is all.
Find = Callable[[str, "str | int"], "str | None"]
#: What may stand between ``or``: (source, key), or ("", text) for a text.
Value = tuple[str, "str | int"]

_VALUE: Final = re.compile(
    r"""\s*(?:'([^']*)'|"([^"]*)"
    |(headers|query_params|shared|uri_captures)(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[(?:'([^']+)'|"([^"]+)")\])
    |(uri_captures)\[([0-9]{1,3})\])\s*(or\b|\))""",
    re.VERBOSE,
)
#: Line breaks, NUL, and what is no text at all: half a surrogate pair (undecodable bytes are U+DC80 to DCFF).
_BREAKS: Final = re.compile("[\r\n\0\ud800-\udc7f\udd00-\udfff]").search


class Unrenderable(ValueError):
    """A template yields what must not be sent; the argument says why, without the value."""


@attrs.frozen
class Template:
    """Literal texts and, between them, values to choose from."""

    pieces: tuple[str | tuple[Value, ...], ...] = attrs.field(repr=False)

    @property
    def fixed(self) -> bool:
        """Whether the result is the same for every request."""
        return all(isinstance(piece, str) for piece in self.pieces)

    def render(self, find: Find) -> str:
        """Return the text for a request; raises :class:`Unrenderable`."""
        made = "".join(piece if isinstance(piece, str) else _first(piece, find) for piece in self.pieces)
        if _BREAKS(made):
            raise Unrenderable("a value has a line break, NUL or half a character")
        return made


def parse(text: str, enabled: bool = True) -> Template:
    """Read a template; ValueError says what is wrong. Without ``enabled`` every ``$(`` is."""
    pieces: list[str | tuple[Value, ...]] = []
    rest = text
    while "$(" in rest:
        if not enabled:
            raise ValueError(f"got an expression in {text!r}, expected plain text as templates are off")
        before, _, rest = rest.partition("$(")
        values, rest = _values(rest, text)
        pieces += [before, values]
    return Template((*pieces, rest))


def _values(rest: str, text: str) -> tuple[tuple[Value, ...], str]:
    """Read up to the closing parenthesis; return the values and what follows."""
    values: list[Value] = []
    end = "or"
    while end == "or":
        found = _VALUE.match(rest)
        if found is None:
            raise ValueError(
                f"got {'$(' + rest!r} in {text!r}, expected headers.name, query_params.name, "
                "uri_captures.name, shared.name or a quoted text, with `or` between several"
            )
        single, double, source, *names, indexed, index, end = found.groups()
        if source:
            values.append((source, next(name for name in names if name)))
        elif indexed:
            values.append((indexed, int(index)))
        else:
            values.append(("", double if single is None else single))
        rest = rest[found.end() :]
    return tuple(values), rest


def _first(values: tuple[Value, ...], find: Find) -> str:
    for source, key in values:
        value = find(source, key) if source else str(key)
        if value is not None:
            return value
    return ""


# -- where values come from ---------------------------------------------------------------------------


def finder(x: Exchange) -> Find:
    """Return the look-up in a request as it is now."""

    def find(source: str, key: str | int) -> str | None:
        return _SOURCES[source](x, key)

    return find


def _header(x: Exchange, key: Any) -> str | None:
    # Servers join repeated fields, and values have commas of their own: the first cannot be told.
    name = cgi_key(key)
    value = x.environ.get(name)
    if value is None or (not value and name == "CONTENT_TYPE"):
        return None
    return decode(value, "surrogateescape")


def _query_param(x: Exchange, key: Any) -> str | None:
    values = pair_values(x.environ.get("QUERY_STRING", ""), key)
    return (values[0] or "") if values else None


def _capture(x: Exchange, key: str | int) -> str | None:
    captures = x.captures
    named, unnamed = captures["named"], captures["unnamed"]
    if not named and not unnamed:
        unnamed, named = x.environ.get("wsgiorg.routing_args") or ((), {})
    if isinstance(key, str):
        value = named.get(key)
    elif key:
        value = unnamed[key - 1] if key <= len(unnamed) else None
    else:
        value = x.route.matched(x.path) if x.route is not None else None
    return None if value is None else decode(str(value), "surrogateescape")


def _shared(x: Exchange, key: Any) -> str | None:
    value = x.ctx.get(key)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (str, int, float)):
        return None if value is None else str(value)
    raise Unrenderable(f"shared.{key} is a {type(value).__name__}, expected text or a number")


_SOURCES: Final[dict[str, Callable[[Exchange, Any], str | None]]] = {
    "headers": _header,
    "query_params": _query_param,
    "uri_captures": _capture,
    "shared": _shared,
}
