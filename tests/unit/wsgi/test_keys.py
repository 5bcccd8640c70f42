"""keys: every key of the environ is spelled once, described, and in use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import plugmw
from plugmw.wsgi import keys

ROOT = Path(plugmw.__file__).parent
KEYS = {name: value for name, value in vars(keys).items() if isinstance(value, str) and name.isupper()}
TABLE = (*keys.KEYS, *keys.CTX_KEYS)
#: Texts that look like keys: a group of entry points.
OTHERS = {"plugmw.plugins"}
#: Calls whose texts are names of another kind.
NAMING = {"getLogger", "ContextVar"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        if path != Path(keys.__file__):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


TREES = dict(trees())


def is_module(text: str) -> bool:
    path = ROOT.parent.joinpath(*text.rstrip(".").split("."))
    return path != ROOT and (path.is_dir() or path.with_suffix(".py").exists())


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


USES = {use for tree in TREES.values() for use in uses(tree)}


@pytest.mark.parametrize("path", TREES, ids=str)
def test_no_module_spells_a_key(path):
    assert list(literals(TREES[path])) == []


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


@pytest.mark.parametrize("key", TABLE, ids=lambda key: key.name)
def test_a_key_has_an_owner_that_exists_a_type_and_a_text(key):
    assert is_module(f"plugmw.{key.owner}")
    assert key.type
    assert key.help.endswith(".")


@pytest.mark.parametrize("key", TABLE, ids=lambda key: key.name)
def test_a_key_is_written_and_read(key):
    """The other end of a public key may be an app, a middleware or a test."""
    (name,) = (name for name, value in KEYS.items() if value == key.name)
    ends = {end for used, end in USES if used == name}
    assert ends == {"written", "read"} or (key.public and ends)


def test_the_module_imports_nothing_of_ours():
    tree = ast.parse(Path(keys.__file__).read_text(encoding="utf-8"))
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} == {
        "__future__",
        "typing",
    }
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
