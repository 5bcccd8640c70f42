"""What every store promises, run for each of them, with servers and processes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from plugmw.stores import Store
from tests.unit.stores.test_contract import *  # noqa: F403 (what every store promises, for Redis)

PROCESS = """
import sys
from threading import Thread
from plugmw.stores import open_store
store = open_store(sys.argv[1], timeout=10)
taken = []
def work():
    for n in range(100):
        store.incr("exact")
        taken.append(store.take([("s", 500, 600.0), (f"k{n % 5}", 10**6, 600.0)])[0])
print("ready", flush=True)
sys.stdin.readline()
threads = [Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
print(taken.count(True))
"""


@pytest.mark.parametrize("kind", ["file", "redis"], indirect=True)
def test_four_processes_of_eight_threads_count_exactly(
    store: Store, store_url: str, python: Callable[..., subprocess.Popen[str]]
) -> None:
    processes = [python(PROCESS, store_url) for _ in range(4)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    outs = [start_and_end(process) for process in let_go(processes)]
    assert store.count("exact") == 4 * 8 * 100
    assert sum(outs) == 500
    assert store.count("s") == sum(store.count(f"k{n}") for n in range(5)) == 500


def let_go(processes: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def start_and_end(process: subprocess.Popen[str]) -> int:
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    return int(out)
