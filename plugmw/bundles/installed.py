"""Where bundles are on disk, and how they get there whole or not at all.

    <folder>/bundles/
      <md5 of the name>/
        current                   the version in force; a reload watches it
        state.json                name, validators of the server, the version before
        <version>/                manifest.json and the files; versions are named by their content
      .<md5 of the name>.lock     held by the one process that fetches; what became of its last try

A bundle that somebody else has put there, with ``manifest.json`` right in ``<md5 of the name>/`` as Tyk does,
is read too, and written so in compat. A new version is unpacked and checked in a folder that nobody looks
into, and then renamed. The version before is kept, so that requests that began with it end on its files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from plugmw.bundles.archive import MANIFEST
from plugmw.concurrency.locking import locked
from plugmw.errors import LoadError

#: Seconds to wait for another process that fetches the same bundle.
TURN: Final = 60.0
_VERSION: Final = re.compile("[0-9a-f]{32}")


def name_hash(name: str) -> str:
    """Return the name of a bundle's folder: the MD5 of its name, in hex."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def version_of(data: bytes) -> str:
    """Return the version that an archive is: the beginning of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


class Home:
    """The place of one bundle below ``root``. Who changes anything does so inside :meth:`turn`."""

    def __init__(self, root: Path, name: str, folder: Path | None = None) -> None:
        self.root = root
        self.name = name
        self.folder = folder or root / name_hash(name)
        self.marker = self.folder / "current"

    def current(self) -> Path | None:
        """Return the folder with the files in force; None if the bundle is not installed."""
        try:
            version = self.marker.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            version = ""
        places = [self.folder / version] if _VERSION.fullmatch(version) else []
        # Not Path.is_file, which raises for a folder that this user may not look into.
        return next((one for one in [*places, self.folder] if os.path.isfile(one / MANIFEST)), None)

    def state(self) -> dict[str, object]:
        """Return what was kept beside the versions; empty if nothing was."""
        try:
            state = json.loads((self.folder / "state.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return state if isinstance(state, dict) else {}

    def remember(self, state: dict[str, object]) -> None:
        """Replace what is kept beside the versions."""
        self._replace(self.folder / "state.json", json.dumps({"name": self.name, **state}))

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Give an empty folder to unpack into, which is gone afterwards unless it was installed."""
        self._tidy()
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix=self._prefix))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, fresh: Path, version: str) -> None:
        """Make a checked folder a version of this bundle, in place of a damaged one."""
        fresh.chmod(0o755)  # mkdtemp makes it 700, and the workers may be another user than who fetches
        self.folder.mkdir(exist_ok=True)
        shutil.rmtree(self.folder / version, ignore_errors=True)
        fresh.rename(self.folder / version)

    def use(self, version: str) -> None:
        """Put a version in force; of the others, the one before stays."""
        before = self.current()
        if before != self.folder / version:
            self._replace(self.marker, version)
            self._prune({version, before.name if before else ""})

    def put_as_tyk(self, fresh: Path) -> None:
        """Put a checked folder where Tyk has it: there is one version, for ever."""
        fresh.chmod(0o755)
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise LoadError(str(self.folder), f"has no {MANIFEST}", "a bundle, or no folder")
        fresh.rename(self.folder)

    @contextmanager
    def turn(self, sleep: Callable[[float], object] | None = None) -> Iterator[Turn]:
        """Wait until nobody else fetches this bundle; raises :class:`LoadError` after TURN seconds.

        The lock is polled: a greenlet that waits for the kernel would stop the one that has the lock.
        """
        with self._writing():
            self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / f".{self.folder.name}.lock"
        before = path.read_bytes() if path.exists() else b""
        with contextlib.ExitStack() as stack:
            with self._writing():
                try:
                    file = stack.enter_context(locked(path, TURN, 0o644, sleep))
                except BlockingIOError:
                    problem = f"another process has been fetching it for {TURN:g} s"
                    raise LoadError(f"bundle {self.name!r}", problem) from None
            after = os.pread(file, 65_536, 0)
            yield Turn(file, None if after == before else _problem(after))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LoadError(str(self.root), f"cannot be written: {error.strerror}") from error

    @property
    def _prefix(self) -> str:
        return f".new-{self.folder.name}-"

    def _tidy(self) -> None:
        """Remove what a process that was killed has left."""
        for left in self.root.glob(f"{self._prefix}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _prune(self, kept: set[str]) -> None:
        for place in self.folder.iterdir():
            if _VERSION.fullmatch(place.name) and place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)

    def _replace(self, path: Path, text: str) -> None:
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)


@attrs.frozen
class Turn:
    """The right to fetch. ``told`` is what came of a try that was waited for: a problem or ``""``."""

    file: int
    told: str | None

    def tell(self, problem: str) -> None:
        """Say what became of this try to those who wait; on a full disk they try for themselves."""
        content = json.dumps({"at": time.time_ns(), "problem": problem}).encode()
        with contextlib.suppress(OSError):
            os.ftruncate(self.file, 0)
            os.pwrite(self.file, content, 0)


def _problem(content: bytes) -> str:
    try:
        return str(json.loads(content)["problem"])
    except (LookupError, TypeError, ValueError):
        return "another process was ended while it fetched the bundle"


def homes(root: Path) -> list[Home]:
    """Return the place of every bundle below ``root``; the name is ``""`` where somebody else has put it."""
    places = sorted(place for place in root.glob("*") if _VERSION.fullmatch(place.name))
    found = [Home(root, "", place) for place in places]
    for home in found:
        home.name = str(home.state().get("name", ""))
    return found
