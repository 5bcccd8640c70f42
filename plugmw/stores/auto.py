"""``auto``: the store that needs no choice.

A single process counts in memory. Several processes share a file in a private folder under the temporary
folder, named after their parent process, so that the workers of one server count together and those of
another do not.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from plugmw.concurrency.process import is_alive, started_at
from plugmw.errors import ConfigError


def auto_url(multiprocess: bool) -> str:
    """Return the URL of the default store: ``memory://``, or a file shared by all children of our parent.

    To be called in a worker, after the fork: called in the server itself it names the server's parent, which
    several servers may have in common. Files whose server is gone are removed. ConfigError if the folder is
    not private.
    """
    if not multiprocess:
        return "memory://"
    folder = private_folder()
    _remove_stale(folder)
    return (folder / _name(os.getppid())).as_uri()


def is_first(what: str) -> bool:
    """Say whether this is the first worker of its server that asks for ``what``; True if that cannot be told.

    To be called in a worker, after the fork, as :func:`auto_url`.
    """
    try:
        folder = private_folder()
        _remove_stale(folder)
        (folder / f"{_name(os.getppid())}.{what}").touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    except (ConfigError, OSError):
        return True
    return True


def private_folder() -> Path:
    """Return the folder of this user under the temporary folder, made if absent.

    Others can write there too, so one that is not a real folder, not ours or open to others is refused.
    """
    if not hasattr(os, "geteuid"):
        raise ConfigError("store", "this system has no file locks", "memory:// or redis://host")
    folder = Path(tempfile.gettempdir(), f"plugmw-{os.geteuid()}")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError("store", f"cannot make {str(folder)!r}: {error.strerror}", _OWN) from error
    info = os.lstat(folder)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
        raise ConfigError("store", f"{str(folder)!r} is not a folder with mode 700 of this user", _OWN)
    return folder


_OWN = "TMPDIR naming a folder of your own, or store: file:///path"


def _name(pid: int) -> str:
    """Return the file name for the children of a process: its pid, its start and its pid namespace.

    Pids come again, and servers in two containers that share a temporary folder are both number 1.
    """
    return f"workers-{pid}-{started_at(pid) or '0'}-{_namespace()}.table"


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return "0"


def _remove_stale(folder: Path) -> None:
    """Remove the files of servers that are gone, as far as this pid namespace can tell."""
    for file in folder.glob(f"workers-*-{_namespace()}.table*"):
        pid = file.name.split("-")[1]
        if pid.isdecimal() and not (is_alive(int(pid)) and file.name.startswith(_name(int(pid)))):
            file.unlink(missing_ok=True)
