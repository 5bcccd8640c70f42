"""The document: plain data, the origin of every value, and errors that say both.

    >>> document = Document({"plugins": [{"name": "cors"}]}, "gateway.yaml")
    >>> str(document.error(("plugins", 0, "name"), "got 'cors'", "a plugin"))
    "gateway.yaml: plugins[0].name: got 'cors', expected a plugin"

A place inside the document is a tuple of keys and indexes, or the same as it is printed:
``plugins[0].name``, ``routes["a.b"].methods``.

Values that came from the environment are taken to be secret: a message names the variable instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plugmw.errors import ConfigError

if TYPE_CHECKING:
    from plugmw.kernel.order import Entry

Place = tuple[str | int, ...]

# A key that needs no quotes in a printed place.
PLAIN_KEY = re.compile(r"[\w-]+")
STEP = re.compile(r'\[(?P<index>\d{1,9})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]|\.?(?P<key>[^.\[\]]+)')

# Texts from the environment at least this long are hidden wherever they turn up; shorter ones ("0", "info")
# only in messages about their own place, because elsewhere they are likely to be ordinary words.
LONG = 8


def render_place(place: Place) -> str:
    """Print a place: ``("plugins", 2, "config")`` is ``plugins[2].config``."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def parse_place(text: str) -> Place:
    """Read back what :func:`render_place` printed; anything else is one key."""
    steps: list[str | int] = []
    position = 0
    while match := STEP.match(text, position):
        position = match.end()
        steps.append(_step(match))
    return tuple(steps) if position == len(text) else (text,)


def _step(match: re.Match[str]) -> str | int:
    if match["index"]:
        return int(match["index"])
    if match["quoted"]:
        try:
            return str(json.loads(match["quoted"]))
        except ValueError:
            return match["quoted"]
    return match["key"]


@dataclass(frozen=True)
class Origin:
    """Where a value came from.

    ``source`` is the file as the user spelled it, ``$PLUGMW__...`` for an override, None for a mapping
    given in code. ``hidden`` are the variables whose text went into the value, with that text; ``text``
    is what a typed value was before it became a number or a boolean.
    """

    source: str | None
    hidden: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    text: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.source or "<mapping>"

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables whose text is in the value."""
        return tuple(name for name, _ in self.hidden)


class Document:
    """Plain data with the origin of every value.

    ``data`` is a tree of dict, list, str, int, float, bool and None, owned by the document. ``source`` is
    the file as the user spelled it, or None. ``fingerprints`` maps every file that was read (absolute, its
    symbolic links not followed) to the hash of the content that was read.
    """

    #: Of a translated one: what was wrong, what was not carried over, entries made of no mapping.
    errors: Sequence[ConfigError] = ()
    warnings: Sequence[ConfigError] = ()
    entries: Sequence[tuple[Place, Entry]] = ()

    def __init__(
        self, data: dict[str, Any], source: str | None = None, fingerprints: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.source = source
        self.fingerprints = dict(fingerprints or {})
        #: What is wrong with it, and what is probably not meant, for whoever reads it to report.
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigError] = []
        self._origins: dict[Place, Origin] = {(): Origin(source)}

    def __repr__(self) -> str:
        return f"<Document {self.source or '<mapping>'}>"  # never the data: it holds secrets

    @property
    def files(self) -> tuple[str, ...]:
        """The files that were read, in that order."""
        return tuple(self.fingerprints)

    def origin(self, place: Place | str) -> Origin:
        """Return the origin of the value at ``place``, or of its nearest ancestor that has one."""
        steps = _steps(place)
        while steps not in self._origins:
            steps = steps[:-1]
        return self._origins[steps]

    def is_secret(self, place: Place | str) -> bool:
        """Tell whether the value at ``place`` has text from the environment in it."""
        return bool(self.origin(place).hidden)

    def text(self, place: Place | str) -> str | None:
        """Return the text that became the number or boolean at ``place``, None when the file typed it.

        For fields that want a string: ``key: ${KEY}`` with ``KEY=1e10`` is a float in ``data``, and only
        its text is the key.
        """
        origin = self._origins.get(_steps(place))
        return origin.text if origin else None

    def put(self, place: Place, value: object, origin: Origin) -> None:
        """Set the value at ``place``, which came from ``origin``; missing mappings and lists are made.

        An index may be the length of its list, which appends. Nothing on the way may be a scalar.
        """
        here: Any = self.data
        for depth, step in enumerate(place[:-1], 1):
            child = child_of(here, step)
            if child is None:
                child = [] if isinstance(place[depth], int) else {}
                _assign(here, step, child)
                self._origins[place[:depth]] = Origin(origin.source)
            here = child
        if isinstance(child_of(here, place[-1]), (dict, list)):
            self._forget(place)
        _assign(here, place[-1], value)
        self._origins[place] = origin

    def _forget(self, place: Place) -> None:
        for known in [known for known in self._origins if known[: len(place)] == place]:
            del self._origins[known]

    def recorded(self, place: Place) -> Origin | None:
        """Return the origin noted for exactly this place."""
        return self._origins.get(place)

    def error(self, place: Place | str, problem: str, expected: str | None = None) -> ConfigError:
        """Make the error for the value at ``place``, with its source and without its secrets.

        ``got ...`` about a value from the environment becomes ``got a value from ${NAME}``; in any other
        wording its text is replaced by ``${NAME}``.
        """
        steps = _steps(place)
        origin = self.origin(steps)
        if origin.hidden and problem.startswith("got "):
            names = " and ".join(f"${{{name}}}" for name in origin.variables)
            problem = f"got a value from {names}"
        else:
            problem = self._hide(problem, steps)
        shown = place if isinstance(place, str) else render_place(place)
        return ConfigError(shown, problem, expected and self._hide(expected), origin.source)

    def _hide(self, text: str, about: Place | None = None) -> str:
        words = dict(self._secrets(about))
        if not words:
            return text
        longest_first = sorted(words, key=len, reverse=True)
        pattern = "|".join(map(_whole_word, longest_first))
        return re.sub(pattern, lambda match: f"${{{words[match[0]]}}}", text)

    def _secrets(self, about: Place | None) -> Iterator[tuple[str, str]]:
        """Yield ``(text, variable)`` for all that a message about a place must not show."""
        for place, origin in self._origins.items():
            shared = min(len(place), len(about or ()))
            near = about is not None and place[:shared] == about[:shared]
            for word, name in self._words(place, origin):
                if word and (near or len(word) >= LONG):
                    yield word, name

    def _words(self, place: Place, origin: Origin) -> Iterator[tuple[str, str]]:
        for name, text in origin.hidden:
            for word in (text, *map(str, leaves_of(self._at(place)))):
                yield word, name
                yield repr(word)[1:-1], name

    def _at(self, place: Place) -> object:
        here: object = self.data
        for step in place:
            here = child_of(here, step)
        return here


def _whole_word(word: str) -> str:
    """Match a long word anywhere, a short one only by itself: 5 in "got 5", not in "50"."""
    return re.escape(word) if len(word) >= LONG else rf"(?<!\w){re.escape(word)}(?!\w)"


def child_of(container: object, step: str | int) -> object:
    """Return the child of a mapping or list, None when it has no such child."""
    if isinstance(container, dict):
        return container.get(step)
    if isinstance(container, list) and isinstance(step, int) and step < len(container):
        return container[step]
    return None


def leaves_of(value: object) -> Iterator[object]:
    """Yield every value under ``value`` that is no container, in document order."""
    for _, leaf in places_of(value):
        yield leaf


def places_of(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Yield ``(place, leaf)`` for every value under ``value`` that is no container."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from places_of(child, (*place, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from places_of(child, (*place, index))
    else:
        yield place, value


def _steps(place: Place | str) -> Place:
    return parse_place(place) if isinstance(place, str) else tuple(place)


def _assign(container: Any, step: str | int, value: object) -> None:
    if isinstance(container, list) and step == len(container):
        container.append(value)
    else:
        container[step] = value
