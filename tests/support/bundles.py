"""Bundles for tests: made without the code under test, and served by a stub that counts."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.stub import Asked, Stub, Told, stub

HOOKS = {"driver": "python", "pre": [{"name": "PreHook"}]}


@cache
def private_key() -> Any:
    from tests.support.rsa_keys import rsa_key

    return rsa_key(2048)


def write_keys(folder: Path, key: Any = None) -> tuple[Path, Path]:
    """Write the private and the public key as PEM files."""
    from cryptography.hazmat.primitives import serialization as form

    key = key or private_key()
    pem, pkcs8, plain = form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(pem, pkcs8, plain))
    public.write_bytes(key.public_key().public_bytes(pem, form.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def sign(content: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return base64.b64encode(private_key().sign(content, PKCS1v15(), SHA256())).decode()


def manifest(files: Mapping[str, bytes], signed: bool = False, **other: Any) -> dict[str, Any]:
    """Return a manifest, ``signed`` twice; ``other`` replaces what is in it before the second signature."""
    content = b"".join(files.values())
    found = {
        "file_list": list(files),
        "custom_middleware": HOOKS,
        "checksum": hashlib.md5(content).hexdigest(),
    }
    found["signature"] = sign(content) if signed else ""
    found |= other
    if signed and "plugmw_signature" not in found:
        found["plugmw_signature"] = sign(statement(files, found))
    return {name: value for name, value in found.items() if value is not ABSENT}


#: In place of a field that is not to be there.
ABSENT = object()


def statement(files: Mapping[str, bytes], found: Mapping[str, Any]) -> bytes:
    """Return what the second signature is over."""
    said = {name: value for name, value in found.items() if "signature" not in name and value is not ABSENT}
    each = [[name, len(content), hashlib.sha256(content).hexdigest()] for name, content in files.items()]
    text = json.dumps({"files": each, "manifest": said}, sort_keys=True, separators=(",", ":"))
    return b"plugmw bundle 1\n" + text.encode()


def archive(entries: list[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries:
            made.writestr(name, content)
    return out.getvalue()


def bundle(files: Mapping[str, bytes] | None = None, signed: bool = False, **other: Any) -> bytes:
    """Return an archive as Tyk makes it; ``other`` replaces what is in the manifest."""
    files = {"middleware.py": b"X = 1\n"} if files is None else files
    text = json.dumps(manifest(files, signed, **other)).encode()
    return archive([*files.items(), ("manifest.json", text)])


def entry(name: str, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    """Return an entry whose name is written as it is."""
    info = zipfile.ZipInfo("x")
    info.filename = name
    info.create_system = 3
    info.external_attr = (kind | 0o644) << 16
    return info


class Shelf:
    """A server of bundles by path; ``None`` is a server that says nothing, a number a status."""

    def __init__(self) -> None:
        self.has: dict[str, bytes | Told | int | None] = {}
        self.stub: Stub

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.stub.port}"

    @property
    def asked(self) -> list[Asked]:
        return self.stub.asked

    def answer(self, asked: Asked) -> Told | None:
        what = self.has.get(asked.target.partition("?")[0].lstrip("/"), 404)
        if isinstance(what, int):
            return Told(what)
        if not isinstance(what, bytes):
            return what
        etag = f'"{hashlib.sha256(what).hexdigest()}"'
        if asked.get("If-None-Match") == etag:
            return Told(304)
        return Told(200, [("ETag", etag)], what)


@contextmanager
def shelf(
    wrap: Callable[[Shelf], Callable[[Asked], Told | None]] = lambda one: one.answer,
) -> Iterator[Shelf]:
    made = Shelf()
    with stub(wrap(made)) as server:
        made.stub = server
        yield made
