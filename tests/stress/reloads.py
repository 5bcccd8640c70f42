"""A configuration is put in force and rolled back again and again, with streams open.

Each request counts in the store of the configuration it began with; none is lost. No plugin is used before it
has started or after it was closed, and in the end each was closed once.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from plugmw import Gateway, Plugin
from plugmw.stores import open_store
from tests.stress.running import Stress, pause
from tests.support.waiting import until
from tests.support.wsgi import environ_of, serve

#: Chunks of a stream: many reloads long.
CHUNKS = 40
#: The life of every plugin object: "open", then "closed".
LIVES: dict[int, tuple[Any, str]] = {}
WRONG: list[str] = []


class Lively(Plugin):
    """Tells when it is used out of its life."""

    name, priority = "lively", 10

    def init_worker(self) -> None:
        LIVES[id(self)] = self, "open"
        self.runtime.store.incr("started")

    def close(self) -> None:
        self._check("close")
        LIVES[id(self)] = self, "closed"

    def access(self, x: Any) -> None:
        self._check("access")
        x.ctx["mark"] = x.environ["HTTP_X_WHO"]
        self.runtime.store.incr("all")

    def body_filter(self, x: Any, chunk: bytes, eof: bool) -> bytes:
        self._check("body_filter")
        return chunk + (x.ctx["mark"].encode() if eof else b"")

    def log(self, x: Any) -> None:
        self._check("log")
        self.runtime.store.incr("logged")

    def _check(self, phase: str) -> None:
        life = LIVES.get(id(self), (None, "not started"))[1]
        if life != "open":
            WRONG.append(f"{phase} of a plugin that is {life}")


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(CHUNKS if environ["PATH_INFO"] == "/stream" else 1):
        yield b"."
        pause()


def prepare() -> None:
    """Open nothing."""


def stress(stress: Stress) -> None:
    path = stress.folder / "gateway.json"
    urls = [(stress.folder / name).as_uri() + "?slots=1024" for name in "ab"]

    def write(turn: int) -> None:
        path.write_text(
            json.dumps({"store": urls[turn % 2], "plugins": [{"name": "cors"}] * (turn % 3 == 1)})
        )

    write(0)
    gateway = Gateway(app, path, plugins=[Lively()], reload=False)
    done = threading.Event()

    def one(number: int) -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            who, kind = f"{number}-{turn}", number % 4
            leaves = kind == 3 and turn % 2 == 0
            path = "/stream" if kind in (2, 3) else "/"
            got = serve(gateway, environ_of(path, HTTP_X_WHO=who), stop_after=2 if leaves else None)
            chunks = CHUNKS if path == "/stream" else 1
            wanted = b".." if leaves else b"." * chunks + who.encode()
            seen = (got.status, got.body, got.raised)
            stress.note(None if seen == ("200 OK", wanted, None) else f"{who}: {seen}", asked=1)

    with stress.crowd(one):
        for turn in range(1, stress.turns + 1):
            before = stress.outcome.asked
            until(lambda before=before: stress.outcome.asked > before or stress.outcome.wrong)
            write(turn)
            stress.expect(f"reload {turn}", gateway.reload(), True)
        done.set()
    until(lambda: not len(gateway._draining or ()), what="old configurations are not closed")
    gateway.stop()
    for problem in WRONG:
        stress.note(problem)
    stress.expect("lives", {life for _, life in LIVES.values()}, {"closed"})
    stress.expect("objects", len(LIVES), stress.turns + 1)
    totals = {"all": 0, "logged": 0}
    for url in urls:
        store = open_store(url)
        for key in totals:
            totals[key] += store.count(key)
        store.close()
    stress.expect("counted", totals, dict.fromkeys(totals, stress.outcome.asked))
