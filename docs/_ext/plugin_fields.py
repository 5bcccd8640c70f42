"""Directives that print what the code knows, so that the pages cannot say something else.

.. plugin-fields:: key-auth             fields of a bundled plugin
.. config-fields:: package.module:Class fields of any configuration class
.. phase-table::                        every phase and when it is called
.. error-table::                        every error and what it means
.. flag-table::                         what a plugin class can say of itself
.. known-fields:: kong                  every field that another gateway knows, and what becomes of it
"""

from __future__ import annotations

import ast
import csv
import inspect
import itertools
import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from plugmw import errors, schema
from plugmw.errors import LoadError
from plugmw.kernel.phases import PHASES
from plugmw.kernel.plugin import Plugin
from plugmw.loading.imports import resolve
from plugmw.schema import describing
from plugmw.schema.declaring import Field
from plugmw.sources import bundled
from plugmw.wsgi import keys

Row = tuple[str, ...]
#: The tables of other gateways' fields, which tests hold equal to what the code does.
KNOWN: Final = Path(__file__).resolve().parents[2] / "tests/unit/dialects/known"


class Table(SphinxDirective):
    """A directive that writes a table; subclasses say what is in it."""

    titles: Row

    def rows(self) -> Iterator[Row]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        try:
            rows = list(self.rows())
        except LoadError as error:
            raise self.error(str(error)) from None
        if not rows:
            return self.parse_text_to_nodes("No fields.")
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [self.titles, *rows]:
            for number, cell in enumerate(row):
                lines.append(f"   {'*' if number == 0 else ' '} - {cell}")
        return self.parse_text_to_nodes("\n".join(lines))


class Fields(Table):
    """The fields of a configuration class."""

    titles = ("field", "type", "default", "what it is")
    required_arguments = 1

    def find(self, name: str) -> Any:
        return resolve(name)

    def rows(self) -> Iterator[Row]:
        yield from field_rows(self.find(self.arguments[0]))


class PluginFields(Fields):
    """The fields of a plugin, by its name or as ``module:Class``."""

    def find(self, name: str) -> Any:
        plugin = resolve(name) if ":" in name else bundled.find(name)
        if plugin is None:
            raise LoadError(name, f'no bundled plugin "{name}"')
        return plugin.Config


class PhaseTable(Table):
    """The phases, in order."""

    titles = ("phase", "called")

    def rows(self) -> Iterator[Row]:
        yield from ((f"``{name}``", text) for name, text in PHASES.items())


class FlagTable(Table):
    """What a plugin class can say of itself, beside its phases: the flags of the base class."""

    titles = ("member", "default", "what it says")

    def rows(self) -> Iterator[Row]:
        yield from flag_rows()


class ErrorTable(Table):
    """The errors that plugmw raises on purpose."""

    titles = ("error", "means")

    def rows(self) -> Iterator[Row]:
        for name, value in vars(errors).items():
            if isinstance(value, type) and issubclass(value, errors.PlugmwError):
                first = " ".join((value.__doc__ or "").partition("\n\n")[0].split())
                yield f"``{name}``", prose(first)


class KnownFields(Table):
    """What becomes of each field that another gateway knows, as the tests have found it."""

    titles = ("field", "here", "what is said")
    required_arguments = 1

    def rows(self) -> Iterator[Row]:
        yield from known_rows(self.arguments[0])


def known_rows(dialect: str) -> Iterator[Row]:
    """Yield the rows of a dialect's table; fields of plugins stand under the plugin's name."""
    with (KNOWN / f"{dialect}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = row["field"]
            plugin = json.loads(row["with"] or "{}").get("plugins[0].name")
            if plugin and name.startswith("plugins[0].config"):
                name = f"{plugin}: {name.removeprefix('plugins[0].')}"
            yield f"``{name}``", row["outcome"], f"``{row['said']}``" if row["said"] else ""


class EnvironKeys(Table):
    """The public keys of the environ."""

    titles = ("key", "type", "what it is")
    listed = keys.KEYS

    def rows(self) -> Iterator[Row]:
        yield from (
            (f"``{key.name}``", prose(key.type), prose(key.help)) for key in self.listed if key.public
        )


class ContextKeys(EnvironKeys):
    """The public keys of ``exchange.ctx``."""

    listed = keys.CTX_KEYS


def field_rows(cls: type, prefix: str = "", above: tuple[type, ...] = ()) -> Iterator[Row]:
    """Yield (name, type, default, help) per field; the fields of a mapping follow it, as ``name.field``."""
    for field in schema.fields_of(cls):
        name = prefix + field.name
        names = [name, *(prefix + alias for alias in field.aliases)]
        yield (
            " or ".join(f"``{each}``" for each in names),
            type_text(field),
            default_text(field),
            prose(field.help),
        )
        for inner, mark in inner_classes(field.hint):
            if inner not in above:
                yield from field_rows(inner, f"{name}{mark}.", (*above, cls))


#: Methods that are asked or told rather than phases.
ASKED = ("wants_body", "configure_all")


def flag_rows() -> Iterator[Row]:
    """Yield (name, default, text) of every flag of Plugin: from the comment above it, or its docstring."""
    source = inspect.getsource(Plugin)
    lines = source.splitlines()
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign) and "bool" in ast.unparse(node.annotation):
            before = reversed(lines[: node.lineno - 1])
            comment = list(itertools.takewhile(lambda line: line.lstrip().startswith("#:"), before))
            text = " ".join(line.strip(" #:") for line in reversed(comment))
            name, default = ast.unparse(node.target), f"``{ast.unparse(node.value)}``"
        elif isinstance(node, ast.FunctionDef) and node.name in ASKED:
            name, default = f"{node.name}()", "a method"
            text = " ".join((ast.get_docstring(node) or "").split())
        else:
            continue
        yield f"``{name}``", default, re.sub(r":\w+:(?=`)", "", prose(text))


def type_text(field: Field) -> str:
    """Say what a value may be: the type, then what the checks want."""
    wanted = [describing.describe(field.hint), *(check.expected for check in field.checks)]
    text = ", ".join(dict.fromkeys(re.sub(r"^a list of a ", "a list of ", each) for each in wanted))
    return prose(text).replace("*", r"\*")


def default_text(field: Field) -> str:
    text = describing.default_text(field)
    return text if text in ("required", "none", "its defaults") else f"``{text}``"


def inner_classes(hint: Any) -> Iterator[tuple[type, str]]:
    """Yield (configuration class, mark) for each class inside a hint; the mark is ``[]`` in a list."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    mark = "[]" if origin in (list, tuple, set, frozenset) else ""
    for argument in arguments or (hint,):
        if isinstance(argument, type) and attrs.has(argument):
            yield argument, mark
        elif arguments and argument is not hint:
            yield from ((inner, mark + deeper) for inner, deeper in inner_classes(argument))


def prose(text: str) -> str:
    """Turn help text into reStructuredText: names in single backquotes are literals."""
    return re.sub(r"(?<!`)(:[\w:]+:)?`([^`]+)`(?!`)", r"``\2``", text)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("plugin-fields", PluginFields)
    app.add_directive("config-fields", Fields)
    app.add_directive("phase-table", PhaseTable)
    app.add_directive("error-table", ErrorTable)
    app.add_directive("flag-table", FlagTable)
    app.add_directive("known-fields", KnownFields)
    app.add_directive("environ-keys", EnvironKeys)
    app.add_directive("context-keys", ContextKeys)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
