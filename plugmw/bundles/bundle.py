"""A bundle that is on disk and checked, and several made into one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from plugmw.bundles.manifest import Manifest
from plugmw.errors import LoadError

#: The folder of a bundle with the libraries that its plugins import.
VENDOR: Final = "vendor"


@attrs.frozen
class Bundle:
    """``name`` as it was asked for; the files are in ``folder``; ``hash`` differs when the content does."""

    name: str
    folder: Path
    manifest: Manifest
    hash: str
    #: Of a merged one, the bundles it was made of, in order.
    merged: tuple[Bundle, ...] = ()

    @property
    def parts(self) -> tuple[Bundle, ...]:
        """The bundles with code of their own: those merged, or this one."""
        return self.merged or (self,)

    @property
    def vendor(self) -> Path | None:
        """The folder of libraries for this bundle alone, to be put on its private import path; or None."""
        listed = any(name.startswith(f"{VENDOR}/") for name in self.manifest.file_list)
        return self.folder / VENDOR if listed and not self.merged else None


def merge(name: str, parts: Sequence[Bundle], root: Path) -> Bundle:
    """Make one bundle of several in folders below ``root``; raises :class:`LoadError` if they contradict.

    Lists of hooks are appended in order; of everything else there may be one. Names and paths of files begin
    with the folder of their part.
    """
    hooks: dict[str, object] = {}
    files: list[str] = []
    for part in parts:
        place = part.folder.relative_to(root).as_posix()
        files += [f"{place}/{file}" for file in part.manifest.file_list]
        for kind, value in part.manifest.custom_middleware.items():
            hooks[kind] = _joined(f"{name}: {part.name}", kind, hooks.get(kind), _moved(value, place))
    total = hashlib.sha256("".join(part.hash for part in parts).encode()).hexdigest()
    return Bundle(name, root, Manifest(tuple(files), hooks), total, tuple(parts))


def _joined(source: str, kind: str, before: object, value: object) -> object:
    if isinstance(value, list) and isinstance(before, (list, type(None))):
        return [*(before or ()), *value]
    if not _is_set(value):
        return value if before is None else before
    if _is_set(before) and (isinstance(value, dict) or value != before):
        raise LoadError(source, f"{kind}: is set in a bundle before it too", f"one {kind} for all")
    return value


def _is_set(value: object) -> bool:
    return any(value.values()) if isinstance(value, dict) else bool(value)


def _moved(value: object, place: str) -> object:
    """Return hooks whose ``path`` is below ``place``."""
    if isinstance(value, list):
        return [_moved(one, place) for one in value]
    if isinstance(value, dict):
        path = value.get("path")
        if path and isinstance(path, str):
            return {**value, "path": f"{place}/{path}"}
    return value
