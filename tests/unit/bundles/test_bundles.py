"""Bundles by name: fetched, checked, kept; what stays when something is wrong."""

import hashlib
import json
import logging
import shutil
import threading
import zipfile

import pytest

from plugmw.bundles import Bundles, installed
from plugmw.bundles.archive import Limits
from plugmw.bundles.bundles import read_manifest
from plugmw.bundles.installed import Home, name_hash
from plugmw.errors import LoadError
from plugmw.loading.watching import changed, recording
from tests.support.bundles import ABSENT, HOOKS, archive, bundle, entry, manifest, shelf
from tests.support.stub import Told

OLD, NEW = {"middleware.py": b"X = 1\n"}, {"middleware.py": b"X = 2\n"}


@pytest.fixture
def bundles(tmp_path, server):
    """Make the bundles of the test's folder and server."""

    def make(base=None, **options):
        options.setdefault("sleep", lambda pause: None)
        return Bundles(tmp_path / "middleware", server.url if base is None else base, **options)

    return make


@pytest.fixture
def home(tmp_path):
    return tmp_path / "middleware" / "bundles" / name_hash("a.zip")


def failure(made, name="a.zip"):
    with pytest.raises(LoadError) as error:
        made.get(name)
    return str(error.value)


def read(found):
    return (found.folder / "middleware.py").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("compat", [False, True])
def test_a_bundle_is_in_the_folder_of_its_names_md5(bundles, server, home, compat):
    server.has["a.zip"] = bundle(OLD, build_id="7")
    found = bundles(compat=compat).get("a.zip")
    assert home.name == hashlib.md5(b"a.zip").hexdigest()
    assert home in (found.folder, found.folder.parent)
    assert (found.folder == home) == compat
    assert (found.name, read(found), found.manifest.file_list) == ("a.zip", b"X = 1\n", ("middleware.py",))
    assert found.manifest.custom_middleware == HOOKS
    assert found.hash == (home.name if compat else found.folder.name)
    assert found.parts == (found,)
    assert found.vendor is None


def test_in_compat_the_name_alone_decides_and_no_request_is_made(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    bundles(compat=True).get("a.zip")
    server.has["a.zip"] = bundle(NEW)
    assert read(bundles(compat=True).get("a.zip")) == b"X = 1\n"
    assert len(server.asked) == 1


def test_what_has_changed_on_the_server_is_picked_up(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    made = bundles()
    old = made.get("a.zip")
    server.has["a.zip"] = bundle(NEW)
    new = made.get("a.zip")
    assert (read(old), read(new)) == (b"X = 1\n", b"X = 2\n")
    assert old.hash != new.hash


def test_what_has_not_changed_is_not_sent_again(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    made = bundles()
    first, second = made.get("a.zip"), bundles().get("a.zip")
    assert first == second
    assert [asked.get("If-None-Match") is not None for asked in server.asked] == [False, True]


def test_the_same_content_from_a_server_without_validators_stays_where_it_is(bundles, server, home):
    data = bundle(OLD)
    server.has["a.zip"] = Told(200, [], data)
    first = bundles().get("a.zip")
    inode = first.folder.stat().st_ino
    assert bundles().get("a.zip").folder.stat().st_ino == inode
    assert [asked.get("If-None-Match") for asked in server.asked] == [None, None]


def test_another_base_url_is_asked_afresh(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    bundles().get("a.zip")
    bundles(f"{server.url}/?x=1").get("a.zip")
    assert server.asked[1].get("If-None-Match") is None


@pytest.mark.slow
def test_the_last_two_versions_are_kept(bundles, server, home):
    made, folders = bundles(), []
    for number in range(4):
        server.has["a.zip"] = bundle({"middleware.py": b"%d" % number})
        folders.append(made.get("a.zip").folder)
    assert [folder.exists() for folder in folders] == [False, False, True, True]


@pytest.mark.slow
def test_a_version_that_comes_back_is_where_it_was(bundles, server):
    old, new = bundle(OLD), bundle(NEW)
    made, inodes = bundles(), []
    for data in (old, new, old):
        server.has["a.zip"] = data
        inodes.append(made.get("a.zip").folder.stat().st_ino)
    assert inodes[0] == inodes[2]
    assert inodes[0] != inodes[1]


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (404, "answered 404"),
        (b"no zip", "cannot be unpacked"),
        (bundle(NEW)[:-30], "cannot be unpacked"),
        (bundle(NEW, checksum="0" * 32), "invalid checksum"),
        (bundle(NEW, file_list=["gone.py"]), "'gone.py' is not in the archive"),
        (bundle(NEW, file_list=[]), "'middleware.py' is in the archive, but not in file_list"),
        (archive([("middleware.py", b"")]), "manifest.json: file does not exist"),
        (archive([("manifest.json", b"{")]), "manifest.json: is not JSON"),
        (archive([("../x", b""), ("manifest.json", b"{}")]), "invalid file path in archive"),
        (archive([(entry("x", 0o120000), b"/"), ("manifest.json", b"{}")]), "is a link or a device"),
    ],
    ids=[
        "404",
        "text",
        "truncated",
        "checksum",
        "missing",
        "unlisted",
        "no-manifest",
        "bad-manifest",
        "slip",
        "link",
    ],
)
def test_what_is_not_good_leaves_nothing_and_the_last_good_one_serves(
    bundles, server, tmp_path, caplog, there, reason
):
    server.has["a.zip"] = there
    assert reason in failure(bundles())
    root = tmp_path / "middleware" / "bundles"
    assert [path for path in root.iterdir() if not path.name.endswith(".lock")] == []
    server.has["a.zip"] = bundle(OLD)
    good = bundles().get("a.zip")
    before = sorted(root.rglob("*"))
    server.has["a.zip"] = there
    with caplog.at_level(logging.WARNING):
        assert bundles().get("a.zip") == good
    assert sorted(root.rglob("*")) == before
    [line] = [record.getMessage() for record in caplog.records]
    assert reason in line
    assert line.endswith("; the last good one stays")


def test_a_server_that_is_down_is_asked_five_times_and_named(bundles, server):
    server.has["a.zip"] = 500
    text = failure(bundles())
    assert text == f"bundle 'a.zip': {server.url}/a.zip: answered 500, expected 200"
    assert len(server.asked) == 5
    server.has["b.zip"] = bundle(OLD)
    assert bundles().get("b.zip")


def test_a_server_that_is_down_is_asked_twice_where_the_last_good_one_can_serve(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    good = bundles().get("a.zip")
    server.has["a.zip"] = 503
    assert bundles().get("a.zip") == good
    assert len(server.asked) == 3


def test_validators_of_another_version_than_the_one_in_force_do_not_count(bundles, server, home):
    """As when a process is ended between the two files."""
    server.has["a.zip"] = bundle(OLD)
    bundles().get("a.zip")
    state = (home / "state.json").read_bytes()
    server.has["a.zip"] = bundle(NEW)
    bundles().get("a.zip")
    (home / "state.json").write_bytes(state)
    assert read(bundles().get("a.zip")) == b"X = 2\n"
    assert [asked.get("If-None-Match") is None for asked in server.asked] == [True, False, True]


def test_a_folder_that_this_user_may_not_look_into_has_no_bundle(bundles, home, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.stat", refuse)
    assert Home(home.parent, "a.zip").current() is None


def test_a_bundle_that_is_good_again_is_taken_after_a_bad_one(bundles, server, tmp_path):
    server.has["a.zip"] = b"bad"
    failure(bundles(compat=True))
    server.has["a.zip"] = bundle(OLD)
    assert read(bundles(compat=True).get("a.zip")) == b"X = 1\n"


@pytest.mark.parametrize("compat", [False, True])
def test_with_a_key_an_unsigned_bundle_is_refused(bundles, server, keys, compat):
    server.has["a.zip"] = bundle(OLD)
    assert "Bundle isn't signed" in failure(bundles(public_key=keys[1], compat=compat))
    server.has["a.zip"] = bundle(OLD, signature=manifest(NEW, signed=True)["signature"])
    assert "invalid signature" in failure(bundles(public_key=keys[1], compat=compat))
    server.has["a.zip"] = bundle(OLD, signed=True)
    assert bundles(public_key=keys[1], compat=compat).get("a.zip").manifest.signature


def test_a_bundle_of_tyks_own_is_taken_with_a_key_in_compat_only(bundles, server, keys):
    server.has["a.zip"] = bundle(OLD, signed=True, plugmw_signature=ABSENT)
    assert "its file names and its manifest are not signed" in failure(bundles(public_key=keys[1]))
    assert read(bundles(public_key=keys[1], compat=True).get("a.zip")) == b"X = 1\n"
    assert "its file names and its manifest are not signed" in failure(bundles("", public_key=keys[1]))


def test_a_signed_bundle_needs_no_key(bundles, server):
    server.has["a.zip"] = bundle(OLD, signed=True)
    assert bundles().get("a.zip")


def test_a_key_that_cannot_be_read_is_named(bundles, server, tmp_path):
    server.has["a.zip"] = bundle(OLD)
    assert "nokey.pem: cannot be read" in failure(bundles(public_key=tmp_path / "nokey.pem"))


def test_what_is_on_disk_is_checked_too_when_there_is_a_key(bundles, server, keys):
    server.has["a.zip"] = bundle(OLD)
    bundles().get("a.zip")
    assert "Bundle isn't signed" in failure(bundles("", public_key=keys[1]))
    assert bundles("", public_key=keys[1], skip_verify_existing=True).get("a.zip")


def test_in_compat_an_unsigned_one_on_disk_is_not_checked(bundles, server, keys):
    server.has["a.zip"] = bundle(OLD)
    found = bundles(compat=True).get("a.zip")
    (found.folder / "middleware.py").write_bytes(b"changed")
    assert bundles(compat=True, public_key=keys[1]).get("a.zip")
    assert "invalid checksum" in failure(bundles(""))


def test_in_compat_a_signed_one_on_disk_is_checked(bundles, server, keys):
    server.has["a.zip"] = bundle(OLD, signed=True)
    found = bundles(compat=True, public_key=keys[1]).get("a.zip")
    (found.folder / "middleware.py").write_bytes(b"changed")
    assert "invalid checksum" in failure(bundles(compat=True, public_key=keys[1]))
    assert bundles(compat=True, public_key=keys[1], skip_verify_existing=True).get("a.zip")


def test_what_was_damaged_on_disk_is_fetched_again(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    found = bundles().get("a.zip")
    (found.folder / "middleware.py").write_bytes(b"changed")
    assert read(bundles().get("a.zip")) == b"X = 1\n"


def test_a_bundle_that_tyk_has_put_there_is_read_and_replaced_by_a_newer_one(bundles, server, home):
    home.mkdir(parents=True)
    (home / "middleware.py").write_bytes(OLD["middleware.py"])
    (home / "manifest.json").write_text(json.dumps(manifest(OLD)))
    old = bundles("").get("a.zip")
    assert (old.folder, len(old.hash)) == (home, 32)
    assert bundles(enabled=False).get("a.zip") == old
    assert server.asked == []
    server.has["a.zip"] = bundle(NEW)
    assert read(bundles().get("a.zip")) == b"X = 2\n"
    assert read(bundles("", compat=True).get("a.zip")) == b"X = 2\n"


def test_in_compat_a_folder_without_a_manifest_is_not_written_over(bundles, server, home):
    home.mkdir(parents=True)
    (home / "mine").write_text("")
    server.has["a.zip"] = bundle(OLD)
    assert "has no manifest.json" in failure(bundles(compat=True))
    assert (home / "mine").exists()


def test_without_a_base_url_or_with_the_downloader_off_nothing_is_asked(bundles, server, home):
    assert failure(bundles("")) == "bundle 'a.zip': No bundle base URL set, skipping bundle"
    assert failure(bundles(enabled=False)).startswith(f"bundle 'a.zip': is not in {home}")
    assert server.asked == []


def test_a_folder_that_cannot_be_written_is_said_and_what_is_in_it_serves(bundles, server, tmp_path, caplog):
    (tmp_path / "middleware").write_text("")
    assert f"{tmp_path}/middleware/bundles: cannot be written: Not a directory" in failure(bundles())


def test_a_disk_that_fails_while_unpacking_keeps_the_last_good_one(bundles, server, monkeypatch):
    server.has["a.zip"] = bundle(OLD)
    good = bundles().get("a.zip")
    server.has["a.zip"] = bundle(NEW)

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    assert bundles().get("a.zip") == good


def test_limits_are_those_given(bundles, server):
    server.has["a.zip"] = bundle({"a": b"x" * 100, "b": b""})
    assert "has over 10 bytes" in failure(bundles(limits=Limits(download=10)))
    assert "has over 2 entries" in failure(bundles(limits=Limits(files=2)))


@pytest.mark.parametrize("name", ["../x", "a?b", "a@b", "//h/x", ""])
def test_s14_a_name_that_is_none_asks_nothing(bundles, server, name):
    assert "is no name" in failure(bundles(), name)
    assert server.asked == []


def test_a_scheme_that_is_not_known_is_said(bundles):
    assert "Unknown URL scheme: 'ftp'" in failure(bundles("ftp://h"))


@pytest.mark.slow
def test_a_new_version_is_noticed_by_who_watches(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    with recording() as record:
        bundles().get("a.zip")
    assert changed(record.files) == []
    bundles().get("a.zip")
    assert changed(record.files) == []
    server.has["a.zip"] = bundle(NEW)
    found = bundles().get("a.zip")
    assert changed(record.files) == [str(found.folder.parent / "current")]


def test_a_bundle_that_comes_later_is_noticed_by_who_watches(bundles, server, home):
    with recording() as record:
        failure(bundles(enabled=False))
    server.has["a.zip"] = bundle(OLD)
    bundles().get("a.zip")
    assert changed(record.files) == [str(home / "current")]


def together(count, work):
    """Run ``work`` in threads; returns their results or errors."""
    found = []

    def run():
        try:
            found.append(work())
        except LoadError as error:
            found.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("there", [bundle(OLD), 500], ids=["good", "down"])
def test_four_that_start_together_fetch_once(tmp_path, monkeypatch, there):
    at_the_lock = threading.Semaphore(0)
    locked = installed.locked

    def noted(*arguments):
        at_the_lock.release()
        return locked(*arguments)

    monkeypatch.setattr(installed, "locked", noted)

    def when_all_wait(one):
        def answer(asked):
            if not len(one.asked) > 1:
                assert all(at_the_lock.acquire(timeout=20) for _ in range(4))
            return one.answer(asked)

        return answer

    with shelf(when_all_wait) as server:
        server.has["a.zip"] = there
        found = together(
            4, lambda: Bundles(tmp_path, server.url, deadline=20, sleep=lambda pause: None).get("a.zip")
        )
        assert len(server.asked) == (1 if isinstance(there, bytes) else 5)
    assert all(one == found[0] for one in found)


def test_what_a_killed_process_has_left_is_removed(bundles, server, home):
    left = home.parent / f".new-{home.name}-abc"
    left.mkdir(parents=True)
    other = home.parent / ".new-other-abc"
    other.mkdir()
    server.has["a.zip"] = bundle(OLD)
    bundles().get("a.zip")
    assert (left.exists(), other.exists()) == (False, True)


def test_a_version_that_is_gone_from_disk_is_fetched_again(bundles, server):
    server.has["a.zip"] = bundle(OLD)
    shutil.rmtree(bundles().get("a.zip").folder)
    assert read(bundles().get("a.zip")) == b"X = 1\n"


def test_what_is_kept_may_be_damaged(bundles, server, home):
    server.has["a.zip"] = bundle(OLD)
    bundles().get("a.zip")
    for name, content in (("state.json", b"["), ("state.json", b"[]"), ("current", b"\xff../..")):
        (home / name).write_bytes(content)
        assert read(bundles().get("a.zip")) == b"X = 1\n"


def test_several_names_are_one_bundle(bundles, server):
    files = {"middleware.py": b"Y = 1\n", "vendor/y.py": b""}
    hooks = {"driver": "python", "pre": [{"name": "Second", "path": "middleware.py"}], "post": []}
    server.has["a.zip"] = bundle(OLD)
    server.has["b.zip"] = bundle(files, custom_middleware=hooks)
    found = bundles().get("a.zip, b.zip")
    a, b = found.parts
    assert (a.name, b.name, found.name) == ("a.zip", "b.zip", "a.zip, b.zip")
    place = b.folder.relative_to(found.folder).as_posix()
    assert found.manifest.custom_middleware == {
        "driver": "python",
        "pre": [{"name": "PreHook"}, {"name": "Second", "path": f"{place}/middleware.py"}],
        "post": [],
    }
    assert all((found.folder / name).is_file() for name in found.manifest.file_list)
    assert (found.vendor, b.vendor) == (None, b.folder / "vendor")


def test_made_by_our_builder_a_bundle_is_an_ordinary_zip(bundles, server, tmp_path):
    from plugmw.bundles import Manifest, building

    data, _ = building.build(Manifest(("a.py",), HOOKS), {"a.py": b"A"})
    (tmp_path / "a.zip").write_bytes(data)
    assert zipfile.ZipFile(tmp_path / "a.zip").testzip() is None
    assert bundles(tmp_path.as_uri()).get("a.zip").manifest.file_list == ("a.py",)


def test_a_manifest_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(LoadError, match=r"manifest\.json: cannot be read: No such file"):
        read_manifest(tmp_path)
