"""The plugins that come with plugmw: one per file or folder of ``contrib``, and those of the dialects.

A name is found without importing anything; the module is imported when its plugin is named.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

from plugmw.errors import LoadError

_CONTRIB = Path(__file__).parent.parent / "contrib"
#: Plugins through which a dialect is used from a configuration; their modules are beside others there.
_DIALECTS = {
    "functions": "prest.plugin",
    "http-server": "krakend.http_server",
    "req-resp-modifier": "krakend.req_resp_modifier",
    "response-modifier": "response_modifier",
}


@functools.cache
def _modules() -> dict[str, str]:
    """Return the module of every bundled plugin by the plugin's name."""
    files = (path.stem for path in _CONTRIB.glob("[a-z]*.py"))
    folders = (path.parent.name for path in _CONTRIB.glob("[a-z]*/plugin.py"))
    bundled = {stem.replace("_", "-"): f"plugmw.contrib.{stem}" for stem in (*files, *folders)}
    return {**bundled, **{name: f"plugmw.dialects.{module}" for name, module in _DIALECTS.items()}}


def names() -> list[str]:
    """Return the names of the bundled plugins."""
    return sorted(_modules())


def find(name: str) -> type | None:
    """Return the class of a bundled plugin, None if there is no such plugin.

    Raises :class:`LoadError` naming the extra when a library it needs is not installed.
    """
    if name not in _modules():
        return None
    try:
        module = importlib.import_module(_modules()[name])
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("plugmw"):
            raise
        extra = name.partition("-")[0]
        raise LoadError(
            name, f"needs the library {error.name}, which is not installed", f"pip install 'plugmw[{extra}]'"
        ) from error
    return next(v for v in vars(module).values() if isinstance(v, type) and getattr(v, "name", "") == name)
