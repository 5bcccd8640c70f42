"""What a gateway lends its plugins."""

from __future__ import annotations

import threading

from plugmw.kernel.runtime import NoLogger, Runtime
from plugmw.stores import open_store


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
