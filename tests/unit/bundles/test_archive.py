"""Archives from strangers: what would leave its folder is refused before a byte is written."""

import io
import stat
import struct
import warnings
import zipfile

import pytest

from plugmw.bundles.archive import Archive, Limits, inside, pack
from plugmw.errors import LoadError
from tests.support.bundles import archive, entry


def refusal(data, folder, limits=None):
    """Return why an archive is refused; nothing may be in its folder, nor beside it."""
    place = folder / "in"
    place.mkdir()
    with pytest.raises(LoadError) as error:
        Archive(data, "a.zip", limits).unpack(place)
    assert sorted(folder.rglob("*")) == [place]
    return str(error.value)


def test_files_and_folders_are_written_with_plain_modes(tmp_path):
    script = entry("run.sh")
    script.external_attr = (stat.S_IFREG | 0o6755) << 16
    data = archive([("lib/", b""), ("lib/a.py", b"A"), ("deep/er/b.py", b"B"), (script, b"C")])
    made = Archive(data, "a.zip")
    assert made.names == ["lib/a.py", "deep/er/b.py", "run.sh"]
    made.unpack(tmp_path)
    assert {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == {
        "lib/a.py": b"A",
        "deep/er/b.py": b"B",
        "run.sh": b"C",
    }
    assert not (tmp_path / "run.sh").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "a/..",
        "/etc/x",
        "//host/x",
        "C:/x",
        "c:x",
        "..\\x",
        "a\\b",
        "a//b",
        "a\x00/../b",
        "a\nb",
        "",
        ".",
    ],
)
def test_s11_a_name_that_leaves_the_folder_is_refused_and_nothing_written(tmp_path, name):
    data = archive([("good.py", b"1"), (entry(name), b"2")])
    assert "invalid file path in archive" in refusal(data, tmp_path)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a.py", "a.py"], "'a.py' is in the archive twice"),
        (["a.py", "./a.py"], "'a.py' is in the archive twice"),
        (["a.py", "A.py"], "'A.py' and 'a.py' are in one archive"),
        (["lib/a.py", "LIB/b.py"], "'LIB' and 'lib' are in one archive"),
        (["e\u0301.py", "\u00e9.py"], "'\u00e9.py' and 'e\u0301.py' are in one archive"),
        (["a", "a/b"], "'a' and 'a' are in one archive"),
        (["a/b", "a"], "'a' and 'a' are in one archive"),
        (["a/", "a/"], "'a' is in the archive twice"),
    ],
)
def test_s11_two_names_for_one_file_are_refused(tmp_path, names, problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = archive([(name, b"" if name.endswith("/") else b"x") for name in names])
    assert problem in refusal(data, tmp_path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_s11_links_and_devices_are_refused(tmp_path, kind):
    assert "'x' is a link or a device" in refusal(archive([(entry("x", kind), b"/etc/passwd")]), tmp_path)


def test_s12_unpacked_bytes_are_counted_while_unpacking(tmp_path):
    data = archive([("a", b"\0" * 600_000), ("b", b"\0" * 600_000)])
    with pytest.raises(LoadError, match="unpacks to over 1048576 bytes"):
        Archive(data, "a.zip").unpack(tmp_path)
    with pytest.raises(LoadError, match="unpacks to over 1000 bytes"):
        Archive(archive([("c", b"\0" * 1001)]), "a.zip", Limits(unpacked=1000)).unpack(tmp_path)


def test_s12_the_number_of_entries_is_capped(tmp_path):
    limits = Limits(files=3)
    assert (
        refusal(archive([(str(i), b"") for i in range(4)]), tmp_path, limits) == "a.zip: has over 3 entries"
    )
    with pytest.raises(LoadError, match="has over 3 entries"):
        Archive(archive([(str(i), b"") for i in range(13)]), "a.zip", limits)


def test_s12_entries_that_overlap_are_refused(tmp_path):
    data = bytearray(archive([("a", b"x" * 50), ("b", b"y" * 50)]))
    for at in (data.index(b"PK\1\2"), data.rindex(b"PK\1\2")):
        data[at + 20 : at + 24] = struct.pack("<I", len(data) - 10)
    assert "entries overlap" in refusal(bytes(data), tmp_path)


def test_encrypted_and_oddly_packed_files_are_refused(tmp_path):
    data = bytearray(archive([("a", b"x")]))
    data[data.index(b"PK\1\2") + 8] |= 1
    assert "'a' is encrypted" in refusal(bytes(data), tmp_path)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a", b"x")
    with pytest.raises(LoadError, match="'a' is compressed by method 14, expected deflate"):
        Archive(out.getvalue(), "a.zip")


@pytest.mark.parametrize("cut", [0, 1, 40, -30])
def test_a_truncated_archive_is_refused(tmp_path, cut):
    data = archive([("a", b"x" * 100), ("b", b"y" * 100)])
    assert refusal(data[:cut], tmp_path).startswith("a.zip: cannot be unpacked: BadZipFile: ")


def test_damaged_content_is_refused(tmp_path):
    data = bytearray(archive([("a", bytes(range(256)))]))
    data[60] ^= 255
    with pytest.raises(LoadError, match=r"a\.zip: cannot be unpacked: "):
        Archive(bytes(data), "a.zip").unpack(tmp_path)


def test_one_file_can_be_read_up_to_a_size():
    made = Archive(archive([("d/", b""), ("a", b"12345")]), "a.zip")
    assert made.read("a", 5) == b"12345"
    for name, most, problem in (
        ("a", 4, "a: has over 4 bytes"),
        ("d", 9, "d: file does not exist"),
        ("x", 9, "x: "),
    ):
        with pytest.raises(LoadError, match=problem):
            made.read(name, most)


def test_the_same_files_give_the_same_bytes_in_their_order():
    files = [("b.py", b"B" * 1000), ("lib/sub/a.py", b"A"), ("lib/c.py", b"C"), ("manifest.json", b"{}")]
    data = pack(files)
    assert data == pack(files)
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        names = ["b.py", "lib/", "lib/sub/", "lib/sub/a.py", "lib/c.py", "manifest.json"]
        assert made.namelist() == names
        assert {info.date_time for info in made.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert Archive(data, "a.zip").read("lib/sub/a.py", 9) == b"A"


def test_a_name_loses_its_dots():
    assert inside("./lib/./a.py") == "lib/a.py"
    with pytest.raises(ValueError, match="'a\\\\udc80'"):
        inside("a\udc80")


def test_an_archive_that_states_sizes_behind_its_files_is_read(tmp_path):
    """As Go writes them, so as Tyk makes them: without modes too."""

    class Pipe(io.BytesIO):
        def tell(self):
            raise OSError

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        info = zipfile.ZipInfo("a.py")
        info.external_attr = 0
        made.writestr(info, b"A" * 100)
    Archive(out.getvalue(), "a.zip").unpack(tmp_path)
    assert out.getvalue()[6] & 8
    assert (tmp_path / "a.py").read_bytes() == b"A" * 100
