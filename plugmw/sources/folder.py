"""Plugins from the files of a folder: each file is a module of its own with a fresh name."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from types import ModuleType

from plugmw.errors import LoadError
from plugmw.kernel.plugin import Plugin
from plugmw.loading.imports import load_file
from plugmw.loading.watching import note


class Folder:
    """The plugin classes in the files of one folder, read at once.

    Files are taken in name order; folders inside are left alone, and so are classes whose names begin
    with an underscore: bases of others. ``errors`` holds a LoadError for each file that could not be
    loaded and each class that was refused; the others count all the same.
    """

    def __init__(self, path: Path, pattern: str = "*.py") -> None:
        self.path = path
        self.pattern = pattern
        self.errors: list[LoadError] = []
        self._classes: dict[str, type[Plugin]] = {}
        self._read()

    def _read(self) -> None:
        note(self.path)
        try:
            files = sorted(file for file in self.path.iterdir() if file.is_file())
        except OSError as error:
            self.errors.append(LoadError(str(self.path), error.strerror or str(error), "a folder"))
            return
        for file in files:
            if fnmatch.fnmatchcase(file.name, self.pattern):
                try:
                    module = load_file(file)
                except LoadError as error:
                    self.errors.append(error)
                else:
                    for cls in _plugins_of(module):
                        self._add(cls, f"{file}: {cls.__name__}")

    def _add(self, cls: type[Plugin], where: str) -> None:
        if not cls.name:
            self.errors.append(LoadError(where, "has no name", "a class attribute `name`"))
        elif self._classes.setdefault(cls.name, cls) is not cls:
            self.errors.append(LoadError(where, f"name {cls.name!r} is taken", "another name"))

    def names(self) -> list[str]:
        """Return the names of the plugins in this folder."""
        return sorted(self._classes)

    def find(self, name: str) -> type[Plugin] | None:
        """Return the class under ``name``, or None."""
        return self._classes.get(name)


def _plugins_of(module: ModuleType) -> list[type[Plugin]]:
    """Return the plugin classes that a module itself defines, without its private ones."""
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Plugin)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]
