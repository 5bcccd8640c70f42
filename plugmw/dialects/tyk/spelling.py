"""Go's spelling of names beside Python's: ``definition.ConfigData`` is ``definition["config_data"]``."""

from __future__ import annotations

from typing import Any


def fold_name(name: str) -> str:
    return name.replace("_", "").lower()


class Fields(dict[str, Any]):
    """A mapping whose keys are attributes too, in either spelling; what is missing is None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        key = self._key(name)
        return None if key is None else self[key]

    def __setattr__(self, name: str, value: object) -> None:
        self[self._key(name) or name] = value

    def _key(self, name: str) -> str | None:
        wanted = fold_name(name)
        return next((key for key in self if fold_name(key) == wanted), None)
