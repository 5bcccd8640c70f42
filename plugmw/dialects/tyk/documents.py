"""API definitions as one document: a file, a folder of them (Tyk's ``apps``), a mapping, or a list of these.

Messages name the place in the file that it was found in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from plugmw.dialects.tyk.fields import ApiDefinition
from plugmw.documents import Document, load
from plugmw.documents.document import Origin, Place, parse_place
from plugmw.documents.shapes import folded
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.loading.watching import note

#: The first step of places: ``("apis", 0, "proxy")`` is ``proxy`` of the first definition.
APIS: Final = "apis"
#: What of an OpenAPI document is Tyk's.
EXTENSION: Final = "x-tyk-api-gateway"
#: The keys of which every OpenAPI document has one.
SPECIFICATIONS: Final = frozenset(("openapi", "swagger"))
#: How the files end that may be the other part of a definition.
_PARTS: Final = ("-oas.json", "-mcp.json")


class Definitions(Document):
    """Several definitions, their keys spelled as Tyk's; ``data`` is ``{"apis": [...]}``."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = [folded(document, ApiDefinition) for document in documents]
        files = {path: hash for one in self.documents for path, hash in one.fingerprints.items()}
        source = self.documents[0].source if self.documents else None
        super().__init__({APIS: [one.data for one in self.documents]}, source, files)
        self.errors = [error for one in self.documents for error in one.errors]

    def _inside(self, place: Place | str) -> tuple[Document | None, Place]:
        steps = parse_place(place) if isinstance(place, str) else tuple(place)
        if len(steps) > 1 and steps[0] == APIS and isinstance(steps[1], int):
            return self.documents[steps[1]], steps[2:]
        return None, steps

    def origin(self, place: Place | str) -> Origin:
        document, steps = self._inside(place)
        return document.origin(steps) if document else super().origin(place)

    def text(self, place: Place | str) -> str | None:
        document, steps = self._inside(place)
        return document.text(steps) if document else super().text(place)

    def error(self, place: Place | str, problem: str, expected: str | None = None) -> ConfigError:
        document, steps = self._inside(place)
        return (
            document.error(steps, problem, expected) if document else super().error(place, problem, expected)
        )


def load_definitions(source: Any) -> Definitions:
    """Read one definition or several; raises :class:`ConfigErrors` with all that cannot be read."""
    errors: list[ConfigError] = []
    documents: list[Document] = []
    for one in source if isinstance(source, (list, tuple)) else [source]:
        try:
            documents += _folder(one) if _is_folder(one) else [load(one)]
        except ConfigErrors as several:
            errors += several.errors
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ConfigErrors(errors)
    return Definitions(documents)


def _is_folder(source: Any) -> bool:
    return not isinstance(source, Mapping) and source is not None and os.path.isdir(source)


def _folder(source: str | os.PathLike[str]) -> list[Document]:
    """Read the definitions of a folder by name, without what belongs to others of them."""
    folder = Path(source)
    note(folder)
    paths = sorted(folder.glob("*.json"))
    documents = [load(path) for path in paths]
    own = [one for path, one in zip(paths, documents) if not _is_part(path, one)]
    if not own:
        raise ConfigError("", "no API definition in it", "files *.json", str(folder))
    return own


def _is_part(path: Path, document: Document) -> bool:
    """Say whether a file is the OpenAPI part of the definition beside it, as in Tyk by name and content."""
    for end in _PARTS:
        if path.name.endswith(end) and path.with_name(f"{path.name.removesuffix(end)}.json").exists():
            return not SPECIFICATIONS.isdisjoint(document.data)
    return False
