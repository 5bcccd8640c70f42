"""What a plugin needs to have installed, and whether it is: nothing of the plugin is executed.

A plugin says it in one or both of these ways:

    REQUIREMENTS = ["requests>=2.31"]         # a literal at the top level

    # /// script                              (PEP 723)
    # requires-python = ">=3.11"
    # dependencies = ["requests>=2.31"]
    # ///
"""

from __future__ import annotations

import ast
import platform
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any, Final

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from plugmw.documents.files import parse_toml
from plugmw.errors import ConfigError
from plugmw.loading.regular import read_regular

NAME: Final = "REQUIREMENTS"
#: The regular expression of PEP 723.
_BLOCK: Final = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_COMMENT: Final = re.compile(r"(^|\s)#.*")


@attrs.frozen
class Difference:
    """A distribution that is not there, or not in a version that is wanted."""

    name: str
    have: str
    want: str
    #: The file that wants it.
    source: str


def differences(wanted: Iterable[Requirement], source: str) -> Iterator[Difference]:
    """Compare requirements with the distributions that are installed here."""
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate():
            continue
        have = _installed(one.name)
        if have is None or not one.specifier.contains(have, prereleases=True):
            yield Difference(one.name, have or "not installed", str(one.specifier) or "any version", source)


def _installed(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def of_plugin(path: str) -> list[Requirement]:
    """Read what a plugin's file declares; raises :class:`ConfigError` where that cannot be read."""
    text = _read_text(path)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ConfigError("", f"not Python: {error}", source=f"{path}:{line}") from None
    requirements = [_requirement(item, f"{NAME}[{i}]", path) for i, item in enumerate(_constant(tree, path))]
    block = _BLOCK.search(text)
    if block:
        lines = [line[2:] if line.startswith("# ") else "" for line in block["content"].splitlines()]
        requirements += _of_script(parse_toml("\n".join(lines), path), path)
    return requirements


def of_list(path: str) -> list[Requirement]:
    """Read a requirements.txt; options in it (``-r``, ``--hash``) are errors."""
    lines = (_COMMENT.sub("", line).strip() for line in _read_text(path).splitlines())
    return [_requirement(line, f"line {number}", path) for number, line in enumerate(lines, 1) if line]


def _read_text(path: str) -> str:
    try:
        return read_regular(path).decode()
    except UnicodeDecodeError:
        raise ConfigError("", "is no UTF-8 text", "a Python file", path) from None


def _constant(tree: ast.Module, path: str) -> list[object]:
    """Return the literal list that is assigned to REQUIREMENTS, empty if there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == NAME for target in targets):
            try:
                literal = ast.literal_eval(getattr(node, "value", None) or "None")
            except ValueError:
                literal = None
            if isinstance(literal, (list, tuple)):
                return list(literal)
            raise ConfigError(NAME, "is no literal", "a list of texts, written out", path)
    return []


def _of_script(data: dict[str, Any], path: str) -> list[Requirement]:
    items = data.get("dependencies", [])
    if not isinstance(items, list):
        raise ConfigError("dependencies", f"got {items!r}", "a list of texts", path)
    requirements = [_requirement(item, f"dependencies[{index}]", path) for index, item in enumerate(items)]
    python = data.get("requires-python")
    if python is not None:
        try:
            SpecifierSet(python)
        except (InvalidSpecifier, AttributeError, TypeError):
            raise ConfigError("requires-python", f"got {python!r}", "versions such as >=3.11", path) from None
        requirements.append(Requirement(f"python{python}"))
    return requirements


def _requirement(text: Any, place: str, path: str) -> Requirement:
    try:
        return Requirement(text)
    except (InvalidRequirement, TypeError):
        raise ConfigError(place, f"got {text!r}", "a requirement such as requests>=2.31", path) from None
