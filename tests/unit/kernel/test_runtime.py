"""What a gateway lends its plugins."""

from __future__ import annotations

import threading

import pytest

from plugmw.kernel.runtime import NoLogger, Runtime
from plugmw.stores import open_store
from plugmw.stores.memory import MemoryStore


def test_the_store_is_opened_once_and_closed_with_the_runtime():
    runtime = Runtime(store_url="memory://")
    store = runtime.store
    assert runtime.store is store
    runtime.close()
    assert runtime.store is not store
    runtime.close()
    runtime.close()


def test_a_store_object_is_lent_and_not_closed():
    class Store:
        closed = False

        def close(self):
            self.closed = True

    store = Store()
    runtime = Runtime(store_url=store)
    assert runtime.store is store
    runtime.close()
    assert not store.closed


def test_auto_is_memory_in_a_single_process():
    runtime = Runtime(multiprocess=False)
    assert type(runtime.store) is type(open_store("memory://"))
    runtime.close()


def test_many_threads_open_one_store():
    runtime = Runtime(store_url="memory://")
    barrier, found = threading.Barrier(8), []

    def ask():
        barrier.wait()
        found.append(runtime.store)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_after_a_fork_the_parents_store_is_forgotten():
    runtime = Runtime(store_url="memory://")
    store = runtime.store
    runtime.after_fork()
    assert runtime.store is not store


def test_no_logger_takes_everything():
    logger = NoLogger()
    assert logger.info("x %s", 1, exc_info=True) is None
    assert logger.anything() is None


WARNED = (
    "store: memory:// is in each worker apart, so a limit of 5 lets 5 through for each worker; "
    "`auto` and `file://` are shared by the workers of a machine"
)


@pytest.mark.parametrize(
    ("store", "multiprocess", "lines"),
    [
        ("memory://", True, [WARNED]),
        ("memory://", False, []),
        ("memory://", None, []),
        ("auto", True, []),
        (MemoryStore(), True, []),
    ],
    ids=["several", "one", "unknown", "shared", "an object"],
)
def test_a_store_in_memory_of_several_workers_is_warned_of_once(
    store, multiprocess, lines, caplog, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(3):
        # The other workers of the same server.
        Runtime(store_url=store, multiprocess=multiprocess).warn_of_memory()
    assert [record.getMessage() for record in caplog.records] == lines
