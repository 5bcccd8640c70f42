"""The environment in a file: placeholders inside its values, and overrides of them.

**Placeholders.** ``${NAME}`` in any string value is the variable, ``${NAME:-default}`` has a default for
when it is unset or empty (as in a shell), ``$$`` is one ``$``. Any other ``$`` stays as it is. A value that
is exactly one placeholder takes the YAML 1.2 type of its text, whatever the format of the file: an int, a
float or a bool; null, dates, lists and mappings stay text. What a variable holds is never expanded again.
Inside ``[...]`` and ``{...}`` YAML itself wants placeholders quoted: ``["${NAME}"]``.

**Overrides.** ``PLUGMW__PLUGINS__0__CONFIG__MINUTE=7`` sets ``plugins[0].config.minute``. Keys match in any
case and with ``_`` for ``-``; a key that is not there is made in lower case. In a list, a number is an index
(the length appends) and anything else the ``name`` of an item, as written in the file:
``PLUGMW__PLUGINS__RATE_LIMITING__CONFIG__MINUTE=7``. The value is JSON if it parses as JSON, else text.

Overrides go first, so a placeholder that one replaces need not be set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from plugmw.documents.document import (
    Document,
    Origin,
    Place,
    child_of,
    places_of,
    render_place,
)
from plugmw.documents.plain_data import MAX_DEPTH, TOO_DEEP, Repeated, is_unicode, kind_of, plain, scalar
from plugmw.errors import ConfigError

PREFIX = "PLUGMW__"

# A default ends at the first "}" and holds no placeholder: "${A:-${B}}" is refused, not read wrongly.
PLACEHOLDER = re.compile(
    r"\$(?:(?P<escaped>\$)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}"
    r"|(?P<broken>\{[^}]*\}?))"
)
INDEX = re.compile(r"[0-9]{1,9}")


def expand(document: Document, environ: Mapping[str, str]) -> list[ConfigError]:
    """Replace the placeholders in every string that the file gave; return what is wrong."""
    errors: list[ConfigError] = []
    for place, text in list(places_of(document.data)):
        if isinstance(text, str) and "$" in text and document.origin(place).source == document.source:
            _Expansion(document, place, environ, errors).run(text)
    return errors


class _Expansion:
    """The placeholders of one string."""

    def __init__(
        self, document: Document, place: Place, environ: Mapping[str, str], errors: list[ConfigError]
    ) -> None:
        self.document = document
        self.place = place
        self.environ = environ
        self.errors = errors
        self.hidden: dict[str, str] = {}

    def run(self, text: str) -> None:
        result = PLACEHOLDER.sub(self.replace, text)
        match = PLACEHOLDER.fullmatch(text)
        value = scalar(result) if match and match["name"] else result
        typed = None if isinstance(value, str) else result
        origin = Origin(self.document.source, tuple(self.hidden.items()), typed)
        self.document.put(self.place, value, origin)

    def replace(self, match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        if match["broken"]:
            # Not as it is written: it may be a part of a password.
            self.refuse('"${...}" is no placeholder', "${NAME}, ${NAME:-default}, or $${ for a plain ${")
            return ""
        name, default = match["name"], match["default"]
        text = self.environ.get(name)
        if default is not None and not text:
            return str(default)
        if text is None:
            wanted = f"it in the environment or a default as ${{{name}:-...}}"
            self.refuse(f"${{{name}}} is not set", wanted)
            return ""
        if not is_unicode(text):
            self.refuse(f"${{{name}}} is not UTF-8", "Unicode text")
        self.hidden[name] = text
        return text

    def refuse(self, problem: str, expected: str) -> None:
        error = ConfigError(render_place(self.place), problem, expected, self.document.source)
        if str(error) not in map(str, self.errors):
            self.errors.append(error)


def override(document: Document, environ: Mapping[str, str]) -> list[ConfigError]:
    """Apply every ``PLUGMW__...`` variable; return what is wrong."""
    errors: list[ConfigError] = []
    variables = [variable for variable in environ if variable.startswith(PREFIX)]
    for variable in sorted(variables, key=_order):
        try:
            _override(document, variable, environ[variable], errors)
        except ConfigError as error:
            errors.append(error)
    return errors


def _order(variable: str) -> tuple[list[tuple[int, str]], str]:
    """Sort a container before what is in it, and index 2 before index 10."""
    names = variable[len(PREFIX) :].split("__")
    keys = [(int(name), "") if INDEX.fullmatch(name) else (10**9, _folded(name)) for name in names]
    return keys, variable


def _override(document: Document, variable: str, text: str, errors: list[ConfigError]) -> None:
    source = f"${variable}"
    names = variable[len(PREFIX) :].split("__")
    if not all(names):
        raise ConfigError("", "an empty name", f"${PREFIX}KEY or ${PREFIX}KEY__KEY", source)
    if len(names) > MAX_DEPTH:
        raise ConfigError("", TOO_DEEP, "fewer names", source)
    place = _locate(document, names, source)
    before = document.recorded(place)
    if before:
        raise ConfigError(render_place(place), f"already set by {before}", "one of the two", source)
    read = _value(text)
    value = plain(read, source, errors, place)
    typed = None if isinstance(read, (str, dict, list)) else text
    document.put(place, value, Origin(source, ((variable, text),), typed))


def _value(text: str) -> object:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)  # NaN and Infinity are not JSON, so they are text

    try:
        return json.loads(text, object_pairs_hook=Repeated.of, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text


def _locate(document: Document, names: list[str], source: str) -> Place:
    here: object = document.data
    place: Place = ()
    for name in names:
        try:
            step = _step(here, name)
        except LookupError as exc:
            problem, expected = exc.args
            raise ConfigError(render_place(place), problem, expected, source) from None
        here = child_of(here, step)
        place = (*place, step)
    return place


def _step(container: object, name: str) -> str | int:
    """Find the key or index that ``name`` means; LookupError holds ``(problem, expected)``."""
    if container is None:  # not there yet, or empty: an index makes a list, a name a mapping
        container = [] if INDEX.fullmatch(name) else {}
    if isinstance(container, dict):
        return _key(container, name)
    if isinstance(container, list):
        return _index(container, name)
    raise LookupError(f"{kind_of(container)} has no {name}", "a mapping or a list")


def _key(mapping: dict[str, object], name: str) -> str:
    if name in mapping:
        return name
    keys = [key for key in mapping if _folded(key) == _folded(name)]
    if len(keys) > 1:
        raise LookupError(f"{name} means {' and '.join(keys)}", "one of them, spelled exactly")
    return keys[0] if keys else name.lower()


def _index(items: list[object], name: str) -> int:
    if INDEX.fullmatch(name):
        if int(name) > len(items):
            raise LookupError(f"got index {name} in a list of {len(items)}", f"0 to {len(items)}")
        return int(name)
    named = [index for index, item in enumerate(items) if _is_named(item, name)]
    if len(named) == 1:
        return named[0]
    if named:
        raise LookupError(f"{len(named)} items are named {name}", "an index")
    raise LookupError(f"no item is named {name}", "an index or the name of an item")


def _is_named(item: object, name: str) -> bool:
    own = item.get("name") if isinstance(item, dict) else None
    return isinstance(own, str) and _folded(own) == _folded(name)


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
