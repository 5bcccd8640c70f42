"""YAML 1.2 as configuration files use it, built from PyYAML's events.

Building from events instead of PyYAML's own constructors keeps YAML 1.1 out (``on``, ``no``, ``12:30``
and dates stay text; only ``true`` and ``false`` are booleans), bounds depth before a C stack is at risk,
bounds what aliases unfold to, and knows the line of every refusal.

Keys are text as written (``404: gone`` has the key ``"404"``, as it would in JSON). ``<<`` merges mappings;
a mapping's own keys win. Anchors and aliases copy. Tags other than ``!!str`` are refused.

This module imports PyYAML: import it only to read a YAML file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import yaml

from plugmw.documents.plain_data import MAX_DEPTH, TOO_DEEP, scalar
from plugmw.errors import ConfigError

if TYPE_CHECKING:
    from yaml._yaml import Mark as CMark

    Mark = yaml.Mark | CMark

# Compiled where PyYAML was built with libyaml.
Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NULLS = ("", "~", "null", "Null", "NULL")
TEXT_TAGS = ("!", "tag:yaml.org,2002:str")

# What all aliases of one file may unfold to: a "billion laughs" file is stopped after some milliseconds.
MAX_ALIASED = 100_000

UNFINISHED = object()


def parse_yaml(text: str, source: str) -> object:
    """Read one YAML document, None when there is nothing but comments; raise :class:`ConfigError`."""
    try:
        return _Reader(text, source).document()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        if mark and _is_too_deep(text[: mark.index]):
            raise _refusal(source, mark, TOO_DEEP, "a flatter document") from None
        raise _refusal(source, mark, f"not YAML: {exc.problem or exc.context}") from None
    except yaml.YAMLError as exc:  # a ReaderError: a character that YAML does not allow
        character = getattr(exc, "character", "")
        shown = chr(character) if isinstance(character, int) else str(character)
        line = text[: max(text.find(shown), 0)].count("\n") + 1
        raise ConfigError("", f"character {shown!r}", "text", f"{source}:{line}") from None


def _refusal(source: str, mark: Mark | None, problem: str, expected: str | None = None) -> ConfigError:
    return ConfigError("", problem, expected, f"{source}:{mark.line + 1}" if mark else source)


def _is_text(tag: str | None) -> bool:
    return tag is None or tag in TEXT_TAGS


def _is_too_deep(head: str) -> bool:
    """Return whether the text before an error is nested deeper than we allow.

    libyaml reads ahead of us and refuses deep nesting itself, in other words with each version. PyYAML's
    own parser has no such limit and reads no further than it is asked.
    """
    depth = 0
    try:
        for event in yaml.parse(head, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH:
                return True
    except yaml.YAMLError:
        pass  # the text is cut off
    return False


class _Reader:
    """Builds plain data from the events of one file."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=Loader)
        self.anchors: dict[str | None, object] = {}
        self.aliased = 0

    def refuse(self, event: yaml.Event, problem: str, expected: str | None = None) -> ConfigError:
        return _refusal(self.source, event.start_mark, problem, expected)

    def document(self) -> object:
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        value = self.node(next(self.events), 0)
        next(self.events)  # the end of the document
        if not isinstance(event := next(self.events), yaml.StreamEndEvent):
            raise self.refuse(event, "a second document", "one document in a file")
        return value

    def node(self, event: yaml.Event, depth: int) -> object:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        # Other nodes are scalars and collections.
        if not isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) or not _is_text(event.tag):
            # The message leaves out the tag's name, as that of an alias: it may be a password without quotes.
            raise self.refuse(event, "a tag (! before a text)", "plain data without tags")
        if isinstance(event, yaml.ScalarEvent):
            value: object = self.scalar(event)
        else:
            if depth >= MAX_DEPTH:
                raise self.refuse(event, TOO_DEEP, "a flatter document")
            self.anchors[event.anchor] = UNFINISHED
            build = self.mapping if isinstance(event, yaml.MappingStartEvent) else self.sequence
            value = build(depth + 1)
        self.anchors[event.anchor] = value
        return value

    def scalar(self, event: yaml.ScalarEvent) -> str | int | float | bool | None:
        text = event.value
        if event.tag or not event.implicit[0]:  # tagged as text, quoted or a block
            return text
        return None if text in NULLS else scalar(text)

    def sequence(self, depth: int) -> list[object]:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, depth))
        return items

    def mapping(self, depth: int) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: list[dict[str, object]] | None = None
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event)
            is_merge = key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            if key in own or (is_merge and merged is not None):
                raise self.refuse(event, f'key "{key}" is given twice', "each key once")
            if is_merge:
                merged = self.merged(next(self.events), depth)
            else:
                own[key] = self.node(next(self.events), depth)
        for mapping in merged or ():
            own = {**mapping, **own}
        return own

    def key(self, event: yaml.Event) -> str:
        if not isinstance(event, yaml.ScalarEvent) or not _is_text(event.tag):
            raise self.refuse(event, "a key that is not plain text", "keys that are text")
        if event.anchor:
            self.anchors[event.anchor] = self.scalar(event)
        return str(event.value)

    def merged(self, event: yaml.Event, depth: int) -> list[dict[str, object]]:
        value = self.node(event, depth)
        items = value if isinstance(value, list) else [value]
        mappings = [item for item in items if isinstance(item, dict)]
        if len(mappings) < len(items):
            raise self.refuse(event, "<< of something else", "a mapping or a list of mappings")
        return mappings

    def alias(self, event: yaml.AliasEvent, depth: int) -> object:
        if event.anchor not in self.anchors:
            raise self.refuse(event, "an alias (* before a text)", "an anchor of that name before it")
        if self.anchors[event.anchor] is UNFINISHED:
            raise self.refuse(event, "an alias (* before a text) inside itself", "a document without cycles")
        return self.copy(self.anchors[event.anchor], event, depth)

    def copy(self, value: object, event: yaml.AliasEvent, depth: int) -> object:
        """Copy what an alias stands for, so that no two places of the document share a value."""
        self.aliased += 1
        if self.aliased > MAX_ALIASED:
            raise self.refuse(event, f"aliases unfold to more than {MAX_ALIASED} values", "fewer aliases")
        if isinstance(value, (dict, list)) and depth >= MAX_DEPTH:
            raise self.refuse(event, TOO_DEEP, "a flatter document")
        if isinstance(value, dict):
            return {key: self.copy(child, event, depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self.copy(child, event, depth + 1) for child in value]
        return value
