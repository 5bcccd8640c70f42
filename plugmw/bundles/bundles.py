"""Bundles by name: fetched when they are new, checked, kept; the last good one stays when the server is down.

    bundles = Bundles("middleware", "https://bundles.example/gateway", public_key="bundles.pem")
    bundle = bundles.get("hello.zip")
    bundle.folder / "middleware.py"

By default the content decides: each :meth:`Bundles.get` asks the server whether there is something new (a
conditional GET), so a reload takes it. With ``compat`` the name alone decides, as in Tyk: what is there once
is never asked for again. Nothing is opened before :meth:`Bundles.get`, which blocks for up to half a minute
when the server is down: call it where no request waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from plugmw.bundles.archive import MANIFEST, Archive, Limits
from plugmw.bundles.bundle import Bundle, merge
from plugmw.bundles.download import (
    BRISK,
    DEADLINE,
    PATIENT,
    Address,
    Download,
    Found,
    Validators,
    check_name,
    fingerprint,
)
from plugmw.bundles.installed import Home, version_of
from plugmw.bundles.manifest import LARGEST, Manifest, parse
from plugmw.bundles.signatures import read_public_key
from plugmw.bundles.verification import verify
from plugmw.errors import LoadError
from plugmw.loading.regular import read_regular
from plugmw.loading.watching import note

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_LOGGER: Final = logging.getLogger("plugmw.bundles")


class Bundles:
    """The bundles of ``<folder>/bundles``, fetched from ``base_url`` unless that is empty or not ``enabled``.

    ``verify`` is about TLS: False trusts every certificate, a path names a file of CAs. With ``public_key``,
    the path of a PEM file, a bundle is refused that is not signed, names and manifest included; Tyk's own
    signature, over the files' bytes alone, is enough with ``compat``. ``skip_verify_existing`` trusts what is
    on disk. Thread-safe; several processes that want the same bundle fetch it once.
    """

    def __init__(
        self,
        folder: str | Path,
        base_url: str = "",
        *,
        enabled: bool = True,
        verify: bool | str = True,
        public_key: str | Path | None = None,
        skip_verify_existing: bool = False,
        compat: bool = False,
        limits: Limits | None = None,
        deadline: float = DEADLINE,
        logger: logging.Logger | None = None,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = Path(folder) / "bundles"
        self._address = Address(base_url)
        self._enabled = enabled
        self._public_key = public_key
        self._skip = skip_verify_existing
        self._compat = compat
        self._limits = limits or Limits()
        self._logger = logger or _LOGGER
        self._download = Download(
            verify=verify, deadline=deadline, largest=self._limits.download, sleep=sleep, clock=clock
        )

    def get(self, name: str) -> Bundle:
        """Return a bundle, or several made into one if the name is a list with commas.

        Raises :class:`LoadError`; what was fetched but is not good is not kept.
        """
        parts = [self._one(one.strip()) for one in name.split(",")]
        return parts[0] if len(parts) == 1 else merge(name, parts, self.root)

    def _one(self, name: str) -> Bundle:
        check_name(name)
        home = Home(self.root, name)
        problem = "" if self._is_settled(home) else self._refresh(home)
        note(home.marker)
        try:
            bundle = self._opened(home, home.current())
            note(bundle.folder / MANIFEST)
        except LoadError:
            if problem:
                raise LoadError(f"bundle {name!r}", problem) from None
            raise
        if problem:
            self._logger.warning("bundle %r: %s; the last good one stays", name, problem)
        return bundle

    def _is_settled(self, home: Home) -> bool:
        """Say whether the server has no say: there is none, or Tyk would not ask it."""
        there = home.current() is not None
        return (there and self._compat) or not self._enabled or (there and not self._address.base)

    def _refresh(self, home: Home) -> str:
        """Bring the bundle up to date; return what is wrong, or ``""``."""
        if not self._address.base:
            return "No bundle base URL set, skipping bundle"
        try:
            with home.turn() as turn:
                if turn.told is not None:
                    return turn.told
                problem = self._update(home)
                turn.tell(problem)
                return problem
        except LoadError as error:
            return str(error)

    def _update(self, home: Home) -> str:
        try:
            url = self._address.of(home.name)
            key = self._key()
            current = home.current()
            good = self._is_good(home, current)
            known = _known(home.state(), url, current) if good else Validators()
            found = self._download(url, known, tries=PATIENT if not good else BRISK)
            if found is not None:
                self._install(home, found, url, key)
        except LoadError as error:
            return str(error)
        except OSError as error:
            return f"{self.root}: cannot be written: {error.strerror}"
        return ""

    def _install(self, home: Home, archive: Found, url: str, key: RSAPublicKey | None) -> None:
        version = version_of(archive.data)
        if self._compat or not self._is_good(home, home.folder / version):
            with home.fresh() as fresh:
                unpack(archive.data, fresh, home.name, key, self._limits, self._compat)
                if self._compat:
                    return home.put_as_tyk(fresh)
                home.put(fresh, version)
        home.use(version)
        home.remember({"version": version, "url": fingerprint(url), **attrs.asdict(archive.validators)})
        return None

    def _is_good(self, home: Home, folder: Path | None) -> bool:
        try:
            self._opened(home, folder)
        except LoadError:
            return False
        return True

    def _opened(self, home: Home, folder: Path | None) -> Bundle:
        """Return what is in a folder of the bundle, checked as this gateway wants it."""
        if folder is None:
            raise LoadError(
                f"bundle {home.name!r}", f"is not in {home.folder}", "it there, or a server to ask"
            )
        manifest = read_manifest(folder)
        # Tyk checks what is on disk only if it is signed: an unsigned one passes, whatever the key.
        if not self._skip and (manifest.signature or not self._compat):
            verify(manifest, folder, self._key(), str(folder / MANIFEST), self._compat)
        return Bundle(home.name, folder, manifest, self._hash(home, folder, manifest))

    def _hash(self, home: Home, folder: Path, manifest: Manifest) -> str:
        return version_of(manifest.to_json()) if folder == home.folder and not self._compat else folder.name

    def _key(self) -> RSAPublicKey | None:
        return read_public_key(self._public_key) if self._public_key else None


def _known(state: dict[str, object], url: str, current: Path | None) -> Validators:
    """Return what the server said when it gave the version in force; nothing if it was another one."""
    if current is None or (state.get("url"), state.get("version")) != (fingerprint(url), current.name):
        return Validators()
    return Validators(str(state.get("etag", "")), str(state.get("last_modified", "")))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a bundle that is installed; raises :class:`LoadError`."""
    path = folder / MANIFEST
    try:
        return parse(read_regular(path), str(path))
    except OSError as error:
        raise LoadError(str(path), f"cannot be read: {error.strerror}") from error


def unpack(
    data: bytes,
    folder: Path,
    source: str,
    key: RSAPublicKey | None,
    limits: Limits | None = None,
    compat: bool = False,
) -> Manifest:
    """Unpack an archive into an empty folder and check it; raises :class:`LoadError`.

    With ``compat`` Tyk's signature is enough. A file that ``file_list`` does not name is refused: no checksum
    vouches for it.
    """
    archive = Archive(data, source, limits)
    manifest = parse(archive.read(MANIFEST, LARGEST), f"{source}: {MANIFEST}")
    names = {*archive.names} - {MANIFEST}
    for problem, wrong in (
        ("is not in the archive", [one for one in manifest.file_list if one not in names]),
        ("is in the archive, but not in file_list", sorted(names - {*manifest.file_list})),
    ):
        if wrong:
            raise LoadError(f"{source}: {MANIFEST}", f"{wrong[0]!r} {problem}")
    archive.unpack(folder)
    verify(manifest, folder, key, source, compat)
    return manifest
