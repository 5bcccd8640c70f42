"""All sources behind one look-up: a plugin name or ``module:Class`` in, a class out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plugmw.errors import LoadError
from plugmw.kernel.plugin import Plugin, check_class
from plugmw.loading.imports import resolve
from plugmw.schema.messages import suggest
from plugmw.sources import bundled, entrypoints


class Catalogue:
    """Bundled plugins, entry points and the given folders, in that order of strength."""

    def __init__(self, folders: Sequence[Any] = ()) -> None:
        self.folders = list(folders)
        #: Classes made for Kong handlers, so that all entries of one share it.
        self._adapted: dict[str, Any] = {}

    def names(self) -> dict[str, str]:
        """Return every known name and where it comes from."""
        found: dict[str, str] = {}
        for folder in reversed(self.folders):
            found.update(dict.fromkeys(folder.names(), str(folder.path)))
        found.update(dict.fromkeys(entrypoints.names(), "entry point"))
        found.update(dict.fromkeys(bundled.names(), "bundled"))
        return found

    def find(self, name: str) -> Any:
        """Return the plugin class for ``name``; raises :class:`LoadError`."""
        if ":" in name:
            return self._checked(resolve(name), name)
        finders = [bundled.find, entrypoints.find, *(folder.find for folder in self.folders)]
        for find in finders:
            found = find(name)
            if found is not None:
                return self._checked(found, name)
        raise LoadError(name, f'no plugin "{name}"{suggest(name, self.names())}')

    def _checked(self, found: Any, name: str) -> Any:
        """Return a plugin class as it is, a Kong handler adapted; raises :class:`LoadError`."""
        native = isinstance(found, type) and issubclass(found, Plugin)
        if native or not (hasattr(found, "PRIORITY") or hasattr(found, "VERSION")):
            return check_class(found, name)
        if name not in self._adapted:
            from plugmw.dialects.kong.handler import adapt, plugin_name

            self._adapted[name] = adapt(found, plugin_name(name, found))
        return self._adapted[name]
