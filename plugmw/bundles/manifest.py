"""``manifest.json`` of a bundle: its files, the hooks they hold, and what vouches for them.

    {"file_list": ["middleware.py"],
     "custom_middleware": {"driver": "python", "pre": [{"name": "PreHook"}]},
     "checksum": "<md5 hex>", "signature": "<base64>", "plugmw_signature": "<base64>"}

``checksum`` and ``signature`` are over the bytes of ``file_list`` in its order, one after the other; names,
where one file ends, and the manifest itself are in neither. ``plugmw_signature`` is over all of that
(:meth:`Manifest.statement`); Tyk ignores it. Keys are read in any case, as by Go.
Contract: ``BundleManifest`` in Tyk's ``apidef/api_definitions.go``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, TypeVar

import attrs

from plugmw.bundles.archive import inside
from plugmw.documents.shapes import fold, folded_get
from plugmw.errors import LoadError

#: Bytes of a manifest that are read.
LARGEST: Final = 1024 * 1024
_FIELDS: Final = ("file_list", "custom_middleware", "checksum", "signature", "plugmw_signature")
_SIGNATURES: Final = ("signature", "plugmw_signature")
T = TypeVar("T")


@attrs.frozen
class Manifest:
    """What ``manifest.json`` says. Names in ``file_list`` are relative and stay in the bundle's folder."""

    file_list: tuple[str, ...] = ()
    custom_middleware: dict[str, object] = attrs.field(factory=dict)
    checksum: str = ""
    signature: str = ""
    #: Whatever else the manifest holds; Tyk ignores it.
    other: dict[str, object] = attrs.field(factory=dict)
    plugmw_signature: str = ""

    def to_json(self) -> bytes:
        """Return the compact form that goes into an archive."""
        data = attrs.asdict(self, recurse=False)
        data |= data.pop("other") | {"file_list": list(self.file_list)}
        if not self.plugmw_signature:
            del data["plugmw_signature"]
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()

    def statement(self, files: Iterable[tuple[str, int, str]]) -> bytes:
        """Return what ``plugmw_signature`` is over: all of a bundle but the signatures.

        ``files`` are name, length and SHA-256 (hex) of each file, in the order of ``file_list``.
        """
        data = attrs.asdict(self, recurse=False)
        data |= data.pop("other")
        manifest = {name: value for name, value in data.items() if name not in _SIGNATURES}
        text = json.dumps(
            {"files": [list(file) for file in files], "manifest": manifest},
            sort_keys=True,
            separators=(",", ":"),
        )
        return b"plugmw bundle 1\n" + text.encode()


def parse(content: bytes, source: str) -> Manifest:
    """Read a manifest; raises :class:`LoadError` that begins with ``source``."""
    if len(content) > LARGEST:
        raise LoadError(source, f"has over {LARGEST} bytes")
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LoadError(source, f"is not JSON: {error}", "a manifest") from error
    if not isinstance(data, dict):
        raise LoadError(source, f"got {_kind(data)}", "an object")
    return Manifest(
        file_list=_files(data, source),
        custom_middleware=_hooks(_value(data, "custom_middleware", dict, source), source),
        checksum=_value(data, "checksum", str, source),
        signature=_value(data, "signature", str, source),
        plugmw_signature=_value(data, "plugmw_signature", str, source),
        other={name: value for name, value in data.items() if fold(name) not in _FIELDS},
    )


def _hooks(section: dict[str, object], source: str) -> dict[str, object]:
    """Return the hooks with their keys in lower case."""
    hooks: dict[str, object] = {}
    for kind, value in _folded(section, source, "custom_middleware").items():
        place = f"custom_middleware.{kind}"
        if isinstance(value, list):
            hooks[kind] = [_folded(one, source, place) if isinstance(one, dict) else one for one in value]
        else:
            hooks[kind] = _folded(value, source, place) if isinstance(value, dict) else value
    return hooks


def _folded(fields: dict[str, object], source: str, place: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in fields.items():
        if fold(key) in found:
            raise LoadError(source, f"{place}.{key}: is there in two spellings", "only one of the two")
        found[fold(key)] = value
    return found


def _files(data: dict[str, object], source: str) -> tuple[str, ...]:
    names = _value(data, "file_list", list, source)
    files = []
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise LoadError(source, f"file_list[{place}]: got {_kind(name)}", "the name of a file")
        try:
            files.append(inside(name))
        except ValueError as error:
            raise LoadError(source, f"file_list[{place}]: {error}") from None
    return tuple(files)


def _value(data: dict[str, object], name: str, kind: type[T], source: str) -> T:
    """Return a field, empty if it is absent or null (as Go reads it)."""
    value = folded_get(data, name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise LoadError(source, f"{name}: got {_kind(value)}", _WORDS[kind])
    return value


_WORDS: Final[dict[type, str]] = {dict: "an object", list: "a list", str: "a string"}


def _kind(value: object) -> str:
    return _WORDS.get(type(value), json.dumps(value))
