"""One API of Tyk's: its definition, and what hooks may know of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from plugmw.dialects.tyk.policies import Policies
from plugmw.dialects.tyk.spelling import Fields


@attrs.frozen(eq=False)
class Api:
    """The facts of an API that all of its requests share."""

    #: The definition as it was read; :meth:`copy` is what hooks get.
    definition: Mapping[str, Any]
    #: Where relative paths of plugin files begin.
    folder: Path = Path()
    #: The name of its route here.
    route: str = ""
    #: The gateway's version, as it may stand in the names of plugin files.
    version: str = ""
    #: Of its bundle, ``""`` without one.
    bundle_hash: str = ""
    #: What sessions that name one may do, by its id.
    policies: Policies = attrs.field(factory=dict)

    @property
    def api_id(self) -> str:
        return str(self.definition.get("api_id") or "")

    @property
    def org_id(self) -> str:
        return str(self.definition.get("org_id") or "")

    @property
    def name(self) -> str:
        return str(self.definition.get("name") or "")

    @property
    def config_data(self) -> Mapping[str, object] | None:
        """The free data of the definition, None if it has none."""
        data: Mapping[str, object] | None = self.definition.get("config_data")
        return data

    def copy(self) -> Fields:
        """Return a definition of its own, for a hook to read and change."""
        return Fields(copy.deepcopy(dict(self.definition)))
