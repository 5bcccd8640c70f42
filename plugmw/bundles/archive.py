"""Zip archives: read from strangers without harm, written the same byte for byte.

Everything that can be known from the list of entries is checked before anything is written: a name that is
absolute, has ``..``, a backslash or a drive, comes twice or differs from another only in case; links and
devices; encryption; too many entries. What is unpacked is counted while it is unpacked, since the sizes that
an archive states are its author's.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from plugmw.errors import LoadError

MANIFEST: Final = "manifest.json"
_STEP: Final = 64 * 1024
#: The earliest that a zip can hold: no build has a date.
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_FILE: Final = (stat.S_IFREG | 0o644) << 16
_FOLDER: Final = (stat.S_IFDIR | 0o755) << 16 | 0x10
_SIGNATURE: Final = b"PK\x01\x02"
_BROKEN: Final = (
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@attrs.frozen
class Limits:
    """How much an archive may cost. Sizes are bytes."""

    download: int = 64 * 1024 * 1024
    #: Entries, folders included.
    files: int = 10_000
    unpacked: int = 256 * 1024 * 1024
    #: Unpacked bytes for each byte of the archive, beyond the first MiB.
    ratio: int = 100

    def most(self, size: int) -> int:
        """Return how many bytes an archive of this size may unpack to."""
        return min(self.unpacked, max(1024 * 1024, size * self.ratio))


def inside(name: str) -> str:
    """Return a relative name without ``.`` parts; raises ValueError for one that would leave its folder."""
    parts = [part for part in name.split("/") if part != "."]
    printable = not any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in name)
    if not printable or "\\" in name or re.match("[A-Za-z]:", name) or not all(parts) or ".." in parts:
        raise ValueError(f"invalid file path in archive: {name!r}")
    if not parts:
        raise ValueError("invalid file path in archive: an empty name")
    return "/".join(parts)


class Archive:
    """A zip in memory whose entries are checked; ``source`` is what messages call it.

    Raises :class:`LoadError`, here and in every method.
    """

    def __init__(self, data: bytes, source: str, limits: Limits | None = None) -> None:
        self._data = data
        self._source = source
        self._limits = limits or Limits()
        # The list of entries takes far more memory than it has bytes, so it is not read to be counted.
        if data.count(_SIGNATURE) > 4 * self._limits.files:
            raise self._too_many()
        with self._reading():
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self._entries = self._checked(self._zip.infolist())

    @property
    def names(self) -> list[str]:
        """The files, in their order."""
        return [name for name, info in self._entries.items() if not info.is_dir()]

    def read(self, name: str, most: int) -> bytes:
        """Return a file of at most so many bytes."""
        info = self._entries.get(name)
        if info is None or info.is_dir():
            raise LoadError(self._source, f"{name}: file does not exist")
        with self._reading(), self._zip.open(info) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise LoadError(self._source, f"{name}: has over {most} bytes")
        return data

    def unpack(self, folder: Path) -> None:
        """Write everything below a folder that exists; after an error a part of it is there."""
        most = left = self._limits.most(len(self._data))
        with self._reading():
            for name, info in self._entries.items():
                path = folder / name
                if info.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with self._zip.open(info) as file, path.open("xb") as out:
                    while piece := file.read(_STEP):
                        left -= len(piece)
                        if left < 0:
                            raise LoadError(self._source, f"unpacks to over {most} bytes")
                        out.write(piece)

    def _checked(self, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        if len(infos) > self._limits.files:
            raise self._too_many()
        if sum(info.compress_size for info in infos) > len(self._data):
            raise ValueError("entries overlap")
        entries: dict[str, zipfile.ZipInfo] = {}
        spelled: dict[str, tuple[str, bool]] = {}
        for info in infos:
            # zipfile ends a name at a NUL; the original one is what is judged.
            name = inside(info.orig_filename.removesuffix("/"))
            _check_kind(info, name)
            if name in entries:
                raise ValueError(f"{name!r} is in the archive twice")
            _check_spelling(name, info.is_dir(), spelled)
            entries[name] = info
        return entries

    def _too_many(self) -> LoadError:
        return LoadError(self._source, f"has over {self._limits.files} entries")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            text = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            raise LoadError(self._source, f"cannot be unpacked: {text}", "a zip archive") from error


def _check_kind(info: zipfile.ZipInfo, name: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        raise ValueError(f"{name!r} is a link or a device, expected only files and folders")
    if info.flag_bits & 1:
        raise ValueError(f"{name!r} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name!r} is compressed by method {info.compress_type}, expected deflate")


def _check_spelling(name: str, folder: bool, spelled: dict[str, tuple[str, bool]]) -> None:
    """Refuse what is one file on a disk that ignores case, and a file that is a folder elsewhere."""
    parts = name.split("/")
    for count in range(1, len(parts) + 1):
        here, last = "/".join(parts[:count]), count == len(parts)
        is_folder = folder or not last
        known = spelled.setdefault(unicodedata.normalize("NFC", here).casefold(), (here, is_folder))
        if known != (here, is_folder):
            raise ValueError(f"{here!r} and {known[0]!r} are in one archive")


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip of files in this order, the same for the same content.

    Folders come before what is in them: Tyk unpacks a file in a folder only after an entry for the folder.
    """
    out = io.BytesIO()
    folders: set[str] = set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files:
            parts = name.split("/")
            for count in range(1, len(parts)):
                folder = "/".join(parts[:count]) + "/"
                if folder not in folders:
                    folders.add(folder)
                    made.writestr(_entry(folder, _FOLDER), b"")
            made.writestr(_entry(name, _FILE), content)
    return out.getvalue()


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.create_system = 3  # Unix on every system, so that the modes count and the bytes are the same
    info.external_attr = mode
    info.compress_type = zipfile.ZIP_STORED if name.endswith("/") else zipfile.ZIP_DEFLATED
    return info
