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
from typing import Final

from plugmw.documents import Document
from plugmw.documents.translated import Options, Translated
from plugmw.documents.translation import Translation, Unread

#: Go's strconv.ParseBool.
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_READ: Final = ("pluginpath", "pluginmiddlewarelist", "context", "debug")
_LEFT_OUT: Final = Unread("left out: only functions and middlewares are served")
#: Fields of the plugin, and what they are called in the file.
_NAMES: Final = {"path": "pluginpath", "prefix": "context", "middlewares": "pluginmiddlewarelist"}


def translate(document: Document, options: Options, environ: Mapping[str, str] = os.environ) -> Translated:
    """Return the gateway document for a ``prest.toml``, with ``errors`` and ``warnings``."""
    return _Prest(document, options, environ).translated()


class _Prest(Translation):
    """One file."""

    def __init__(self, document: Document, options: Options, environ: Mapping[str, str]) -> None:
        super().__init__(document, options)
        self.environ = environ
        #: The keys in lower case, with what they are in the file.
        self.keys = {key.lower(): key for key in document.data}
        self.values = {name: document.data[key] for name, key in self.keys.items()}
        places = {field: (self.keys.get(name, name),) for field, name in _NAMES.items()}
        self.native = {"plugins": [{"name": "functions", "config": self._config()}]}
        self.places.update({("plugins", 0, "config", field): place for field, place in places.items()})
        self._check()

    def _setting(self, name: str) -> object:
        """Return a value, the environment's before the file's; ``a.b`` is ``b`` in the table ``a``."""
        variable = self.environ.get(f"PREST_{name.upper().replace('.', '_')}")
        if variable:
            return variable
        table, _, key = name.rpartition(".")
        inside = self.values.get(table) if table else self.values
        if not isinstance(inside, Mapping):
            return None
        return next((value for written, value in inside.items() if written.lower() == key), None)

    def _config(self) -> dict[str, object]:
        config = {
            "path": self._setting("pluginpath"),
            "prefix": self._setting("context"),
            "middlewares": _lower(self.values.get("pluginmiddlewarelist")),
            "build": self.environ.get("PREST_BUILD_PLUGINS") == "1" or None,
            "compat": self.options.compat,
            "strict": self.options.refuses,
        }
        config = {"path": "./lib", **{name: value for name, value in config.items() if value is not None}}
        prefix = config.get("prefix", "")
        if isinstance(prefix, str):
            config["prefix"] = f"/{prefix.strip('/')}/_PLUGIN".replace("//", "/")
        return config

    def _check(self) -> None:
        if _is_true(self._setting("jwt.default")) and not _is_true(self._setting("debug")):
            place = (self.keys.get("jwt", "jwt"), "default")
            expected = "false, and an entry that authenticates"
            self.error(place, "got true, which has no counterpart", expected)
        known = [key for name, key in self.keys.items() if name in _READ]
        self.unread(self.document.data, known, (), lambda key: _LEFT_OUT)


def _lower(items: object) -> object:
    """Return a list of tables with their keys in lower case; of two spellings the later counts."""
    if isinstance(items, Mapping):
        items = [items]  # as prestd's decoder takes one
    if not isinstance(items, list):
        return items
    return [{key.lower(): v for key, v in one.items()} if isinstance(one, Mapping) else one for one in items]


def _is_true(value: object) -> bool:
    """Say whether prestd takes a value for true: of numbers each but 0."""
    return value in _TRUE if isinstance(value, str) else isinstance(value, (int, float)) and bool(value)
