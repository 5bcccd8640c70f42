"""Making a bundle of a manifest and its files."""

import hashlib
import io
import json
import zipfile

import pytest

from plugmw.bundles import Manifest, building
from plugmw.bundles.bundles import unpack
from plugmw.bundles.signatures import read_private_key, read_public_key
from plugmw.errors import LoadError
from tests.support import bundles as support
from tests.support.bundles import HOOKS


def listed(folder, files, hooks=HOOKS):
    return building.listed(Manifest(tuple(files), hooks), folder, "manifest.json")


def test_the_manifest_is_last_the_checksum_is_tyks_and_what_is_not_listed_is_absent(tmp_path):
    for name in ("b.py", "a.py", "unlisted.py"):
        (tmp_path / name).write_text(name)
    files = listed(tmp_path, ["b.py", "a.py"])
    data, manifest = building.build(Manifest(("b.py", "a.py"), HOOKS), files)
    assert data == building.build(Manifest(("b.py", "a.py"), HOOKS), files)[0]
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert made.namelist() == ["b.py", "a.py", "manifest.json"]
        assert json.loads(made.read("manifest.json")) == support.manifest({"b.py": b"b.py", "a.py": b"a.py"})
    assert manifest.checksum == hashlib.md5(b"b.pya.py").hexdigest()


def test_with_a_key_it_is_signed_as_tyk_signs_and_whole(tmp_path, keys):
    given = Manifest(("a.py",), HOOKS, other={"name": "é"})
    data, manifest = building.build(given, {"a.py": b"A"}, key=read_private_key(keys[0]))
    by_hand = support.manifest({"a.py": b"A"}, signed=True, name="é")
    assert manifest.signature == support.sign(b"A")
    assert manifest.plugmw_signature == by_hand["plugmw_signature"]
    assert unpack(data, tmp_path, "a.zip", read_public_key(keys[1])) == manifest


def test_an_old_signature_does_not_stay_without_a_key():
    done = building.build(Manifest(signature="old", plugmw_signature="old"), {})[1]
    assert (done.signature, done.plugmw_signature) == ("", "")


def test_two_builds_differ_by_their_id_and_other_fields_stay():
    manifest = Manifest(other={"name": "n"})
    one, two = (building.build(manifest, {}, build_id=build_id) for build_id in ("1", "2"))
    assert one[1].other == {"name": "n", "build_id": "1"}
    assert one[0] != two[0]


def test_libraries_come_behind_the_files_and_are_vouched_for(tmp_path):
    data, manifest = building.build(
        Manifest(("a.py",), HOOKS), {"a.py": b"A"}, libraries={"z/z.py": b"Z", "b.py": b"B"}
    )
    assert manifest.file_list == ("a.py", "vendor/b.py", "vendor/z/z.py")
    assert manifest.checksum == hashlib.md5(b"ABZ").hexdigest()
    assert unpack(data, tmp_path, "a.zip", None) == manifest
    assert (tmp_path / "vendor/z/z.py").read_bytes() == b"Z"


@pytest.mark.parametrize(
    ("files", "hooks", "problem"),
    [
        (["gone.py"], HOOKS, "Referencing a nonexistent file: gone.py"),
        ([], {"driver": "python"}, "No hooks defined"),
        ([], {"driver": "python", "pre": [], "auth_check": {"name": ""}}, "No hooks defined"),
        ([], {"pre": [{"name": "A"}]}, "No driver specified"),
        ([], {"auth_check": {"name": "A"}}, "No driver specified"),
        (["manifest.json"], HOOKS, "file_list: 'manifest.json' is there twice, or is the manifest itself"),
        (["a.py", "a.py"], HOOKS, "file_list: 'a.py' is there twice, or is the manifest itself"),
        (["folder"], HOOKS, "cannot be read: Is a directory"),
    ],
)
def test_what_is_not_complete_is_not_packed(tmp_path, files, hooks, problem):
    (tmp_path / "a.py").write_text("A")
    (tmp_path / "folder").mkdir()
    with pytest.raises(LoadError) as error:
        listed(tmp_path, files, hooks)
    assert error.value.what == problem


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"{", "is not JSON"), (b"[]", "got a list, expected an object")],
)
def test_a_manifest_that_cannot_be_read_is_said(tmp_path, content, reason):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LoadError) as error:
        building.read(path)
    assert str(error.value).startswith(f"{path}: Couldn't load manifest file: {reason}")


def test_a_manifest_is_read(tmp_path):
    (tmp_path / "manifest.json").write_text('{"file_list": ["a"]}')
    assert building.read(tmp_path / "manifest.json") == Manifest(("a",))
