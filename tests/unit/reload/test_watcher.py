"""One look at the files at a time: what it acts on, and what it leaves alone."""

from __future__ import annotations

import os
import threading

import pytest

from plugmw.loading.watching import fingerprint
from plugmw.reload.watcher import Watcher
from tests.support.waiting import until


class Watched:
    """Two files; counts reloads, which succeed unless told."""

    def __init__(self, folder):
        self.paths = [str(folder / "gateway.yaml"), str(folder / "plugin.py")]
        for path in self.paths:
            write(path, "first")
        self.sources = (self.paths[0],)
        self.reloads, self.good = 0, True
        self.note()

    def note(self):
        self.files = {path: fingerprint(path) for path in self.paths}

    def reload(self):
        self.reloads += 1
        self.note()
        return self.good


def write(path, text):
    """Write with a time of its own, whatever the file system's resolution."""
    times = (os.stat(path).st_mtime_ns if os.path.exists(path) else 10**18) + 10**9
    with open(path, "w") as file:
        file.write(text)
    os.utime(path, ns=(times, times))


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


@pytest.fixture
def watcher(watched):
    made = Watcher(watched)
    assert (made.look(), made.look()) == (False, False)
    return made


def looks(watcher, count=4):
    return [watcher.look() for _ in range(count)]


def test_nothing_is_done_while_nothing_changes(watched, watcher):
    assert looks(watcher) == [False] * 4


@pytest.mark.parametrize("which", [0, 1], ids=["the configuration", "a plugin"])
def test_a_change_is_taken_when_it_has_been_quiet_for_a_look(watched, watcher, which):
    write(watched.paths[which], "second")
    assert looks(watcher) == [False, True, False, False]


def test_a_file_is_left_alone_while_it_is_being_written(watched, watcher):
    for text in ("s", "se", "second"):
        write(watched.paths[0], text)
        assert not watcher.look()
    assert watcher.look()


def test_a_new_time_on_the_configuration_asks_for_a_reload(watched, watcher):
    write(watched.paths[0], "first")
    assert looks(watcher) == [False, True, False, False]


def test_a_new_time_on_another_file_means_nothing(watched, watcher):
    write(watched.paths[1], "first")
    assert looks(watcher) == [False] * 4


@pytest.mark.parametrize("looks_before", [0, 1])
def test_a_request_for_a_reload_that_comes_during_one_or_just_after_it_is_another(
    watched, watcher, looks_before
):
    reload, during = watched.reload, [True]

    def reload_slowly():
        if during and not looks_before:
            during.clear()
            write(watched.paths[0], "first")
        return reload()

    watched.reload = reload_slowly
    write(watched.paths[0], "first")
    assert looks(watcher, 2) == [False, True]
    assert looks(watcher, looks_before) == [False] * looks_before
    if looks_before:
        write(watched.paths[0], "first")
    assert looks(watcher) == [False, True, False, False]


def test_a_request_for_a_reload_right_after_the_start_counts(watched):
    watcher = Watcher(watched)
    write(watched.paths[0], "first")
    assert looks(watcher) == [False, True, False, False]


def test_what_was_refused_is_not_tried_again_before_it_changes(watched, watcher):
    watched.good = False
    write(watched.paths[0], "bad")
    assert looks(watcher) == [False, True, False, False]
    write(watched.paths[0], "good")
    assert looks(watcher) == [False, True, False, False]


def test_a_change_between_reading_and_the_first_look_is_found(watched):
    write(watched.paths[0], "second")
    assert looks(Watcher(watched)) == [False, True, False, False]


def test_a_file_that_goes_and_comes_back_is_one_change(watched, watcher):
    os.unlink(watched.paths[1])
    assert not watcher.look()
    write(watched.paths[1], "second")
    assert looks(watcher) == [False, True, False, False]


def test_its_thread_ends_with_what_it_watches(tmp_path, monkeypatch):
    monkeypatch.setattr("plugmw.reload.watcher.EVERY", 0)
    watcher = Watcher(Watched(tmp_path))  # which is gone at once
    watcher._run()
    stopped = Watcher(Watched(tmp_path))
    stopped.stop()
    stopped._run()


def test_a_gateway_that_has_gone_is_never_reloaded(tmp_path):
    watched = Watched(tmp_path)
    watcher = Watcher(watched)
    write(watched.paths[0], "second")
    del watched
    assert looks(watcher) == [False] * 4


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), RuntimeError("x")], ids=repr)
def test_its_thread_survives_whatever_a_reload_raises_and_says_so(watched, monkeypatch, caplog, error):
    monkeypatch.setattr("plugmw.reload.watcher.EVERY", 0.001)
    taken = threading.Event()

    def reload():
        watched.reloads += 1
        if watched.reloads == 1:
            raise error
        taken.set()
        return True

    watched.reload = reload
    watcher = Watcher(watched)
    watcher.start()
    try:
        write(watched.paths[1], "bad")
        until(lambda: watched.reloads == 1)
        write(watched.paths[1], "good")
        assert taken.wait(15)
    finally:
        watcher.stop()
    assert "looking at the files failed, the configuration in force stays" in caplog.text
