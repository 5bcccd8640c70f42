"""The lock and the listing of bundles on disk; the rest is in test_bundles.py."""

import fcntl
import os

import pytest

from plugmw.bundles import installed
from plugmw.bundles.installed import Home, homes
from plugmw.errors import LoadError


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "bundles", "a.zip")


def test_one_has_the_turn_and_the_others_wait_for_a_minute(home, monkeypatch):
    monkeypatch.setattr(installed, "TURN", 0.0)
    busy = pytest.raises(LoadError, match="another process has been fetching it for 0 s")
    with home.turn(), busy, home.turn(lambda seconds: None):
        pass


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b'{"problem": "down"}', "down"),
        (b'{"problem": ""}', ""),
        (b"{", "another process was ended while it fetched the bundle"),
        (b"[]", "another process was ended while it fetched the bundle"),
    ],
)
def test_who_has_waited_is_told_what_came_of_it(home, written, told):
    with home.turn() as turn:
        turn.tell("")
    lock = next(home.root.glob(".*.lock"))
    other = os.open(lock, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)

    def end(seconds):
        os.ftruncate(other, 0)
        os.pwrite(other, written, 0)
        fcntl.flock(other, fcntl.LOCK_UN)

    with home.turn(end) as turn:
        assert turn.told == told
    with home.turn() as turn:
        assert turn.told is None
    os.close(other)


def test_on_a_full_disk_those_who_wait_are_told_nothing(home, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    with home.turn() as turn:
        monkeypatch.setattr("os.pwrite", full)
        turn.tell("down")
    with home.turn() as turn:
        assert turn.told is None


def test_homes_are_listed_with_the_names_that_are_known(home, tmp_path):
    home.folder.mkdir(parents=True)
    home.remember({})
    (home.root / ("0" * 32)).mkdir()
    (home.root / "other").mkdir()
    assert [one.name for one in homes(home.root)] == ["", "a.zip"]
    assert homes(tmp_path / "nowhere") == []
