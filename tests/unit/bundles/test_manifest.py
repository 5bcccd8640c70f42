"""Reading and writing manifest.json."""

import json

import pytest

from plugmw.bundles.manifest import LARGEST, Manifest, parse
from plugmw.errors import LoadError


def test_says_what_is_in_it():
    data = {
        "file_list": ["./middleware.py", "lib/a.py"],
        "custom_middleware": {"driver": "python"},
        "checksum": "c",
        "signature": "s",
        "build_id": "7",
    }
    assert parse(json.dumps(data).encode(), "m") == Manifest(
        ("middleware.py", "lib/a.py"), {"driver": "python"}, "c", "s", {"build_id": "7"}
    )


@pytest.mark.parametrize("content", [b"{}", b'\xef\xbb\xbf{"file_list": null, "checksum": null}'])
def test_what_is_absent_or_null_is_empty(content):
    assert parse(content, "m") == Manifest()


def test_keys_are_read_in_any_case():
    hooks = b'{"Driver": "python", "Pre": [{"Name": "A"}, 5], "Auth_Check": {"NAME": "B"}}'
    found = parse(b'{"File_List": ["a.py"], "Custom_Middleware": ' + hooks + b', "CHECKSUM": "x"}', "m")
    assert (found.file_list, found.checksum, found.other) == (("a.py",), "x", {})
    assert found.custom_middleware == {
        "driver": "python",
        "pre": [{"name": "A"}, 5],
        "auth_check": {"name": "B"},
    }


@pytest.mark.parametrize(
    ("hooks", "place"),
    [
        ('{"pre": [], "Pre": []}', "custom_middleware.Pre"),
        ('{"pre": [{"name": "A", "Name": "B"}]}', "custom_middleware.pre.Name"),
    ],
)
def test_a_key_in_two_spellings_is_refused(hooks, place):
    with pytest.raises(LoadError, match=f"m: {place}: is there in two spellings"):
        parse(f'{{"custom_middleware": {hooks}}}'.encode(), "m")


def test_what_was_written_reads_the_same_and_is_compact():
    manifest = Manifest(("é.py",), {"driver": "python"}, "c", "s", {"build_id": "7"})
    text = manifest.to_json()
    assert parse(text, "m") == manifest
    assert text.decode() == (
        '{"file_list":["é.py"],"custom_middleware":{"driver":"python"},"checksum":"c","signature":"s",'
        '"build_id":"7"}'
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "m: got a list, expected an object"),
        (b"7", "m: got 7, expected an object"),
        (b'{"file_list": {}}', "m: file_list: got an object, expected a list"),
        (b'{"file_list": [7]}', "m: file_list[0]: got 7, expected the name of a file"),
        (b'{"file_list": ["a", "../b"]}', "m: file_list[1]: invalid file path in archive: '../b'"),
        (b'{"custom_middleware": []}', "m: custom_middleware: got a list, expected an object"),
        (b'{"checksum": 1.5}', "m: checksum: got 1.5, expected a string"),
        (b'{"signature": true}', "m: signature: got true, expected a string"),
        (b" " * (LARGEST + 1), f"m: has over {LARGEST} bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content, message):
    with pytest.raises(LoadError) as error:
        parse(content, "m")
    assert str(error.value) == message


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "half", "bytes", "deep"]
)
def test_what_is_not_json_is_refused(content):
    with pytest.raises(LoadError, match=r"^m: is not JSON: "):
        parse(content, "m")
