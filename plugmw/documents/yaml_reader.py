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
from typing import Any

import yaml

from plugmw.documents.plain import MAX_DEPTH, TOO_DEEP, scalar
from plugmw.errors import ConfigError

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NULLS = ("", "~", "null", "Null", "NULL")
TEXT_TAGS = ("!", "tag:yaml.org,2002:str")

# What all aliases of one file may unfold to: a "billion laughs" file is stopped after some milliseconds.
MAX_ALIASED = 100_000

UNFINISHED = object()


def parse_yaml(text: str, source: str) -> Any:
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
        found = chr(character) if isinstance(character, int) else str(character)
        line = text[: max(text.find(found), 0)].count("\n") + 1
        raise ConfigError("", f"character {found!r}", "text", f"{source}:{line}") from None


def _refusal(source: str, mark: Any, problem: str, expected: str | None = None) -> ConfigError:
    return ConfigError("", problem, expected, f"{source}:{mark.line + 1}" if mark else source)


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
        self.events: Iterator[Any] = yaml.parse(text, Loader=Loader)
        self.anchors: dict[str, Any] = {}
        self.aliased = 0

    def refuse(self, event: Any, problem: str, expected: str | None = None) -> ConfigError:
        return _refusal(self.source, event.start_mark, problem, expected)

    def document(self) -> Any:
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        value = self.node(next(self.events), 0)
        next(self.events)  # the end of the document
        if not isinstance(event := next(self.events), yaml.StreamEndEvent):
            raise self.refuse(event, "a second document", "one document in a file")
        return value

    def node(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        if event.tag not in (None, *TEXT_TAGS):
            # Its name is not told, nor that of an alias: it may be a password without the quotes it needs.
            raise self.refuse(event, "a tag (! before a text)", "plain data without tags")
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event)
        else:
            if depth >= MAX_DEPTH:
                raise self.refuse(event, TOO_DEEP, "a flatter document")
            self.anchors[event.anchor] = UNFINISHED
            build = self.mapping if isinstance(event, yaml.MappingStartEvent) else self.sequence
            value = build(depth + 1)
        self.anchors[event.anchor] = value
        return value

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        text: str = event.value
        if event.tag or not event.implicit[0]:  # tagged as text, quoted or a block
            return text
        return None if text in NULLS else scalar(text)

    def sequence(self, depth: int) -> list[Any]:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, depth))
        return items

    def mapping(self, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: list[dict[str, Any]] | None = None
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event)
            is_merge = key == "<<" and event.implicit[0]
            if key in own or (is_merge and merged is not None):
                raise self.refuse(event, f'key "{key}" is given twice', "each key once")
            if is_merge:
                merged = self.merged(next(self.events), depth)
            else:
                own[key] = self.node(next(self.events), depth)
        for mapping in merged or ():
            own = {**mapping, **own}
        return own

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag not in (None, *TEXT_TAGS):
            raise self.refuse(event, "a key that is not plain text", "keys that are text")
        if event.anchor:
            self.anchors[event.anchor] = self.scalar(event)
        return str(event.value)

    def merged(self, event: Any, depth: int) -> list[dict[str, Any]]:
        value = self.node(event, depth)
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise self.refuse(event, "<< of something else", "a mapping or a list of mappings")
        return mappings

    def alias(self, event: Any, depth: int) -> Any:
        if event.anchor not in self.anchors:
            raise self.refuse(event, "an alias (* before a text)", "an anchor of that name before it")
        if self.anchors[event.anchor] is UNFINISHED:
            raise self.refuse(event, "an alias (* before a text) inside itself", "a document without cycles")
        return self.copy(self.anchors[event.anchor], event, depth)

    def copy(self, value: Any, event: Any, depth: int) -> Any:
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
