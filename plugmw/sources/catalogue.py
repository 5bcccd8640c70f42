"""All sources behind one look-up: a plugin name or ``module:Class`` in, a class out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plugmw.errors import LoadError
from plugmw.imports import resolve
from plugmw.phases import PHASES
from plugmw.schema import suggest
from plugmw.sources import bundled, entrypoints
from plugmw.sources.folder import Folder


class Catalogue:
    """Bundled plugins, entry points and the given folders, in that order of strength."""

    def __init__(self, folders: Sequence[Folder] = ()) -> None:
        self.folders = list(folders)

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
            return check_class(resolve(name), name)
        finders = [bundled.find, entrypoints.find, *(folder.find for folder in self.folders)]
        for find in finders:
            found = find(name)
            if found is not None:
                return check_class(found, name)
        raise LoadError(name, f'no plugin "{name}"{suggest(name, self.names())}')


def check_class(found: Any, reference: str) -> Any:
    """Refuse what is no plugin class, naming what is wrong with it (rules of Kong's loader)."""
    from plugmw.plugin import Plugin

    if not (isinstance(found, type) and issubclass(found, Plugin)):
        raise LoadError(reference, f"got {found!r}", "a class derived from plugmw.Plugin")
    if not found.name:
        raise LoadError(reference, "the class has no name", "a class attribute `name`")
    priority: Any = found.priority
    if isinstance(priority, bool) or not isinstance(priority, (int, float)) or priority != priority:
        raise LoadError(reference, f"priority: got {priority!r}", "a number")
    if not any(hasattr(found, phase) for phase in PHASES if phase != "configure"):
        raise LoadError(reference, "has no phase method", f"at least one of {', '.join(PHASES)}")
    if hasattr(found, "response") and (hasattr(found, "header_filter") or hasattr(found, "body_filter")):
        raise LoadError(reference, "has response beside header_filter or body_filter", "one or the other")
    return found
