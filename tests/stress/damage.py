"""The files of a store are cut, overwritten, removed and replaced while everybody counts in them.

Every request is answered, the process lives, and as soon as nobody damages them any more counts are exact.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plugmw import Gateway, Plugin
from plugmw.contrib.rate_limiting import RateLimiting
from plugmw.errors import StoreError
from tests.stress.running import Stress
from tests.support.waiting import until
from tests.support.wsgi import environ_of, serve

#: Counts of each when it is quiet again.
EXACT = 20


class Keeps(Plugin):
    """Keeps values, as long as that can be done."""

    name, priority = "keeps", 10

    def access(self, x: Any) -> None:
        try:
            self.runtime.store.set(x.environ["HTTP_X_WHO"], b"1", 60)
        except StoreError:
            pass


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["HTTP_X_WHO"].encode()]


def overwrite(path: Path, at: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(random.randbytes(size))


def replace(path: Path) -> None:
    new = path.with_suffix(".new")
    new.touch(0o600)
    os.replace(new, path)


DAMAGE: tuple[Callable[[Path], object], ...] = (
    lambda path: os.truncate(path, 0),
    lambda path: os.truncate(path, 5000),
    lambda path: path.unlink(),
    lambda path: overwrite(path, 0, 4096),
    lambda path: overwrite(path, 4096, 3 * 5120),
    replace,
    lambda path: path.with_name("counters.db").unlink(),
    lambda path: overwrite(path.with_name("counters.db"), 0, 8192),
)


def prepare() -> None:
    """Open nothing."""


def stress(stress: Stress) -> None:
    path = stress.folder / "counters"
    gateway = Gateway(
        app, {"store": f"{path.as_uri()}?slots=1024"}, plugins=[RateLimiting(year=10**9), Keeps()]
    )
    done = threading.Event()

    def one(number: int) -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            who = f"{number}-{turn}"
            got = serve(gateway, environ_of("/", HTTP_X_WHO=who, REMOTE_ADDR=f"10.0.{number}.{turn % 250}"))
            seen = (got.status, got.body, got.raised)
            stress.note(None if seen == ("200 OK", who.encode(), None) else f"{who}: {seen}", asked=1)

    with stress.crowd(one):
        until(lambda: path.exists() and path.with_name("counters.db").exists())
        store = gateway.runtime.store
        for turn in range(stress.turns):
            try:
                DAMAGE[turn % len(DAMAGE)](path)
            except FileNotFoundError:
                continue  # the new one is not there yet
            # It is mended by whoever counts next, and this one counts on.
            until(lambda turn=turn: counts(store, f"probe-{turn}"), what=f"damage {turn} is not mended")
        done.set()

    def exactly(number: int) -> None:
        for turn in range(EXACT):
            store.incr("exact")
            store.set(f"{number}-{turn}", b"v", 60)

    until(lambda: counts(store, "quiet"))
    with stress.crowd(exactly):
        pass
    stress.expect("counted", store.count("exact"), EXACT * stress.size)
    values = [store.get(f"{number}-{turn}") for number in range(stress.size) for turn in range(EXACT)]
    stress.expect("values", set(values), {b"v"})
    gateway.stop()


def counts(store: Any, key: str) -> bool:
    """Say whether a counter and a value are kept."""
    try:
        before = store.incr(key)
        store.set(key, b"%d" % before, 60)
        return bool(store.incr(key) == before + 1 and store.get(key) == b"%d" % before)
    except StoreError:
        return False
