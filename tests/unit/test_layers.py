"""Imports point one way, in the order of the wings in CONTRIBUTING.md.

Imports inside functions count; those for type checkers alone do not.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator

import plugmw
from tests.support.servers import ROOT as CLONE
from tests.support.sources import PACKAGE, statements, trees

#: The wings from the ground up: the first column of the table.
WINGS = re.findall(r"^\| `(\w+)` \|", (CLONE / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
#: The front of the package knows where public names are; it and the command stand above all.
FRONT = ("", "__main__")
PLACES = {name: place for place, name in enumerate(WINGS)}
#: ``Plugin.middleware`` makes a gateway, and asks the front for it when it is called.
ASKS_THE_FRONT = {"kernel.plugin": ["gateway", "kernel.order"]}


def named(path: str) -> str:
    """Return the name of a module without ``plugmw.``, by its path below the package."""
    return path.removesuffix(".py").removesuffix("__init__").strip("/").replace("/", ".")


MODULES = {
    named(path.relative_to(PACKAGE).as_posix()): path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
}
INSIDE = [name for name in sorted(MODULES) if name not in FRONT]


def imported(path: str) -> Iterator[str]:
    """Yield the modules of ours that a file imports, without ``plugmw.``; names of the front as theirs."""
    tree = trees()[path]
    for_types = {
        id(inner)
        for node in statements(tree.body)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in statements(node.body)
    }
    for node in statements(tree.body):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "plugmw":
                inside = name.partition(".")[2]
                front = plugmw._EXPORTS.get(inside, "").removeprefix("plugmw.")
                yield front or (inside if inside in MODULES else inside.rpartition(".")[0])


@functools.cache
def graph() -> dict[str, list[str]]:
    """Return what each module imports; when a test asks, as every process collects all tests."""
    return {name: sorted(set(imported(path)) - {""}) for name, path in MODULES.items()}


def wing_of(module: str) -> str:
    return module.partition(".")[0]


def test_the_folder_listing_is_the_list_of_wings():
    names = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert sorted(names - {"__init__", "__main__"}) == sorted(WINGS)


def test_a_wing_is_told_once():
    assert len(WINGS) == len(set(WINGS))


def test_no_name_of_the_standard_library_is_hidden_from_who_works_in_the_folder():
    assert not set(WINGS) & set(sys.stdlib_module_names)


def test_imports_point_up():
    for module in INSIDE:
        down = [name for name in graph()[module] if PLACES[wing_of(name)] > PLACES[wing_of(module)]]
        assert down == [name for name in ASKS_THE_FRONT.get(module, ()) if name in down], module


def test_the_front_is_asked_late():
    """Whoever has a name of the front from the front has it inside of a function."""
    for module, path in MODULES.items():
        body = trees()[path].body
        early = [
            alias.name
            for node in body
            if isinstance(node, ast.ImportFrom) and node.module == "plugmw"
            for alias in node.names
            if alias.name in plugmw._EXPORTS
        ]
        assert module == "" or wing_of(module) in ("mounts", "cli", "testing") or not early, module


def test_no_two_modules_import_each_other_through_others():
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"a circle of imports: {' -> '.join((*trail, module))}"
        if module not in done:
            for name in graph().get(module, ()):
                if not name.startswith(f"{module}.") and name not in ASKS_THE_FRONT.get(module, ()):
                    visit(name, (*trail, module))
            done.add(module)

    for module in INSIDE:
        visit(module, ())


def test_bundled_plugins_do_not_know_each_other():
    for module in INSIDE:
        if not module.startswith("contrib."):
            continue
        own = ".".join(module.split(".")[:2])
        others = [
            name
            for name in graph()[module]
            if name.startswith(("contrib", "dialects"))
            and name != own
            and not name.startswith((f"{own}.", "contrib._"))
        ]
        assert not others, module


def test_dialects_know_neither_bundled_plugins_nor_each_other():
    folders = {name.split(".")[1] for name in INSIDE if name.startswith("dialects.") and name.count(".") > 1}
    for module in INSIDE:
        if not module.startswith("dialects."):
            continue
        own = module.split(".")[1]
        others = [
            name
            for name in graph()[module]
            if wing_of(name) == "contrib"
            or (name.startswith("dialects.") and name.split(".")[1] in folders - {own})
        ]
        assert not others, module


def test_the_package_itself_imports_nothing_of_ours():
    assert graph()[""] == []
