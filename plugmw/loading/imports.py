"""User code brought in by name or by file: ``module:attribute``, ``package.module``, ``path/to/file.py``."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from plugmw.errors import LoadError
from plugmw.loading.regular import read_regular
from plugmw.loading.watching import current, digest, note

_numbers = itertools.count(1)
#: How compiled libraries begin: ELF, Mach-O of 64 bits, a universal Mach-O, PE.
COMPILED = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")


def load_module(reference: str) -> ModuleType:
    """Import a module by name, or execute a file; raises :class:`LoadError`.

    What ends in ``.py`` or has a slash is a file, relative to the working directory.
    """
    if reference.endswith(".py") or "/" in reference:
        return load_file(Path(reference))
    # gunicorn and console scripts differ in this: an app's own modules are found from where it is run.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(reference)
    except Exception as error:
        raise LoadError(reference, f"import failed: {type(error).__name__}: {error}") from error


def resolve(reference: str) -> Any:
    """Import ``module:attribute.of.it``; raises :class:`LoadError` saying which part failed and why."""
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise LoadError(reference, f"got {reference!r}", "module:attribute")
    try:
        value: object = load_module(module_name)
    except LoadError as error:
        raise LoadError(reference, error.what, error.expected) from error
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            known = ", ".join(sorted(n for n in vars(value) if not n.startswith("_"))[:12])
            raise LoadError(reference, f"{module_name} has no {part!r}", f"one of {known}") from None
    return value


def load_file(path: Path, names: Mapping[str, object] | None = None, *, source: bool = False) -> ModuleType:
    """Execute a Python file as a module whose name no other load ever had; raises :class:`LoadError`.

    A fresh name makes new code really load, and keeps files of the same name in two folders apart. A file
    that holds what it did at the last reading of the same gateway gives the module of that time. ``names``
    are in the module before it is executed. With ``source`` it is Python text whatever its name ends in.
    """
    try:
        content = read_regular(path)
    except (OSError, ValueError) as error:
        note(path)
        raise LoadError(str(path), f"{type(error).__name__}: {error}") from error
    note(path, content)
    record = current()
    key = os.path.abspath(path), digest(content)
    module = record.known.get(key) if record else None
    if module is None:
        module = _execute(path, content, names or {}, source)
    if record is not None:
        record.modules[key] = module
    return module


def forget(modules: Iterable[ModuleType]) -> None:
    """Take modules that :func:`load_file` has made out of ``sys.modules``; nobody will ask for them again."""
    for module in modules:
        sys.modules.pop(module.__name__, None)


def _execute(path: Path, content: bytes, names: Mapping[str, object], source: bool) -> ModuleType:
    name = f"plugmw_loaded_{next(_numbers)}_{path.stem}"
    loader = SourceFileLoader(name, str(path)) if source else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise LoadError(str(path), f"got a file ending in {path.suffix!r}", "a Python file")
    try:
        # This executes a compiled library already.
        module = importlib.util.module_from_spec(spec)
        vars(module).update(names)
        sys.modules[name] = module
        if isinstance(spec.loader, SourceFileLoader):
            # Not by exec_module: its bytecode cache takes a change within a second for none.
            exec(compile(content, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
        else:
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if not isinstance(error, Exception):
            raise
        if isinstance(error, ImportError) and content.startswith(COMPILED) and not source:
            problem = "is a compiled library and no module of Python's, as Go plugins are"
            raise LoadError(str(path), problem, "a Python file in its place") from error
        raise LoadError(str(path), f"{type(error).__name__}: {error}") from error
    return module
