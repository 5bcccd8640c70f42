"""One normalised path for routing and plugins, and the other ways in which an app could read it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

#: Paths without these read the same for everybody; almost every path is one of them.
_ODD: Final = re.compile(r"//|/\.|\\|;|%|[\x00-\x20\x7f]").search
_PARAMETERS: Final = re.compile(r";[^/]*")
_SLASHES: Final = re.compile(r"//+")


def is_plain(path: str) -> bool:
    """Say whether every app reads ``path`` the same way."""
    return path.startswith("/") and not _ODD(path)


def normalise(path: str) -> str:
    """Collapse slashes and resolve dot segments (RFC 3986 section 5.2.4); always starts with ``/``.

    ``path`` is SCRIPT_NAME + PATH_INFO, which the server has percent-decoded once.
    """
    if is_plain(path):
        return path
    kept: list[str] = []
    parts = _SLASHES.sub("/", path).split("/")
    for part in parts:
        if part == "..":
            if kept:
                kept.pop()
        elif part not in (".", ""):
            kept.append(part)
    end = "/" if kept and parts[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + end


def readings(path: str) -> frozenset[str]:
    """Return every normalised way to read ``path``: as it is, and as more lenient apps would.

    Lenient are: decoding twice, cutting ``;parameters``, taking ``\\`` for ``/``, stripping control
    characters and blanks. A route match that differs between readings is ambiguous and is refused by the
    gateway, because a plugin could be bypassed through it (CVE-2021-43557, GHSA-gm62-rw4g-vrc4).
    """
    if is_plain(path):
        return frozenset((path,))
    seen = {path}
    todo = [path]
    while todo and len(seen) < 32:
        text = todo.pop()
        for other in (
            normalise(text),
            _PARAMETERS.sub("", text),
            text.replace("\\", "/"),
            "".join(c for c in text if c > " " and c != "\x7f"),
            unquote_to_bytes(text.encode("latin-1", "replace")).decode("latin-1"),
        ):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return frozenset(normalise(text) for text in seen)
