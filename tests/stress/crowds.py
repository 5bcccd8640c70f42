"""Many ask three gateways that were given the same plugin objects, and count in one file.

Each gateway knows its own consumers only; each count is a number of its own, so none is lost or told twice;
each request is logged once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from plugmw import Gateway, Plugin
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.rate_limiting import RateLimiting
from plugmw.stores import open_store
from tests.stress.running import Stress, pause
from tests.support.wsgi import environ_of, serve

GATEWAYS = 3
PEOPLE = 4
LIMIT = 10**9


class Mark(Plugin):
    """Carries the request's own name through all its phases, and counts it in the store."""

    name, priority = "stress-mark", 10

    def access(self, x: Any) -> None:
        x.ctx["who"] = x.environ["HTTP_X_WHO"]
        self.runtime.store.incr("all")
        pause()

    def header_filter(self, x: Any) -> None:
        pause()
        x.set_header("X-Seen", x.ctx.get("who", ""))

    def body_filter(self, x: Any, chunk: bytes, eof: bool) -> bytes:
        pause()
        return chunk + (x.ctx.get("who", "").encode() if eof else b"")

    def log(self, x: Any) -> None:
        if "who" in x.ctx:  # else it was refused
            LOGGED.append(x.ctx["who"])


LOGGED: list[str] = []


def app(environ: Any, start_response: Any) -> Any:
    pause()
    start_response(
        "200 OK", [("Content-Type", "text/plain"), ("X-User", environ["HTTP_X_CONSUMER_USERNAME"])]
    )
    for _ in range(3):
        yield b"."
        pause()


def prepare() -> None:
    """Open nothing."""


def stress(stress: Stress) -> None:
    url = (stress.folder / "counters").as_uri()
    auth, limiting, mark = KeyAuth(), RateLimiting(year=LIMIT), Mark()
    gateways = []
    for number in range(GATEWAYS):
        people = [
            {"username": f"{number}-{n}", "keyauth_credentials": [{"key": f"key {number}-{n}"}]}
            for n in range(PEOPLE)
        ]
        gateways.append(Gateway(app, {"store": url}, plugins=[auth, limiting, mark], consumers=people))
    left: dict[str, list[int]] = defaultdict(list)

    def one(number: int) -> None:
        for turn in range(stress.turns):
            which, who = (number + turn) % GATEWAYS, f"{number}-{turn}"
            person = f"{which}-{turn % PEOPLE}"
            got = serve(gateways[which], environ_of("/", HTTP_X_WHO=who, HTTP_APIKEY=f"key {person}"))
            expected = ("200 OK", who, person, b"..." + who.encode())
            seen = (got.status, got.header("X-Seen"), got.header("X-User"), got.body)
            stress.note(None if seen == expected else f"{who}: {seen}", asked=1)
            left[person].append(int(got.header("X-RateLimit-Remaining-Year") or -1))
            other = serve(gateways[which - 1], environ_of("/", HTTP_X_WHO=who, HTTP_APIKEY=f"key {person}"))
            stress.expect(f"{who} at another gateway", other.status, "401 Unauthorized")

    with stress.crowd(one):
        pass
    asked = stress.outcome.asked
    for person, numbers in left.items():
        stress.expect(f"counts of {person}", sorted(numbers), [LIMIT - n for n in range(len(numbers), 0, -1)])
    stress.expect("logged", Counter(Counter(LOGGED).values()), Counter({1: asked}))
    for gateway in gateways:
        gateway.stop()
    store = open_store(url)
    stress.expect("counted", store.count("all"), asked)
    store.close()
