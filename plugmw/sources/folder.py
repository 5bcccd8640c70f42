"""Plugins from the files of a folder: each file is a module of its own with a fresh name."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any

from plugmw.errors import LoadError
from plugmw.imports import load_file
from plugmw.plugin import Plugin


class Folder:
    """The plugin classes in the files of one folder, read when it is made.

    Files are taken in name order; folders inside are left alone. ``errors`` holds a LoadError for each
    file that could not be loaded; the others count all the same.
    """

    def __init__(self, path: Path, pattern: str = "*.py") -> None:
        self.path = path
        self.pattern = pattern
        self.errors: list[LoadError] = []
        self._classes: dict[str, type[Plugin]] = {}
        self._read()

    def _read(self) -> None:
        try:
            files = sorted(file for file in self.path.iterdir() if file.is_file())
        except OSError as error:
            self.errors.append(LoadError(str(self.path), error.strerror or str(error), "a folder"))
            return
        for file in files:
            if fnmatch.fnmatchcase(file.name, self.pattern):
                try:
                    self._take(load_file(file), file)
                except LoadError as error:
                    self.errors.append(error)

    def _take(self, module: ModuleType, file: Path) -> None:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == module.__name__:
                if not value.name:
                    raise LoadError(f"{file}: {value.__name__}", "has no name", "a class attribute `name`")
                if value.name in self._classes:
                    raise LoadError(
                        f"{file}: {value.__name__}", f"name {value.name!r} is taken", "another name"
                    )
                self._classes[value.name] = value

    def names(self) -> list[str]:
        """Return the names of the plugins in this folder."""
        return sorted(self._classes)

    def find(self, name: str) -> Any:
        """Return the class under ``name``, or None."""
        return self._classes.get(name)
