"""A bundle's Python files as modules of their own, and the hooks in them.

Inside a bundle ``import helper`` finds the bundle's own file, ``import tyk`` and ``import gateway`` what
plugmw gives plugins, everything else what it finds anywhere. Outside nothing changes: a bundle's modules are
in ``sys.modules`` under names that no other load ever has (``plugmw_tyk_7_helper``), so bundles with equal
file names, and an app with a ``gateway`` module, do not meet. A bundle's files stand behind the standard
library and plugmw, and before what is installed, as do the libraries in its folder ``vendor``. ``import``
statements of Python code work so; ``importlib.import_module``, and imports that compiled code makes itself,
know nothing of the bundle.

The modules live as long as the :class:`Loaded` they came with.
"""

from __future__ import annotations

import builtins
import itertools
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from plugmw.dialects.tyk.python.tyk.decorators import Hook
from plugmw.errors import LoadError
from plugmw.loading.regular import read_regular
from plugmw.loading.watching import note

#: Where the modules are that plugins find as ``tyk`` and ``gateway``.
_GIVEN: Final = f"{__package__}."
_PROTECTED: Final = sys.stdlib_module_names | {"plugmw"}
_PREFIX: Final = "plugmw_tyk_"

_numbers = itertools.count(1)
#: The folders whose modules are alive, by number.
_folders: dict[str, _Folder] = {}


class Loaded:
    """The hooks of a bundle, by function name; its modules are forgotten with this object."""

    def __init__(self, folder: Path, entry: Path) -> None:
        self.hooks: Mapping[str, Hook] = {}
        number = str(next(_numbers))
        name = entry.stem.replace(".", "_")
        _folders[number] = _Folder(folder, f"{_PREFIX}{number}_", {name: entry})
        # Not kept alive by the modules: they know only the number.
        self.forget = weakref.finalize(self, _forget, number)
        self.forget.atexit = False
        if _finder not in sys.meta_path:
            # First, because others would find the files in a package of the bundle too.
            sys.meta_path.insert(0, _finder)
        try:
            self.hooks = _hooks(import_module(f"{_PREFIX}{number}_{name}"))
        except BaseException:
            self.forget()
            raise


def load(folder: Path, files: Sequence[str]) -> Loaded:
    """Execute the entry file, ``middleware.py`` or the only one in ``files``; raises :class:`LoadError`."""
    folder = folder.absolute()
    path = folder / (files[0] if len(files) == 1 else "middleware.py")
    note(path)
    if path.suffix != ".py" or not path.resolve().is_relative_to(folder.resolve()):
        raise LoadError(str(path), f"got {path.name!r}", "a Python file of the bundle")
    try:
        return Loaded(folder, path)
    except (Exception, SystemExit) as error:
        raise LoadError(str(path), f"{type(error).__name__}: {error}") from error


def _hooks(module: ModuleType) -> dict[str, Hook]:
    values = (getattr(module, name) for name in dir(module))
    return {hook.name: hook for hook in values if isinstance(hook, Hook)}


def _forget(number: str) -> None:
    prefix = _folders.pop(number).prefix
    # The garbage collector may call this anywhere: nothing is iterated that others change.
    for name in list(sys.modules):
        if name.startswith(prefix):
            sys.modules.pop(name, None)


class _Folder:
    """A folder whose files are modules under names with a prefix, the libraries in its ``vendor`` too."""

    def __init__(self, path: Path, prefix: str, known: Mapping[str, Path]) -> None:
        # The entry file may be in a folder of its own.
        self.places = *(str(entry.parent) for entry in known.values()), str(path), str(path / "vendor")
        self.prefix = prefix
        #: What was found at the top: imports inside hooks do not look again.
        self._found: dict[str, Path | None] = {**known}
        self.builtins = {**vars(builtins), "__import__": _importer(self)}

    def top(self, name: str) -> Path | None:
        """Return the file of a module that has no dots in its name, None if there is none."""
        if name not in self._found:
            self._found[name] = _file(self.places, name)
        return self._found[name]


def _file(places: Sequence[str], name: str) -> Path | None:
    for place in map(Path, places):
        compiled = (place / f"{name}{suffix}" for suffix in EXTENSION_SUFFIXES)
        for path in (place / name / "__init__.py", *compiled, place / f"{name}.py"):
            if path.is_file():
                return path
    return None


def _importer(folder: _Folder) -> Callable[..., ModuleType]:
    """Return the ``__import__`` of a bundle's modules."""

    def private_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top in _PROTECTED:
            base = ""
        elif top in ("tyk", "gateway"):
            base = _GIVEN
        else:
            base = folder.prefix if folder.top(top) else ""
        module = builtins.__import__(base + name, globals, locals, fromlist, level)
        # Without a list the statement binds the first part of the name.
        return sys.modules[base + top] if base and not fromlist else module

    return private_import


class _Finder:
    """Finds the modules of bundles; asked for every import, so quick to say no."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if not name.startswith(_PREFIX):
            return None
        number, _, rest = name[len(_PREFIX) :].partition("_")
        folder = _folders.get(number)
        if folder is None:
            return None
        file = folder.top(rest) if path is None else _file(path, rest.rpartition(".")[2])
        if file is None:
            return None
        loader: Any = _Loader(folder, file) if file.suffix == ".py" else _Compiled(rest, str(file))
        spec = ModuleSpec(name, loader, origin=str(file), is_package=file.name == "__init__.py")
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(str(file.parent))
        return spec


class _Loader:
    """Executes a file of a bundle; not from bytecode, which takes a change within a second for none."""

    def __init__(self, folder: _Folder, file: Path) -> None:
        self.folder = folder
        self.file = file

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave that to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        content = read_regular(self.file)
        note(self.file, content)
        module.__dict__["__builtins__"] = self.folder.builtins
        code = compile(content, str(self.file), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102


class _Compiled(ExtensionFileLoader):
    """Loads a compiled module; one in no package is made under its own name, which its code has inside."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        note(self.path)
        inner = spec.name if "." in self.name else self.name
        return super().create_module(ModuleSpec(inner, self, origin=self.path))


_finder: Final = _Finder()
