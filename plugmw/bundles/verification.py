"""Whether a bundle's files are those that its manifest vouches for: checksum and signature."""

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
    """The hashes of all files of a bundle, one after the other."""

    md5: str
    sha256: bytes


def digests(pieces: Iterable[bytes]) -> Digests:
    """Return both hashes of a content in pieces."""
    # MD5 is what the format has; it is a checksum, and the signature is over SHA-256.
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for piece in pieces:
        md5.update(piece)
        sha256.update(piece)
    return Digests(md5.hexdigest(), sha256.digest())


def verify(manifest: Manifest, folder: Path, key: RSAPublicKey | None, source: str) -> None:
    """Raise :class:`LoadError` unless the files in ``folder`` have the manifest's checksum.

    With a public ``key`` (None without), the signature must be there and good too.
    """
    found = digests(_pieces(manifest, folder, source))
    if not hmac.compare_digest(found.md5.encode(), manifest.checksum.encode("utf-8", "replace")):
        raise LoadError(source, f"invalid checksum: the files have {found.md5}", repr(manifest.checksum))
    if key is None:
        return
    if not manifest.signature:
        raise LoadError(source, "Bundle isn't signed", "a signature, since there is a public key")
    if not is_signed(key, found.sha256, manifest.signature):
        raise LoadError(source, "invalid signature", "one that was made with the key of the public key")


def _pieces(manifest: Manifest, folder: Path, source: str) -> Iterator[bytes]:
    for place, name in enumerate(manifest.file_list):
        try:
            with (folder / name).open("rb") as file:
                while piece := file.read(64 * 1024):
                    yield piece
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LoadError(source, f"file_list[{place}]: {name!r} cannot be read: {reason}") from error
