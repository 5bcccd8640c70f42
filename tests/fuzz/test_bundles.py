"""Whatever a server sends: a bundle, or a LoadError, and nothing outside of the folder."""

import contextlib
import json
import tempfile
import warnings
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from plugmw.bundles import Manifest
from plugmw.bundles.archive import Archive, Limits
from plugmw.bundles.bundles import unpack
from plugmw.bundles.manifest import parse
from plugmw.errors import LoadError
from tests.support.bundles import archive, bundle, entry

SOME = settings(max_examples=150, deadline=None, database=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["file_list", "custom_middleware", "checksum", "signature", "x"])
PARTS = st.sampled_from(
    ["..", ".", "", "a", "A", "b", "C:", "\\", "\0", "é", "x" * 300, "manifest.json", "~"]
)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
KINDS = st.sampled_from([0, 0o100000, 0o040000, 0o120000, 0o020000])
ENTRIES = st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=40)), max_size=5)


def tried(data):
    """Unpack in a folder of a folder; return what was there, and fail if anything is beside it."""
    with tempfile.TemporaryDirectory() as outer:
        inner = Path(outer) / "inner"
        inner.mkdir()
        try:
            found = unpack(data, inner, "a.zip", None, Limits(unpacked=10_000))
        except LoadError:
            found = None
        assert [path.name for path in Path(outer).iterdir()] == ["inner"]
        assert not any(path.is_symlink() for path in inner.rglob("*"))
        return found


def read(content):
    with contextlib.suppress(LoadError):
        assert isinstance(parse(content, "m"), Manifest)


@SOME
@given(JSON | st.dictionaries(FIELDS, JSON))
def test_any_json_is_a_manifest_or_a_load_error(data):
    read(json.dumps(data).encode("utf-8", "surrogatepass"))


@SOME
@given(st.binary())
def test_any_bytes_are_a_manifest_or_a_load_error(data):
    read(data)


@SOME
@given(ENTRIES)
def test_any_entries_stay_inside_or_are_refused(entries):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = archive([(entry(name, kind), content) for name, kind, content in entries])
    with tempfile.TemporaryDirectory() as outer:
        inner = Path(outer) / "inner"
        inner.mkdir()
        with contextlib.suppress(LoadError):
            Archive(data, "a.zip").unpack(inner)
        assert [path.name for path in Path(outer).iterdir()] == ["inner"]
        assert not any(path.is_symlink() for path in inner.rglob("*"))


@SOME
@given(st.binary(max_size=200))
def test_any_bytes_are_no_bundle(data):
    assert tried(data) is None


@SOME
@given(st.data())
def test_any_damage_is_a_load_error_or_does_no_harm(data):
    good = bytearray(bundle({"a.py": b"A" * 50, "b.py": b"B"}))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(good)) | st.just(len(good)))
    found = tried(bytes(good[:end]))
    assert found is None or found.file_list == ("a.py", "b.py")
