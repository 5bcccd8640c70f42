"""The plugins that come with plugmw, found by file name and imported when named."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from plugmw.errors import LoadError

_FOLDER = Path(__file__).parent.parent / "contrib"


def names() -> list[str]:
    """Return the names of the bundled plugins."""
    return sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("[a-z]*.py"))


def find(name: str) -> Any:
    """Return the class of a bundled plugin, None if there is no such plugin.

    Raises :class:`LoadError` naming the extra when a library it needs is not installed.
    """
    if name not in names():
        return None
    module_name = "plugmw.contrib." + name.replace("-", "_")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("plugmw"):
            raise
        extra = name.partition("-")[0]
        raise LoadError(
            name, f"needs the library {error.name}, which is not installed", f"pip install 'plugmw[{extra}]'"
        ) from error
    return next(v for v in vars(module).values() if isinstance(v, type) and getattr(v, "name", "") == name)
