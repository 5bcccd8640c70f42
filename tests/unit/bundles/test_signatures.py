"""Keys and signatures, and checksum and signature of files in a folder."""

import base64
import hashlib
import json
import subprocess
import sys

import attrs
import pytest

from plugmw.bundles import Manifest
from plugmw.bundles.manifest import parse
from plugmw.bundles.signatures import is_signed, read_private_key, read_public_key, sign
from plugmw.bundles.verification import digests, verify
from plugmw.errors import LoadError
from plugmw.loading.watching import recording
from tests.support import bundles
from tests.support.servers import require_program

CONTENT = b"some\nbytes\0"


def test_what_one_key_signs_the_other_knows(keys):
    digest = hashlib.sha256(CONTENT).digest()
    private, public = read_private_key(keys[0]), read_public_key(keys[1])
    signature = sign(private, digest)
    assert signature == bundles.sign(CONTENT)
    assert is_signed(public, digest, signature)
    assert not is_signed(public, hashlib.sha256(b"").digest(), signature)


@pytest.mark.parametrize("signature", ["", "AAAA", "no base64!", "é", "A" * 344])
def test_anything_else_is_no_signature(keys, signature):
    assert not is_signed(read_public_key(keys[1]), hashlib.sha256(CONTENT).digest(), signature)


def test_a_key_is_read_from_a_regular_file_only():
    with pytest.raises(LoadError, match="/dev/zero: cannot be read: Is not a regular file"):
        read_public_key("/dev/zero")


@pytest.mark.slow
def test_openssl_and_plugmw_know_each_others_signatures(keys, tmp_path):
    openssl = require_program("openssl")
    (tmp_path / "content").write_bytes(CONTENT)
    sha256 = hashlib.sha256(CONTENT).digest()
    command = [openssl, "dgst", "-sha256", "-sign", keys[0], "-out", "signature", "content"]
    subprocess.run(command, cwd=tmp_path, check=True)
    theirs = base64.b64encode((tmp_path / "signature").read_bytes()).decode()
    assert is_signed(read_public_key(keys[1]), sha256, theirs)
    (tmp_path / "signature").write_bytes(base64.b64decode(sign(read_private_key(keys[0]), sha256)))
    command = [openssl, "dgst", "-sha256", "-verify", keys[1], "-signature", "signature", "content"]
    assert b"Verified OK" in subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout


def test_the_public_key_is_watched(keys):
    with recording() as record:
        read_public_key(keys[1])
    assert list(record.files) == [str(keys[1])]


@pytest.mark.parametrize("read", [read_public_key, read_private_key])
def test_what_is_no_key_is_said(read, tmp_path):
    path = tmp_path / "key.pem"
    with pytest.raises(LoadError, match="cannot be read: No such file"):
        read(path)
    path.write_text("nonsense")
    with pytest.raises(LoadError, match=r"key\.pem: is no key that can be used, expected .* PEM form"):
        read(path)


def test_a_private_key_of_another_kind_is_refused(tmp_path):
    from cryptography.hazmat.primitives.asymmetric import ec

    private, _ = bundles.write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(LoadError, match="an RSA private key in PEM form, unencrypted"):
        read_private_key(private)


@pytest.mark.parametrize("read", [read_public_key, read_private_key])
def test_without_the_library_the_extra_is_named(read, keys, monkeypatch):
    for name in [*sys.modules]:
        if name.partition(".")[0] == "cryptography":
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LoadError, match=r"pip install 'plugmw\[bundles\]'"):
        read(keys[0])


def folder_of(tmp_path, **files):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_the_checksum_is_over_the_files_in_their_order(tmp_path):
    folder = folder_of(tmp_path, a=b"1", b=b"2")
    verify(Manifest(("a", "b"), checksum=hashlib.md5(b"12").hexdigest()), folder, None, "m")
    with pytest.raises(LoadError, match=r"^m: invalid checksum: the files have [0-9a-f]{32}, expected "):
        verify(Manifest(("b", "a"), checksum=hashlib.md5(b"12").hexdigest()), folder, None, "m")


def test_the_checksum_of_no_files_is_that_of_nothing(tmp_path):
    assert digests([]).md5 == "d41d8cd98f00b204e9800998ecf8427e"
    verify(Manifest(checksum="d41d8cd98f00b204e9800998ecf8427e"), tmp_path, None, "m")


@pytest.mark.parametrize("checksum", ["", "é", "\ud800", "D41D8CD98F00B204E9800998ECF8427E"])
def test_any_other_text_is_a_wrong_checksum(tmp_path, checksum):
    with pytest.raises(LoadError, match="invalid checksum"):
        verify(Manifest(checksum=checksum), tmp_path, None, "m")


def test_with_a_key_the_signature_must_be_there_and_good(tmp_path, keys):
    folder, key = folder_of(tmp_path, a=CONTENT), read_public_key(keys[1])
    checksum = hashlib.md5(CONTENT).hexdigest()
    verify(Manifest(("a",), {}, checksum, bundles.sign(CONTENT)), folder, key, "m", compat=True)
    with pytest.raises(LoadError, match="m: Bundle isn't signed"):
        verify(Manifest(("a",), {}, checksum), folder, key, "m")
    with pytest.raises(LoadError, match="m: invalid signature"):
        verify(Manifest(("a",), {}, checksum, bundles.sign(b"other")), folder, key, "m")


def twice(files, **other):
    """Return a manifest that is signed twice."""
    return parse(json.dumps(bundles.manifest(files, signed=True, **other)).encode(), "m")


#: Changes to a bundle that was signed twice, of which the first signature knows nothing.
CHANGES = {
    "another hook": lambda manifest: attrs.evolve(manifest, custom_middleware={"driver": "python"}),
    "another name": lambda manifest: attrs.evolve(manifest, file_list=("c", "b")),
    "cut elsewhere": lambda manifest: attrs.evolve(manifest, file_list=("d", "e")),
    "a file of nothing": lambda manifest: attrs.evolve(manifest, file_list=("a", "nothing", "b")),
    "another field": lambda manifest: attrs.evolve(manifest, other={"name": "other"}),
}
FILES = {
    "a": CONTENT,
    "b": b"more",
    "c": CONTENT,
    "d": CONTENT[:1],
    "e": CONTENT[1:] + b"more",
    "nothing": b"",
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_second_signature_is_over_names_boundaries_and_manifest(tmp_path, keys, change):
    folder, key = folder_of(tmp_path, **FILES), read_public_key(keys[1])
    manifest = twice({"a": CONTENT, "b": b"more"}, name="n")
    verify(manifest, folder, key, "m")
    changed = CHANGES[change](manifest)
    for compat in (False, True):
        with pytest.raises(LoadError, match="m: invalid plugmw_signature: the file names or the manifest"):
            verify(changed, folder, key, "m", compat)
    # As Tyk sees it, it is as good as the first.
    verify(attrs.evolve(changed, plugmw_signature=""), folder, key, "m", compat=True)


def test_a_bundle_that_is_signed_as_tyk_signs_needs_compat(tmp_path, keys):
    folder, key = folder_of(tmp_path, a=CONTENT), read_public_key(keys[1])
    manifest = twice({"a": CONTENT}, plugmw_signature=bundles.ABSENT)
    verify(manifest, folder, key, "m", compat=True)
    expected = (
        "m: has no plugmw_signature: its file names and its manifest are not signed, expected a bundle of"
    )
    with pytest.raises(LoadError, match=expected):
        verify(manifest, folder, key, "m")
    verify(manifest, folder, None, "m")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LoadError, match=r"m: file_list\[0\]: 'a' cannot be read: No such file"):
        verify(Manifest(("a",)), tmp_path, None, "m")
