"""What a translation of definitions has in common, and one definition in it: its fields, and its places."""

from __future__ import annotations

from pathlib import Path

from plugmw.bundles import Bundles
from plugmw.dialects.tyk.documents import APIS, Definitions
from plugmw.dialects.tyk.fields import ApiDefinition, Own
from plugmw.dialects.tyk.lookup import Lookup
from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.documents.translated import Options
from plugmw.documents.translation import Translation


class Tyk(Translation):
    """Definitions on their way."""

    def __init__(self, document: Definitions, options: Options) -> None:
        super().__init__(document, options)
        self.native = {kind: [] for kind in ("services", "routes", "consumers", "plugins")}
        self.names: set[str] = set()
        #: Host and path, with the place of the API that has them.
        self.taken: dict[tuple[str, str], Place] = {}
        self.lookups: dict[str, Lookup] = {}
        self.bundles: dict[object, Bundles] = {}


class DefinitionReader:
    """One definition. Places are those below it."""

    def __init__(self, into: Tyk, index: int, document: Document) -> None:
        self.into = into
        self.place: Place = (APIS, index)
        self.data = document.data
        self.source = document.source
        self.folder = Path(document.source).parent if document.source else Path()
        self.fields = into.part(ApiDefinition, self.data, self.place)
        self.own = into.part(Own, self.fields.plugmw, self.at("plugmw"))
        self.options = into.options.switched(self.own.strict, self.own.compat)

    def at(self, *steps: str | int) -> Place:
        return (*self.place, *steps)

    def error(self, steps: Place, problem: str, expected: str | None = None) -> None:
        self.into.error(self.at(*steps), problem, expected)

    def warn(self, steps: Place, problem: str, expected: str | None = None) -> None:
        self.into.warn(self.at(*steps), problem, expected)
