"""Load KrakenD-style plugin modules: from a folder by pattern, in three passes, or one by one.

A module exposes one or more registerers; each spelling may also be Go's:

    class Registerer:
        def register_logger(self, logger): ...      # optional; called first
        def register_handlers(self, f):             # register_clients, register_modifiers
            f("my-plugin", self.factory)

    HandlerRegisterer = Registerer()                # ClientRegisterer, ModifierRegisterer

A broken file never stops the others: what is wrong with it is logged as KrakenD does (``plugin/plugin.go``
of Lura, ``plugin.go`` of KrakenD) and kept in ``errors``, for callers that are strict.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Event
from types import ModuleType, SimpleNamespace

from plugmw.dialects.krakend.logger import Logger
from plugmw.dialects.krakend.registry import KINDS, MODIFIER, Kind, Register, method_of
from plugmw.errors import LoadError
from plugmw.kernel.runtime import Logger as StandardLogger
from plugmw.loading.imports import load_file, load_module

_LOADER = "[SERVICE: Plugin Loader]"


class Context:
    """What is left of Go's ``context.Context``: ``done`` is set when the worker stops."""

    def __init__(self) -> None:
        self.done = Event()


class Missing(LoadError):
    """A module does not expose the symbol of a kind; in a folder that is no fault of the module."""


class Loader:
    """A register, and what fills it. ``logger`` is a standard logger or anything with its methods."""

    def __init__(self, logger: StandardLogger) -> None:
        self.register = Register()
        self.logger = Logger(logger)
        self.context = Context()
        #: What is wrong with files and modules, in the order found, each once.
        self.errors: list[LoadError] = []
        self._files: dict[str, ModuleType | LoadError] = {}
        self._symbols: list[object] = []

    def load_folder(self, folder: str, pattern: str = "") -> None:
        """Try every file of ``folder`` with ``pattern`` in its name as every kind.

        Files are taken in name order; folders inside are left alone, whatever they are called.
        """
        self.logger.debug(_LOADER, "Starting loading process")
        for kind in KINDS:
            try:
                paths = _scan(folder, pattern)
            except LoadError as error:
                self.logger.debug(kind.tag, error)
                self._add_error(error)
            else:
                self._pass(kind, {path: partial(self._file, path) for path in paths})
        self.logger.debug(_LOADER, "Loading process completed")

    def load(self, source: object, kind: Kind) -> None:
        """Load one kind from a file, a module's name, a module, or a registerer itself.

        It was asked for by name, so errors are logged at ERROR.
        """
        if isinstance(source, (str, os.PathLike)):
            name = os.fspath(source)
            self._pass(kind, {name: lambda: load_module(name)}, asked=True)
            return
        if method_of(source, kind.method) is not None:
            source = SimpleNamespace(**{"__name__": type(source).__name__, kind.symbol: source})
        name = getattr(source, "__name__", type(source).__name__)
        self._pass(kind, {name: lambda: source}, asked=True)

    def register_logger(self, logger: StandardLogger) -> None:
        """Give another logger to this loader and to every plugin loaded so far."""
        self.logger = Logger(logger)
        for symbol in self._symbols:
            _call_optional(symbol, "register_logger", self.logger)

    def _file(self, path: str) -> ModuleType:
        """Execute a file once for all three passes."""
        if path not in self._files:
            try:
                self._files[path] = load_file(Path(path))
            except LoadError as error:
                self._files[path] = error
        module = self._files[path]
        if isinstance(module, LoadError):
            raise module
        return module

    def _pass(self, kind: Kind, sources: Mapping[str, Callable[[], object]], asked: bool = False) -> None:
        """Register one kind from each source, then log what failed and how many did not."""
        failures = []
        for index, (name, get) in enumerate(sources.items()):
            try:
                self._register(kind, name, get())
            except Exception as error:
                failures.append(f"plugin #{index} ({name}): {_text_of(error)}")
                if asked or not isinstance(error, Missing):
                    self._add_error(LoadError(name, _text_of(error)))
        for failure in failures:
            (self.logger.error if asked else self.logger.debug)(kind.tag, failure)
        loaded = len(sources) - len(failures)
        if loaded:
            self.logger.info(kind.tag, "Total plugins loaded:", loaded)

    def _add_error(self, error: LoadError) -> None:
        """Add an error once: a broken file fails in all three passes."""
        if str(error) not in map(str, self.errors):
            self.errors.append(error)

    def _register(self, kind: Kind, name: str, module: object) -> None:
        symbol = getattr(module, kind.symbol, None)
        if symbol is None:
            raise Missing(name, f"plugin: symbol {kind.symbol} not found in plugin {Path(name).stem}")
        if isinstance(symbol, type):
            symbol = symbol()
        register = method_of(symbol, kind.method)
        if register is None:
            raise LoadError(name, kind.unknown)
        _call_optional(symbol, "register_logger", self.logger)
        if kind is MODIFIER:
            _call_optional(symbol, "register_context", self.context)
        register(self.register.taker(kind))
        self._symbols.append(symbol)


def _scan(folder: str, pattern: str) -> list[str]:
    try:
        items = sorted(Path(folder).iterdir())
    except OSError as error:
        raise LoadError(f"open {folder}", (error.strerror or str(error)).lower()) from error
    return [
        os.path.join(os.path.normpath(folder), item.name)
        for item in items
        if pattern in item.name and not item.is_dir()
    ]


def _call_optional(symbol: object, method: str, value: object) -> None:
    """Call an optional method of a registerer."""
    function = method_of(symbol, method)
    if function is not None:
        function(value)


def _text_of(error: Exception) -> str:
    if isinstance(error, LoadError):
        return f"{error.what}, expected {error.expected}" if error.expected else error.what
    return f"{type(error).__name__}: {error}"
