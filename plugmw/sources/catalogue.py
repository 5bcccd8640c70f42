"""All sources behind one look-up: a plugin name or ``module:Class`` in, a class out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from plugmw.errors import LoadError
from plugmw.kernel.plugin import Plugin, check_class
from plugmw.loading.imports import resolve
from plugmw.schema.messages import suggest
from plugmw.sources import bundled, entrypoints


class PluginSource(Protocol):
    """Classes by name: a folder of plugin files, or plugin servers."""

    @property
    def path(self) -> object:
        """Where the classes are, for messages."""

    def names(self) -> Iterable[str]:
        """Return the names of the classes."""

    def find(self, name: str) -> object:
        """Return a plugin class or a Kong handler, None if there is none of that name."""


class Catalogue:
    """Bundled plugins, entry points and the sources of one gateway, in that order of strength."""

    def __init__(self, folders: Sequence[PluginSource] = ()) -> None:
        self.folders = list(folders)
        #: Plugin classes of Kong handlers, so that all entries of one handler share a class.
        self._adapted: dict[str, type[Plugin]] = {}

    def names(self) -> dict[str, str]:
        """Return every known name and where it comes from."""
        origins: dict[str, str] = {}
        for folder in reversed(self.folders):
            origins.update(dict.fromkeys(folder.names(), str(folder.path)))
        origins.update(dict.fromkeys(entrypoints.names(), "entry point"))
        origins.update(dict.fromkeys(bundled.names(), "bundled"))
        return origins

    def find(self, name: str) -> type[Plugin]:
        """Return the plugin class for ``name``; raises :class:`LoadError`."""
        if ":" in name:
            return self._checked(resolve(name), name)
        finders: list[Callable[[str], object]] = [
            bundled.find,
            entrypoints.find,
            *(folder.find for folder in self.folders),
        ]
        for find in finders:
            candidate = find(name)
            if candidate is not None:
                return self._checked(candidate, name)
        raise LoadError(name, f'no plugin "{name}"{suggest(name, self.names())}')

    def _checked(self, candidate: object, name: str) -> type[Plugin]:
        """Return a plugin class as it is, a Kong handler adapted; raises :class:`LoadError`."""
        native = isinstance(candidate, type) and issubclass(candidate, Plugin)
        if native or not (hasattr(candidate, "PRIORITY") or hasattr(candidate, "VERSION")):
            plugin: type[Plugin] = check_class(candidate, name)
            return plugin
        if name not in self._adapted:
            from plugmw.dialects.kong.handler import adapt, plugin_name

            self._adapted[name] = adapt(candidate, plugin_name(name, candidate))
        return self._adapted[name]
