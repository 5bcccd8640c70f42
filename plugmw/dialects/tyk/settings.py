"""Settings of ``tyk.conf`` that are used: where bundles come from, and whether Python hooks run.

Read from ``tyk.conf`` beside the definition (or one folder up, where Tyk keeps ``apps/``), or from
``tyk_conf`` in the definition's ``plugmw`` section: another file, or the values themselves. As in Tyk, the
environment wins: ``TYK_GW_BUNDLEBASEURL`` and so on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from plugmw.dialects.tyk.rights import Matching
from plugmw.documents import Document
from plugmw.documents.files import read
from plugmw.documents.shapes import folded_get
from plugmw.errors import ConfigError
from plugmw.loading.watching import note

NAME: Final = "tyk.conf"
#: Where settings stand that are not at the top.
_TABLES: Final = {
    "enable_coprocess": "coprocess_options",
    "enable_path_prefix_matching": "http_server_options",
    "enable_path_suffix_matching": "http_server_options",
}


@attrs.frozen
class TykConf:
    """The settings of ``tyk.conf`` that are known here, under its names."""

    enable_bundle_downloader: bool = False
    bundle_base_url: str = ""
    bundle_insecure_skip_verify: bool = False
    skip_verify_existing_plugin_bundle: bool = False
    public_key_path: str = ""
    #: Our own: whether the code of whoever answers for the server runs, when there is no public key.
    allow_unsigned_bundles: bool = False
    middleware_path: str = "middleware"
    #: ``coprocess_options.enable_coprocess``; None if it is not said.
    enable_coprocess: bool | None = None
    #: Those of ``http_server_options``; None if they are not said.
    enable_path_prefix_matching: bool | None = None
    enable_path_suffix_matching: bool | None = None
    #: Where relative paths begin.
    folder: Path = Path()

    def matching(self, compat: bool) -> Matching:
        """Return how patterns match: what is not said is the stricter, or Tyk's where ``compat`` is on."""
        prefix = self.enable_path_prefix_matching
        return Matching(not compat if prefix is None else prefix, bool(self.enable_path_suffix_matching))


def find(folder: Path) -> Path | None:
    """Return the ``tyk.conf`` that belongs to definitions in ``folder``, None if there is none."""
    for path in (folder / NAME, folder.resolve().parent / NAME):
        note(path)
        if path.is_file():
            return path
    return None


def conf_document(conf: object, folder: Path, beside: bool) -> Document:
    """Read what a definition says of it: a mapping, a path, or None; raises :class:`ConfigError`.

    ``beside`` says whether a file that is not named is looked for.
    """
    if isinstance(conf, Mapping):
        return Document(dict(conf))
    if isinstance(conf, str):
        path: Path | None = folder / conf
    else:
        path = find(folder) if beside else None
    return Document({}) if path is None else read(str(path), ".json")


def settings(
    document: Document, folder: Path, environ: Mapping[str, str] = os.environ
) -> tuple[TykConf, list[ConfigError]]:
    """Return the settings in force, and what is wrong with them."""
    values: dict[str, Any] = {"folder": Path(document.source).parent if document.source else folder}
    errors = []
    for field, place, kind in _known():
        name = "TYK_GW_" + "_".join(step.replace("_", "").upper() for step in place)
        value: object = document.data
        for step in place:
            value = folded_get(value, step) if isinstance(value, Mapping) else None
        if name in environ:
            try:
                value = _typed(environ[name], kind)
            except ValueError:
                errors.append(ConfigError("", f"got {environ[name]!r}", "true or false", f"${name}"))
                continue
        if value is None:
            continue
        if isinstance(value, kind):
            values[field] = value
        else:
            errors.append(document.error(place, f"got {value!r}", _WORDS[kind]))
    return TykConf(**values), errors


def _known() -> Iterator[tuple[str, tuple[str, ...], type]]:
    for field in attrs.fields(TykConf):
        if field.name in _TABLES:
            yield field.name, (_TABLES[field.name], field.name), bool
        elif field.name != "folder":
            yield field.name, (field.name,), type(field.default)


#: Go's strconv.ParseBool.
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")
_WORDS: Final[dict[type, str]] = {bool: "true or false", str: "a text"}


def _typed(text: str, kind: Callable[[str], object]) -> object:
    if kind is not bool:
        return text
    if text not in _TRUE + _FALSE:
        raise ValueError(text)
    return text in _TRUE
