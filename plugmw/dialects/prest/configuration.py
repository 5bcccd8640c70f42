"""``prest.toml`` as a gateway document: the functions and the middleware plugins.

    pluginpath = "./lib"

    [[pluginmiddlewarelist]]
    file = "hello"
    func = "Hello"

``context`` is a path before ``/_PLUGIN``. As in prestd, ``PREST_PLUGINPATH`` and the like win over the file,
keys are read in any case, and paths are relative to the working directory. Tables, databases and queries have
no counterpart: what the file says of them is left out with a warning. ``jwt.default`` is an error, because
without it everybody could call the functions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.documents.translated import Options, Translated

#: Go's strconv.ParseBool.
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_TAKEN: Final = ("pluginpath", "pluginmiddlewarelist", "context", "debug")
_HERE: Final = ("plugins", 0, "config")


def translate(document: Document, options: Options, environ: Mapping[str, str] = os.environ) -> Translated:
    """Return the gateway document for a ``prest.toml``, with ``errors`` and ``warnings``."""
    keys = {key.lower(): key for key in document.data}
    values = {name: document.data[key] for name, key in keys.items()}

    def setting(name: str) -> Any:
        """Return a value, the environment's before the file's; ``a.b`` is ``b`` in the table ``a``."""
        given = environ.get(f"PREST_{name.upper().replace('.', '_')}")
        if given:
            return given
        table, _, key = name.rpartition(".")
        inside = values.get(table) if table else values
        if not isinstance(inside, Mapping):
            return None
        return next((value for written, value in inside.items() if written.lower() == key), None)

    config = {
        "path": setting("pluginpath"),
        "prefix": setting("context"),
        "middlewares": values.get("pluginmiddlewarelist"),
        "build": environ.get("PREST_BUILD_PLUGINS") == "1" or None,
        "compat": options.compat,
        "strict": options.strict,
    }
    config = {"path": "./lib", **{name: value for name, value in config.items() if value is not None}}
    if isinstance(config.get("prefix", ""), str):
        config["prefix"] = f"/{config.get('prefix', '').strip('/')}/_PLUGIN".replace("//", "/")
    names = {"path": "pluginpath", "prefix": "context", "middlewares": "pluginmiddlewarelist"}
    places: dict[Place, Place] = {(*_HERE, to): (keys.get(name, name),) for to, name in names.items()}
    made = Translated(document, {"plugins": [{"name": "functions", "config": config}]}, places)
    if _is_true(setting("jwt.default")) and not _is_true(setting("debug")):
        expected = "false, and an entry that authenticates"
        place = (keys.get("jwt", "jwt"), "default")
        made.errors.append(document.error(place, "got true, which has no counterpart", expected))
    for name, key in keys.items():
        if name not in _TAKEN:
            made.warnings.append(
                document.error((key,), "left out: only functions and middlewares are served")
            )
    return made


def _is_true(value: Any) -> bool:
    return value is True or value in _TRUE
