"""Whether a bundle is what its manifest and its signer vouch for: checksum and signatures."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from plugmw.bundles.manifest import Manifest
from plugmw.bundles.signatures import is_signed
from plugmw.errors import LoadError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


@attrs.frozen
class Digests:
    """The hashes of all files of a bundle, one after the other, and of each."""

    md5: str
    sha256: bytes
    #: Name, length and SHA-256 (hex) of each.
    files: tuple[tuple[str, int, str], ...]


def digests(files: Iterable[tuple[str, Iterable[bytes]]]) -> Digests:
    """Return the hashes of files, each a name and a content in pieces."""
    # MD5 is what the format has; it is a checksum, and the signatures are over SHA-256.
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    each = []
    for name, pieces in files:
        own, length = hashlib.sha256(), 0
        for piece in pieces:
            for hasher in (md5, sha256, own):
                hasher.update(piece)
            length += len(piece)
        each.append((name, length, own.hexdigest()))
    return Digests(md5.hexdigest(), sha256.digest(), tuple(each))


def verify(
    manifest: Manifest, folder: Path, key: RSAPublicKey | None, source: str, compat: bool = False
) -> None:
    """Raise :class:`LoadError` unless the files in ``folder`` have the manifest's checksum.

    With a public ``key`` (None without), both signatures must be there and good too; with ``compat`` the one
    over names and manifest only if it is there.
    """
    hashes = digests(
        (name, _pieces(place, name, folder, source)) for place, name in enumerate(manifest.file_list)
    )
    if not hmac.compare_digest(hashes.md5.encode(), manifest.checksum.encode("utf-8", "replace")):
        raise LoadError(source, f"invalid checksum: the files have {hashes.md5}", repr(manifest.checksum))
    if key is None:
        return
    if not manifest.signature:
        raise LoadError(source, "Bundle isn't signed", "a signature, since there is a public key")
    if not is_signed(key, hashes.sha256, manifest.signature):
        raise LoadError(source, "invalid signature", "one that was made with the key of the public key")
    if not manifest.plugmw_signature:
        if compat:
            return
        problem = "has no plugmw_signature: its file names and its manifest are not signed"
        raise LoadError(source, problem, "a bundle of `plugmw bundle build --key`, or compat")
    statement = hashlib.sha256(manifest.statement(hashes.files)).digest()
    if not is_signed(key, statement, manifest.plugmw_signature):
        problem = "invalid plugmw_signature: the file names or the manifest are others"
        raise LoadError(source, problem, "one that was made with the key of the public key")


def _pieces(place: int, name: str, folder: Path, source: str) -> Iterator[bytes]:
    try:
        with (folder / name).open("rb") as file:
            while piece := file.read(64 * 1024):
                yield piece
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LoadError(source, f"file_list[{place}]: {name!r} cannot be read: {reason}") from error
