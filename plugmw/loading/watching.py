"""What a configuration was made from: files with what they held, and the modules loaded from them.

    with recording() as record:
        plan = read_plan("gateway.yaml")
    changed(record.files)               # the paths that hold something else by now

Whatever reads a file that the gateway's behaviour depends on says so with :func:`note`; where nobody
records, that costs nothing. A folder stands for the names in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

import attrs

from plugmw.loading.regular import blocks

#: Content hash by absolute path; ``""`` for what cannot be read.
Files = dict[str, str]
#: Modules loaded from files, by absolute path and content hash.
Modules = dict[tuple[str, str], ModuleType]


@attrs.define(eq=False)
class Record:
    """What was noted while it was open."""

    files: Files = attrs.field(factory=dict)
    modules: Modules = attrs.field(factory=dict)
    #: Those of the last reading: a file that holds the same is not loaded again.
    known: Mapping[tuple[str, str], ModuleType] = attrs.field(factory=dict)


_record: ContextVar[Record | None] = ContextVar("plugmw.loading.watching", default=None)


def current() -> Record | None:
    """Return the innermost open record of this thread."""
    return _record.get()


@contextmanager
def recording(known: Mapping[tuple[str, str], ModuleType] | None = None) -> Iterator[Record]:
    """Collect what is noted meanwhile, in this thread; a record around this one gets it too."""
    outer = _record.get()
    if known is None:
        known = outer.known if outer else {}
    found = Record(known=known)
    token = _record.set(found)
    try:
        yield found
    finally:
        _record.reset(token)
        if outer is not None:
            outer.files.update(found.files)
            outer.modules.update(found.modules)


def note(path: str | os.PathLike[str], content: bytes | None = None) -> None:
    """Say that a file or folder was read; ``content`` if it is at hand. A missing one may be noted too."""
    record = _record.get()
    if record is not None:
        name = os.path.abspath(os.fsdecode(path))
        record.files[name] = fingerprint(name) if content is None else digest(content)


def fingerprint(path: str) -> str:
    """Return a hash of a file's content, or of the names in a folder; ``""`` if it cannot be read."""
    try:
        if os.path.isdir(path):
            return digest("\0".join(sorted(os.listdir(path))).encode("utf-8", "surrogateescape"))
        content = hashlib.sha256()
        for block in blocks(path):
            content.update(block)
        return content.hexdigest()
    except (OSError, ValueError):  # a ValueError is for NUL in the path
        return ""


def changed(files: Mapping[str, str]) -> list[str]:
    """Return the paths whose content is another one by now."""
    return [path for path, before in files.items() if fingerprint(path) != before]


def digest(content: bytes) -> str:
    """Return the hash that stands for a content."""
    return hashlib.sha256(content).hexdigest()
