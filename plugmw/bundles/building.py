"""A bundle made of a manifest and its files, as ``tyk bundle build`` does: the same bytes again and again.

The archive has the files of ``file_list`` in its order and then ``manifest.json``, compact, with checksum and
both signatures; what is not listed is left out. Libraries, if there are any, come behind the listed files,
below ``vendor/``, and are listed too.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from plugmw.bundles.archive import MANIFEST, pack
from plugmw.bundles.bundle import VENDOR
from plugmw.bundles.manifest import Manifest, parse
from plugmw.bundles.signatures import sign
from plugmw.bundles.verification import digests
from plugmw.errors import LoadError
from plugmw.loading.regular import read_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_HOOKS: Final = ("pre", "auth_check", "post_key_auth", "post", "response", "traffic_logs")


def read(path: Path) -> Manifest:
    """Return the manifest that a bundle is to be made from; raises :class:`LoadError`."""
    try:
        content = read_regular(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LoadError(str(path), f"Couldn't load manifest file: {reason}") from None
    try:
        return parse(content, str(path))
    except LoadError as error:
        raise LoadError(str(path), f"Couldn't load manifest file: {error.what}", error.expected) from None


def listed(manifest: Manifest, folder: Path, source: str) -> dict[str, bytes]:
    """Return the files of a manifest that is complete; raises :class:`LoadError` (the texts are Tyk's)."""
    files: dict[str, bytes] = {}
    for name in manifest.file_list:
        if name == MANIFEST or name in files:
            raise LoadError(source, f"file_list: {name!r} is there twice, or is the manifest itself")
        try:
            files[name] = read_regular(folder / name)
        except FileNotFoundError:
            raise LoadError(source, f"Referencing a nonexistent file: {name}") from None
        except OSError as error:
            raise LoadError(str(folder / name), f"cannot be read: {error.strerror}") from None
    hooks = manifest.custom_middleware
    if not any(_is_hook(hooks.get(kind)) for kind in _HOOKS):
        raise LoadError(source, "No hooks defined", f"one of {', '.join(_HOOKS)} in custom_middleware")
    if not hooks.get("driver"):
        raise LoadError(source, "No driver specified", "driver in custom_middleware, such as 'python'")
    return files


def _is_hook(value: object) -> bool:
    return bool(value.get("name")) if isinstance(value, dict) else bool(value)


def build(
    manifest: Manifest,
    files: Mapping[str, bytes],
    *,
    key: RSAPrivateKey | None = None,
    libraries: Mapping[str, bytes] | None = None,
    build_id: str = "",
) -> tuple[bytes, Manifest]:
    """Return the archive and the manifest in it, signed if there is a private ``key``.

    ``libraries`` are by their name below ``vendor/``. A ``build_id`` is written into the manifest, so that
    two builds of the same files are two bundles.
    """
    vendored = {f"{VENDOR}/{name}": content for name, content in sorted((libraries or {}).items())}
    every = {**files, **vendored}
    hashes = digests((name, [content]) for name, content in every.items())
    done = attrs.evolve(
        manifest,
        file_list=tuple(every),
        checksum=hashes.md5,
        signature="",
        plugmw_signature="",
        other=manifest.other | ({"build_id": build_id} if build_id else {}),
    )
    if key:
        statement = sha256(done.statement(hashes.files)).digest()
        done = attrs.evolve(done, signature=sign(key, hashes.sha256), plugmw_signature=sign(key, statement))
    return pack([*every.items(), (MANIFEST, done.to_json())]), done
