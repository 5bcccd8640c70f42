"""The modules of the package as trees, parsed once in a process for all tests that read them.

for name, tree in trees().items(): ...      # {"wsgi/keys.py": Module}
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import plugmw

#: The folder of the package.
PACKAGE = Path(plugmw.__file__).parent


@functools.cache
def texts() -> dict[str, str]:
    """Return the text of every module by its path below the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Return the tree of every module by its path below the package; not to be changed."""
    return {name: ast.parse(text) for name, text in texts().items()}


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield every statement at any depth, in place of ``ast.walk``, which goes into expressions too."""
    line: list[ast.AST] = [*body]
    while line:
        node = line.pop()
        if isinstance(node, ast.stmt):
            yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            line += getattr(node, field, ())
