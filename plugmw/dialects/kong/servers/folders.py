"""Private folders for sockets: short, owned by us, closed to everybody else, never guessed into."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: Bytes of a socket's path that every unix takes (sockaddr_un has 104 on BSD, 108 on Linux).
LONGEST: Final = 100
#: Room for a number, a slash and the longest usual socket name below the folder.
_BELOW: Final = 45


def key_of(value: object) -> str:
    """Return a short name that is the same for the same plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(command: Sequence[str], cwd: str) -> list[object]:
    """Return what changes when a file that ``command`` names is replaced: a new build is a new server."""
    marks: list[object] = []
    for word in command:
        try:
            status = os.stat(os.path.join(cwd, word))
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(status.st_mode):
            marks.append([word, status.st_mtime_ns, status.st_size])
    return marks


def private_folder(name: str) -> str:
    """Make and return the folder ``name`` of this user under the temporary folder, mode 0700.

    Raises ``PermissionError`` if somebody else was there first.
    """
    base = os.path.join(tempfile.gettempdir(), f"plugmw-{os.geteuid()}")
    if len(os.fsencode(base)) + len(name) + 1 + _BELOW > LONGEST:
        base = f"/tmp/plugmw-{os.geteuid()}"  # noqa: S108 - as safe: made 0700, owner checked
    for path in (base, os.path.join(base, name)):
        make_private(path)
    return os.path.join(base, name)


def make_private(path: str) -> None:
    """Make a folder of mode 0700, or check that it is ours alone."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise PermissionError(
                13, f"{path} is not a folder of this user alone (mode 0700); remove it"
            ) from None


def make_shared(path: str) -> None:
    """Make the folder that a configuration names, private if it is not there; it may be there already."""
    Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)


def only_socket(folder: str, names: Sequence[str]) -> str:
    """Return the path of the socket in ``folder``: one of ``names``, or the only one there is.

    Raises ``FileNotFoundError`` when there is none, or when it cannot be told which.
    """
    for name in names:
        path = os.path.join(folder, name)
        if os.path.lexists(path):
            return path
    with os.scandir(folder) as entries:
        sockets = [
            entry.path for entry in entries if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
        ]
    if len(sockets) == 1:
        return sockets[0]
    problem = f"{len(sockets)} sockets in {folder}, expected one" if sockets else f"no socket in {folder} yet"
    raise FileNotFoundError(2, problem)
