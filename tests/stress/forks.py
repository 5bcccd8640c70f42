"""A process that is busy in all its threads forks: its children serve, count and keep values with it."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

from plugmw import Gateway, Plugin
from plugmw.contrib.key_auth import KeyAuth
from plugmw.stores import open_store
from tests.stress.running import Stress
from tests.support.wsgi import environ_of, serve

#: Requests of each child.
EACH = 5
#: Seconds after which a child is taken to hang.
PATIENCE = 30.0


class Keeps(Plugin):
    """Counts, and keeps a value for each who asks."""

    name, priority = "keeps", 10

    def access(self, x: Any) -> None:
        store, who = self.runtime.store, x.environ["HTTP_X_WHO"]
        store.set(who, who.encode(), 60)
        store.incr("all")
        value = store.get(who)
        x.set_header("X-Kept", (value or b"").decode())


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["HTTP_X_CONSUMER_USERNAME"].encode()]


def prepare() -> None:
    """Open nothing."""


def stress(stress: Stress) -> None:
    url = (stress.folder / "counters").as_uri() + "?slots=1024"
    people = stress.folder / "people.db"
    from plugmw.auth.directories import open_directory

    directory = open_directory(f"sqlite://{people}")
    directory.add({"username": "ann", "keyauth_credentials": [{"key": "k"}]})
    directory.close()
    config = {"store": url, "consumer_store": f"sqlite://{people}"}
    gateway = Gateway(app, config, plugins=[KeyAuth(), Keeps()])
    done = threading.Event()

    def ask(who: str) -> str | None:
        got = serve(gateway, environ_of("/", HTTP_X_WHO=who, HTTP_APIKEY="k"))
        seen = (got.status, got.header("X-Kept"), got.body)
        return None if seen == ("200 OK", who, b"ann") else f"{who}: {seen} {got.raised!r}"

    def one(number: int) -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            stress.note(ask(f"{number}-{turn}"), asked=1)
            time.sleep(0.001)

    def child(number: int) -> None:
        status = 1
        try:
            problems = [ask(f"child-{number}-{turn}") for turn in range(EACH)]
            status = 0 if problems == [None] * EACH else 2
        finally:
            os._exit(status)

    with stress.crowd(one):
        for number in range(stress.turns):
            pid = os.fork()
            if not pid:
                child(number)
            stress.expect(f"child {number}", ended(pid), 0)
        done.set()
    gateway.stop()
    store = open_store(url)
    stress.expect("counted", store.count("all"), stress.outcome.asked + stress.turns * EACH)
    store.close()


def ended(pid: int) -> object:
    """Wait for a child; return its status, or that it hangs."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"
