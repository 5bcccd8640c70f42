"""keys: every key of the environ is spelled once, described, and in use."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

import pytest

from plugmw.wsgi import keys
from tests.support.sources import PACKAGE, texts, trees

KEYS = {name: value for name, value in vars(keys).items() if isinstance(value, str) and name.isupper()}
TABLE = (*keys.KEYS, *keys.CTX_KEYS)
#: Texts that look like keys: a group of entry points.
OTHERS = {"plugmw.plugins"}
#: Calls whose texts are names of another kind.
NAMING = {"getLogger", "ContextVar"}


def is_module(text: str) -> bool:
    path = PACKAGE.parent.joinpath(*text.rstrip(".").split("."))
    return path != PACKAGE and (path.is_dir() or path.with_suffix(".py").exists())


def literals(tree: ast.Module) -> Iterator[str]:
    """Yield the texts in a module that are keys, or have one in quotes in them; docstrings may name some."""
    passed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in NAMING:
            passed.update(ast.walk(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed:
            text = node.value
            is_key = re.fullmatch(r"plugmw\.[a-z_.-]*", text) and not is_module(text) and text not in OTHERS
            if is_key or re.search(r"""['"]plugmw\.[a-z_.-]+['"]""", text):
                yield text


def uses(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (name of a constant, ``read`` or ``written``) for each use of a key."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if not (isinstance(child, ast.Attribute) and ast.unparse(child.value) == "keys"):
                continue
            if isinstance(node, ast.Subscript):
                yield child.attr, "written" if isinstance(node.ctx, ast.Store) else "read"
            elif isinstance(node, (ast.Dict, ast.FormattedValue)):
                yield child.attr, "written"
            else:
                yield child.attr, "read"
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".setdefault"):
                    yield child.attr, "written"


@functools.cache
def all_uses() -> set[tuple[str, str]]:
    """Return the uses in the package; when a test asks, as every process collects all tests."""
    return {use for name, text in texts().items() if "keys." in text for use in uses(trees()[name])}


@pytest.mark.slow
def test_no_module_spells_a_key():
    # A text that is a key, or has one in quotes, follows a quote, or a field of an f-string.
    suspects = [
        name
        for name, text in texts().items()
        if re.search(r"""['"}]plugmw\.""", text) and name != "wsgi/keys.py"
    ]
    assert suspects
    assert {name: found for name in suspects if (found := list(literals(trees()[name])))} == {}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("environ['plugmw.own']", "plugmw.own"),
        ("f'plugmw.{name}'", "plugmw."),
        ("write('self.environ[\"plugmw.own\"] = 1')", 'self.environ["plugmw.own"] = 1'),
        ("getLogger('plugmw.own')", None),
        ("'A docstring: plugmw.own'", None),
        ("import_module('plugmw.kernel.exchange')", None),
    ],
)
def test_keys_are_told_from_other_texts(source, text):
    assert list(literals(ast.parse(source))) == ([text] if text else [])


def test_every_constant_is_in_the_table_and_the_table_has_no_other():
    assert [key.name for key in TABLE] == [value for name, value in KEYS.items() if name != "PREFIX"]
    assert [key.name for key in keys.KEYS] == sorted({key.name for key in keys.KEYS})
    assert all(key.name.startswith(keys.PREFIX) for key in keys.KEYS)


def test_a_key_has_an_owner_that_exists_a_type_and_a_text():
    for key in TABLE:
        assert is_module(f"plugmw.{key.owner}"), key.name
        assert key.type, key.name
        assert key.help.endswith("."), key.name


@pytest.mark.slow
def test_a_key_is_written_and_read():
    """The other end of a public key may be an app, a middleware or a test."""
    for key in TABLE:
        (name,) = (name for name, value in KEYS.items() if value == key.name)
        ends = {end for used, end in all_uses() if used == name}
        assert ends == {"written", "read"} or (key.public and ends), key.name


def test_the_module_imports_nothing_of_ours():
    tree = trees()["wsgi/keys.py"]
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} == {
        "__future__",
        "typing",
    }
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
