"""Where a plugin's file is, and the function in it.

``plugin.so`` in a definition stands for the Python file that took its place: ``plugin.py``, or a file that is
still called ``plugin.so``. Of a file in several versions the one for this gateway is taken, in Tyk's order:

    plugin_v5.3.0_linux_amd64    plugin_5.3.0_linux_amd64    plugin

Relative paths begin at the definition's folder (in a bundle at the bundle's), then where the server runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import attrs

from plugmw.bundles import naming
from plugmw.errors import LoadError
from plugmw.loading.imports import load_file, load_module
from plugmw.loading.regular import open_regular
from plugmw.loading.watching import note

_ELF: Final = b"\x7fELF"


def candidates(path: str, version: str) -> Iterator[str]:
    """Yield the file names that ``path`` may stand for, the first choice first."""
    file = f"{path.removesuffix('.so').removesuffix('.py')}.py"
    for one in naming.candidates(file, version) if version else [Path(file)]:
        yield str(one)
        yield str(one.with_suffix(".so"))


@attrs.define(eq=False)
class Lookup:
    """The plugin files of one reading: a file that several hooks name is loaded once."""

    #: The gateway's version, as it may stand in the names of files.
    version: str = ""
    _modules: dict[Path, ModuleType] = attrs.field(factory=dict, init=False)

    def function(self, path: str, name: str, folder: Path, bundled: bool = False) -> Callable[..., object]:
        """Return the function ``name`` of the file (or dotted module) ``path``; raises :class:`LoadError`."""
        module = load_module(path) if _is_module(path) else self._file(self.find(path, folder, bundled))
        symbol = getattr(module, name, None)
        if symbol is None:
            known = ", ".join(sorted(key for key, value in vars(module).items() if _is_function(key, value)))
            raise LoadError(path, f"symbol {name!r} not found", f"one of {known}" if known else "a function")
        if not callable(symbol):
            raise LoadError(path, f"{name} is {type(symbol).__name__}", "a function")
        function: Callable[..., object] = symbol
        return function

    def find(self, path: str, folder: Path, bundled: bool = False) -> Path:
        """Return the file that ``path`` stands for, of a bundle one inside; raises :class:`LoadError`."""
        names = list(candidates(path, self.version))
        for base in (folder,) if bundled else (folder, Path()):
            for name in names:
                found = base / name
                if bundled and not found.resolve().is_relative_to(base.resolve()):
                    raise LoadError(path, "is outside of its bundle", "a file of the bundle")
                if found.is_file():
                    return found
            # Watched, so that the file is taken once it is there.
            note(base / names[-2])
        raise LoadError(path, "plugin file not found", f"{names[-2]} in {folder}")

    def _file(self, path: Path) -> ModuleType:
        key = path.resolve()
        if key not in self._modules:
            self._modules[key] = _load(path)
        return self._modules[key]


def _is_module(path: str) -> bool:
    return "/" not in path and not path.endswith((".so", ".py"))


def _is_function(name: str, value: object) -> bool:
    return callable(value) and not name.startswith("_") and not isinstance(value, type)


def _begins(path: Path, text: bytes) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(text)) == text
    except OSError:
        return False


def _load(path: Path) -> ModuleType:
    compiled = path.suffix == ".so" and _begins(path, _ELF)
    try:
        return load_file(path, source=not compiled)
    except LoadError as error:
        if compiled:
            raise LoadError(str(path), "is a compiled plugin", f"a Python file, {path.stem}.py") from error
        raise
