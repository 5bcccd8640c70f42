"""What request-transformer does to named values, and to the headers and the path of a request.

The order is remove, rename, replace, add, append, and each entry sees what the ones before it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import unquote_to_bytes

import attrs

from plugmw.wsgi.answer import check_header
from plugmw.wsgi.forms import write_pairs
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.paths import TOO_MANY, escape, full_path, interpretations
from plugmw.wsgi.request_target import keep
from plugmw.wsgi.templates import Find, Template, Unrenderable
from plugmw.wsgi.text import encode

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

V = TypeVar("V")
#: Names to their values in order; None is a name without ``=``.
Members = dict[str, "list[str | None]"]


@attrs.frozen
class Rules(Generic[V]):
    """What to do to named values; names are exact. The values are templates, or texts once rendered."""

    remove: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    replace: tuple[tuple[str, V], ...] = attrs.field(default=(), repr=False)
    add: tuple[tuple[str, V], ...] = attrs.field(default=(), repr=False)
    append: tuple[tuple[str, V], ...] = attrs.field(default=(), repr=False)

    def __bool__(self) -> bool:
        return any(attrs.astuple(self, recurse=False))


def rendered(rules: Rules[Template], find: Find, carry: Callable[[str], str] = str) -> Rules[str]:
    """Fill in the templates; raises :class:`~plugmw.wsgi.templates.Unrenderable`."""
    replace, add, append = (
        tuple((name, carry(template.render(find))) for name, template in pairs)
        for pairs in (rules.replace, rules.add, rules.append)
    )
    return Rules(rules.remove, rules.rename, replace, add, append)


def change(
    rules: Rules[str],
    members: dict[str, V],
    one: Callable[[str], V],
    more: Callable[[V | None, str], V],
) -> None:
    """Change ``members``: ``one`` makes a value, ``more`` adds to one that may be None.

    False counts as missing, save for remove and append, as in Kong: only JSON has it.
    """
    for name in rules.remove:
        members.pop(name, None)
    for old, new in rules.rename:
        if old != new and members.get(old, False) is not False:
            members[new] = members.pop(old)
    for name, value in rules.replace:
        if members.get(name, False) is not False:
            members[name] = one(value)
    for name, value in rules.add:
        if members.get(name, False) is False:
            members[name] = one(value)
    for name, value in rules.append:
        members[name] = more(members.get(name), value)


# -- names with lists of values: headers, queries, forms ----------------------------------------------


def change_lists(rules: Rules[str], members: Members) -> None:
    """Change names that may be repeated."""
    change(rules, members, lambda value: [value], lambda old, value: [*(old or ()), value])


def grouped(pairs: Iterable[tuple[str, str | None]]) -> Members:
    """Return the values of each name, in order."""
    members: Members = {}
    for name, value in pairs:
        members.setdefault(name, []).append(value)
    return members


def written(members: Members) -> str:
    """Encode as a query string or urlencoded body."""
    return write_pairs((name, value) for name, values in members.items() for value in values)


# -- headers ------------------------------------------------------------------------------------------


class HeaderChange:
    """Rules for the headers of requests, as WSGI has them: one text per name, ``-`` and ``_`` alike.

    Host is only replaced, never removed, renamed or added: a request has exactly one.
    """

    def __init__(self, rules: Rules[Template]) -> None:
        pairs = (rules.replace, rules.add, rules.append)
        replace, add, append = (tuple((_spelled(name), value) for name, value in each) for each in pairs)
        rename = ((_spelled(old), _spelled(new)) for old, new in rules.rename)
        self._rules = Rules(
            tuple(name for name in map(_spelled, rules.remove) if name != "host"),
            tuple(pair for pair in rename if "host" not in pair),
            replace,
            tuple(pair for pair in add if pair[0] != "host"),
            append,
        )
        made = self._rules
        names = {*made.remove, *(name for pair in made.rename for name in pair)}
        names |= {name for pairs in (made.replace, made.add, made.append) for name, _ in pairs}
        self._keys = {name: cgi_key(name) for name in names}

    def work_out(self, environ: WSGIEnvironment, find: Find) -> dict[str, str | None]:
        """Return the environ keys to set, or (None) to remove; raises :class:`Unrenderable`."""
        before: Members = {}
        for name, key in self._keys.items():
            value = environ.get(key)
            # Servers pass an empty CONTENT_TYPE where there was none.
            if value or (value is not None and name != "content-type"):
                before[name] = [value]
        members = dict(before)
        change_lists(rendered(self._rules, find, _carried), members)
        made: dict[str, str | None] = {}
        for name, key in self._keys.items():
            values = members.get(name)
            if values != before.get(name):
                made[key] = None if values is None else _joined(name, values)
        return made


def _carried(text: str) -> str:
    return encode(text, "surrogateescape")


def _spelled(name: str) -> str:
    return name.replace("_", "-").lower()


def _joined(name: str, values: Iterable[str | None]) -> str:
    """Return the one text that WSGI has for repeated fields."""
    text = ("; " if name == "cookie" else ", ").join(filter(None, values))
    try:
        check_header(name, text)
    except ValueError:
        raise Unrenderable(f"the value of {name} has a control character") from None
    return text


def set_headers(environ: WSGIEnvironment, changes: Mapping[str, str | None]) -> None:
    """Carry out what :meth:`HeaderChange.work_out` returned."""
    for key, value in changes.items():
        if value is None:
            environ.pop(key, None)
        else:
            environ[key] = value


# -- the path -----------------------------------------------------------------------------------------


def path_template(template: Template) -> Template:
    """Decode what a configuration escapes in a path: values are put between decoded texts."""

    def decoded(text: str) -> str:
        return unquote_to_bytes(text).decode("utf-8", "surrogateescape")

    return Template(tuple(decoded(p) if isinstance(p, str) else p for p in template.pieces))


def checked_path(path: str) -> str:
    """Return a path in WSGI's form if the app may have it; raises :class:`Unrenderable`."""
    ways = interpretations(path)
    if not path.startswith("/"):
        raise Unrenderable("the path does not start with /")
    if len(ways) >= TOO_MANY or any(".." in way.split("/") for way in ways):
        raise Unrenderable("the path has a .. segment")
    return path


def replace_path(environ: WSGIEnvironment, path: str) -> None:
    """Give the app another PATH_INFO, also in the raw target that servers pass beside it."""
    keep(environ)
    environ["PATH_INFO"] = path
    raw = escape(full_path(environ))
    query = environ.get("QUERY_STRING", "")
    for key in ("RAW_URI", "REQUEST_URI"):
        if key in environ:
            environ[key] = f"{raw}?{query}" if query else raw
