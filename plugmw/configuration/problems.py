"""What is wrong with a document: collected, and raised at once at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from plugmw.documents import Document
from plugmw.documents.document import render_place
from plugmw.errors import ConfigError
from plugmw.schema.messages import Path, Problem

#: The source in messages about what was given in code, and the first step of its paths.
CODE: Final = "code"


class Problems:
    """The errors and warnings of one reading of a document, those of its translation among them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.errors: list[ConfigError] = list(document.errors)
        self.warnings: list[ConfigError] = list(document.warnings)
        #: Plugin files that could not be loaded, which is no error by itself unless `strict`.
        self.broken_files: list[ConfigError] = []

    def at(self, path: Path, problem: str, expected: str | None = None) -> ConfigError:
        """Return the error for the value at a path, of the document or of what was given in code."""
        if path[:1] == (CODE,):
            return ConfigError(render_place(("plugins", *path[1:])), problem, expected, CODE)
        return self.document.error(path, problem, expected)

    def error(self, path: Path, problem: str, expected: str | None = None) -> None:
        self.errors.append(self.at(path, problem, expected))

    def warn(self, path: Path, problem: str) -> None:
        self.warnings.append(self.at(path, problem))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add the problems that :func:`plugmw.schema.read` returned."""
        for path, problem, expected in problems:
            self.error(path, problem, expected)

    def where(self, path: Path) -> str:
        """Write source and place for messages: ``gateway.yaml: plugins[2]``."""
        error = self.at(path, "")
        return f"{error.source or 'config'}: {error.path}"
