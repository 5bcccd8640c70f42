"""Imports point one way. Imports inside functions count; those for type checkers alone do not."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import plugmw

ROOT = Path(plugmw.__file__).parent

#: A module may import what stands on a line above its own, or beside it. Packages stand for their modules.
#: A module that is not here stands as high as what it imports lets it.
LAYERS = (
    "errors phases wsgi",
    "schema",
    "answer body bundles imports paths trust identity kernel loading",
    "checked",
    "exchange upstream",
    "record stores telemetry",
    "consumers runtime order sending",
    "flow",
    "chain worker",
    "plugin",
    "forms limits transform authentication responses",
    "contrib",
    "documents",
    "dialects",
    "sources services routing configuration",
    "dispatch reload",
    "gateway",
    "mounts",
    "inspect debug explain trace testing",
    "cli",
    "__main__",
)
PLACES = {name: place for place, line in enumerate(LAYERS) for name in line.split()}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


#: Imports are statements: nothing else needs to be looked into.
_MAY_HOLD_IMPORTS = (ast.mod, ast.stmt, ast.excepthandler, ast.match_case)


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports, without ``plugmw.``; ``""`` is plugmw itself."""
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            nodes += node.orelse
            continue
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            if isinstance(node, _MAY_HOLD_IMPORTS):
                nodes += ast.iter_child_nodes(node)
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert not node.level, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.split(".")[0] == "plugmw":
                inside = name.partition(".")[2]
                yield inside if inside in MODULES else inside.rpartition(".")[0]


@functools.cache
def graph() -> dict[str, list[str]]:
    """Return what each module imports of ours; read once, and only by a process that has a test of it."""
    return {name: sorted(set(imported(path))) for name, path in MODULES.items()}


def place_of(module: str, asking: tuple[str, ...] = ()) -> int:
    top = module.partition(".")[0]
    if top in PLACES or top in asking:
        return PLACES.get(top, 0)
    inside = [name for name in graph() if name.partition(".")[0] == top]
    imports = {name for one in inside for name in graph()[one] if name and name.partition(".")[0] != top}
    return max((place_of(name, (*asking, top)) for name in imports), default=0)


def test_every_line_is_about_something():
    gone = set(PLACES) - {name.partition(".")[0] for name in MODULES} - {"debug"}
    assert not gone, f"take {sorted(gone)} out of LAYERS"


@pytest.mark.parametrize("module", [name for name in sorted(MODULES) if name])
def test_imports_point_up(module):
    down = [name for name in graph()[module] if name and place_of(name) > place_of(module)]
    assert not down, f"plugmw.{module} imports what stands below it"


def test_no_two_modules_import_each_other_through_others():
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"a circle of imports: {' -> '.join((*trail, module))}"
        if module not in done:
            for name in graph().get(module, ()):
                if name and not name.startswith(f"{module}."):
                    visit(name, (*trail, module))
            done.add(module)

    for module in MODULES:
        if module:
            visit(module, ())


@pytest.mark.parametrize("module", [name for name in sorted(MODULES) if name.startswith("contrib.")])
def test_bundled_plugins_do_not_know_each_other(module):
    assert not [name for name in graph()[module] if name.startswith(("contrib", "gateway", "dialects"))]


@pytest.mark.parametrize("module", [name for name in sorted(MODULES) if name.startswith("dialects.")])
def test_dialects_do_not_know_the_gateway_the_bundled_plugins_nor_each_other(module):
    own = ".".join(module.split(".")[:2])
    shared = ("dialects.gostyle",)
    packages = {
        name.split(".")[1] for name in MODULES if name.startswith("dialects.") and name.count(".") > 1
    }
    others = [
        name
        for name in graph()[module]
        if name.startswith(("contrib", "gateway", "mounts"))
        or (
            name.startswith("dialects.")
            and not name.startswith((own, *shared))
            and name.split(".")[1] in packages
        )
    ]
    assert not others


def test_the_package_itself_imports_nothing_of_ours():
    assert graph()[""] == [""] or graph()[""] == []
