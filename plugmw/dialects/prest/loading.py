"""Plugin files by name: ``hello`` is ``<folder>/hello.py``, else the library ``<folder>/hello.so``.

A file is loaded when it is asked for first and stays as it is then; with ``reload`` it is loaded again once
it has changed. One that is missing is looked for each time; one that failed to load is tried again when it
has changed. Names are letters, digits and ``_``; a file whose real place is outside of the folder is not
there.

The texts of :class:`NotServed` are prestd's without its paths (``plugins/plugins.go``), and fit for clients;
what exactly failed is in the log.
"""

from __future__ import annotations

import inspect
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from plugmw.dialects.prest.views import VARIABLES, Builtins, Call, declared
from plugmw.errors import LoadError, PlugmwError
from plugmw.kernel.runtime import Logger
from plugmw.kernel.user_code import contained
from plugmw.loading.imports import forget, load_file

NAME: Final = r"[A-Za-z0-9_]+"
_is_name: Final = re.compile(NAME).fullmatch
#: Path, size, inode and time of the last change: with another one, a file is another.
Stamp = tuple[str, int, int, int]
Function = Callable[[Call], object]
T = TypeVar("T")


class NotServed(PlugmwError):
    """There is no such function: a 404 with the reason in its body."""


class Failed(PlugmwError):
    """A call failed with ``status``, 500 to 599; the text is for the log."""

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        super().__init__(problem)


class PythonFile:
    """A loaded Python file."""

    def __init__(self, path: str, name: str, compat: bool) -> None:
        self._name = name
        self._compat = compat
        self._module = load_file(Path(path), {"__builtins__": Builtins()})
        self._declared = declared(self._module)
        self._functions: dict[str, Function] = {}

    def symbol(self, name: str) -> Any:
        """Return a global of the file; raises :class:`NotServed`."""
        try:
            return vars(self._module)[name]
        except KeyError:
            raise no_symbol(name, self._name) from None

    def function(self, name: str) -> Function:
        """Return what calls a function of the file; raises :class:`NotServed`."""
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = self._prepared(name)
        return function

    def _prepared(self, name: str) -> Function:
        if self._compat:
            self._need_variables()
        function = self.symbol(name)
        # Functions that a file imports are not served.
        if not callable(function) or getattr(function, "__module__", None) != self._module.__name__:
            raise no_symbol(name, self._name)
        if accepts(function, 0):
            self._need_variables()
            return lambda call: call.run(function)
        if accepts(function, 1):
            return lambda call: call.run(function, call.request)
        raise wrong_type(name)

    def _need_variables(self) -> None:
        for name in VARIABLES:
            if name not in self._declared:
                raise no_symbol(name, self._name)

    def close(self) -> None:
        """Forget the module."""
        forget([self._module])


class NativeFile:
    """A loaded library."""

    def __init__(self, path: str, name: str, logger: Logger, options: dict[str, object]) -> None:
        from plugmw.dialects.prest.native import open_library

        self._name = name
        self._library = _call_library(open_library, path, logger=logger, **options)

    def function(self, name: str) -> Function:
        """Return what calls a function of the library; raises :class:`NotServed`, :class:`Failed`."""
        function = _call_library(getattr, self._library, name, None)
        if function is None:
            raise no_symbol(name, self._name)
        return lambda call: _told(_call_library(function, call, call.http_vars, call.url_query))

    def close(self) -> None:
        """End what the library runs in."""
        self._library.close()


def _told(answer: tuple[bytes, int, Any]) -> tuple[bytes | str, int, Any]:
    """Return the answer of a library, an error's body as the text that it is."""
    body, status, headers = answer
    try:
        return (body.decode() if status >= 400 else body), status, headers
    except UnicodeDecodeError:
        return answer


def _call_library(function: Callable[..., T], *arguments: object, **options: object) -> T:
    """Call something of a library; its failures become :class:`Failed`."""
    from plugmw.dialects.prest.native import NativeError

    try:
        return function(*arguments, **options)
    except NativeError as error:
        raise Failed(error.status, str(error)) from error


class Folder:
    """The plugin files of a folder, as one process has loaded them. Thread-safe."""

    def __init__(
        self, path: str, logger: Logger, *, reload: bool = False, compat: bool = False, **native: object
    ) -> None:
        """``native`` are the options of :func:`~plugmw.dialects.prest.native.open_library`."""
        self.path = path
        self._logger = logger
        self._reload = reload
        self._compat = compat
        self._native = native
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[Stamp, PythonFile | NativeFile]] = {}
        self._failed: dict[str, tuple[Stamp, str]] = {}

    def open(self, name: str) -> PythonFile | NativeFile:
        """Return a file, loaded; raises :class:`NotServed`."""
        known = self._loaded.get(name)
        if known is not None and not self._reload:
            return known[1]
        stamp = find(self.path, name)
        if stamp is None:
            raise NotServed(f'plugin.Open("{name}"): realpath failed')
        if known is not None and known[0] == stamp:
            return known[1]
        with self._lock:
            known = self._loaded.get(name)
            if known is None or known[0] != stamp:
                file = self._load(stamp, name)
                if known is not None:
                    known[1].close()
                known = self._loaded[name] = stamp, file
            return known[1]

    def _load(self, stamp: Stamp, name: str) -> PythonFile | NativeFile:
        before = self._failed.get(name)
        if before is not None and before[0] == stamp:
            raise NotServed(f"{before[1]} (previous failure)")
        try:
            if stamp[0].endswith(".py"):
                return contained(PythonFile, stamp[0], name, self._compat)
            return NativeFile(stamp[0], name, self._logger, self._native)
        except Failed:
            raise  # by what may be otherwise next time
        except Exception as error:
            self._logger.error("%s", error, exc_info=None if isinstance(error, LoadError) else error)
            own = getattr(error, "reason", None) if isinstance(error, LoadError) else None
            reason = own or f'plugin.Open("{name}"): cannot be loaded'
            self._failed[name] = stamp, reason
            raise NotServed(reason) from error

    def close(self) -> None:
        """Forget every file."""
        with self._lock:
            loaded, self._loaded = self._loaded, {}
        for _, file in loaded.values():
            file.close()


def find(folder: str, name: str) -> Stamp | None:
    """Return the file that stands for a name, None if there is none inside of the folder."""
    if not _is_name(name):
        return None
    top = os.path.realpath(folder)
    for suffix in (".py", ".so"):
        path = os.path.join(top, name + suffix)
        real = os.path.realpath(path)
        if os.path.isfile(real) and os.path.commonpath((top, real)) == top:
            status = os.stat(real)
            return path, status.st_size, status.st_ino, status.st_mtime_ns
    return None


def accepts(function: Any, count: int) -> bool:
    """Say whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def wrong_type(name: str) -> NotServed:
    """Return the error for a symbol that is no plugin function or returns the wrong type."""
    return NotServed(f"plugin handler {name} is not func() string or func() (string, int)")


def no_symbol(name: str, file: str) -> NotServed:
    """Return the error for a name that a file does not have."""
    return NotServed(f"plugin: symbol {name} not found in plugin {file}")
