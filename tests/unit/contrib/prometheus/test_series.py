"""Numbers of several processes, added up; those of dead ones too."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import pytest

from plugmw.contrib.prometheus import series
from plugmw.contrib.prometheus.exposition import Metric, amounts
from plugmw.contrib.prometheus.series import DROPPED, Series, series_of, totals
from plugmw.kernel.runtime import Runtime

COUNT = Metric("count", "counter", "-", ("who",))
KEY = amounts(COUNT, ("a",), 1)[0][0]
FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=["memory", "folder"])
def one(request, tmp_path):
    made = Series(tmp_path / "m" if request.param == "folder" else None)
    yield made
    made.close()


def test_numbers_add_up(one):
    one.record(COUNT, ("a",), 2)
    one.record(COUNT, ("a",), 0.5)
    assert one.totals() == {KEY: 2.5}


def test_threads_lose_nothing(one):
    threads = [
        threading.Thread(target=lambda: [one.record(COUNT, ("a",)) for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.totals() == {KEY: 4000}


def test_the_number_of_series_is_bounded(one, monkeypatch):
    monkeypatch.setattr(series, "MOST", 2)
    for who in "abcda":
        one.record(COUNT, (who,))
    found = one.totals()
    assert found[amounts(DROPPED, (), 1)[0][0]] == 2
    assert found[KEY] == 2
    assert len(found) == 3


def test_after_the_end_nothing_is_written(one):
    one.record(COUNT, ("a",))
    one.close()
    one.close()
    one.record(COUNT, ("a",))
    assert one.totals() == {KEY: 1}


def _die(folder):
    Series(folder).record(COUNT, ("a",), 3)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_numbers_of_killed_processes_stay_and_their_files_do_not_pile_up(tmp_path):
    alive = Series(tmp_path)
    alive.record(COUNT, ("a",))
    for turn in range(1, 4):
        process = FORK.Process(target=_die, args=(tmp_path,))
        process.start()
        process.join()
        assert alive.totals() == totals(tmp_path) == {KEY: 1 + 3 * turn}
    assert len(list(tmp_path.glob("*.db"))) == 1
    alive.close()
    assert totals(tmp_path) == {KEY: 10}
    assert list(tmp_path.glob("*.db")) == []


def test_a_crash_after_putting_together_counts_nothing_twice(tmp_path, monkeypatch):
    Series(tmp_path / "m").close()
    ended = Series(tmp_path)
    ended.record(COUNT, ("a",))
    ended.close()

    def crash(self):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(series.Path, "unlink", crash)
        with pytest.raises(MemoryError):
            totals(tmp_path)
    assert len(list(tmp_path.glob("*.db"))) == 1
    assert totals(tmp_path) == totals(tmp_path) == {KEY: 1}
    assert list(tmp_path.glob("*.db")) == []


def test_a_file_without_a_beginning_has_no_numbers(tmp_path):
    (tmp_path / "a.db").touch()
    assert totals(tmp_path) == {}


# -- of a gateway -------------------------------------------------------------------------------------


def test_plugins_of_one_gateway_share_their_series():
    runtime = Runtime()
    assert series_of(runtime) is series_of(runtime)
    assert series_of(runtime) is not series_of(Runtime())


def test_a_forked_process_and_one_that_starts_again_have_new_ones():
    runtime = Runtime()
    first = series_of(runtime)
    runtime.close()
    second = series_of(runtime)
    assert second is not first
    runtime.after_fork()
    assert series_of(runtime) is not second


def test_the_folder_is_the_given_one_or_that_of_prometheus_client(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "b"))
    assert series._folder(str(tmp_path / "a"), False) == tmp_path / "a/plugmw"
    assert series._folder(None, False) == tmp_path / "b/plugmw"


def test_several_workers_share_a_private_folder_and_those_of_dead_servers_go(tmp_path, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setattr(series, "private_folder", lambda: tmp_path)
    dead = tmp_path / f"metrics-{2**22 + 1}-0-{series._namespace()}"
    other = tmp_path / series._server(os.getpid())
    for folder in (dead, other):
        folder.mkdir()
    found = series._folder(None, True)
    assert (found.parent, found.name) == (tmp_path, series._server(os.getppid()))
    assert (dead.exists(), other.exists()) == (False, True)
    assert series._folder(None, False) is None
