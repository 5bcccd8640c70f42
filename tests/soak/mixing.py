"""Many threads, or many greenlets, ask one gateway in one process: no answer may hold anything of another's.

outcome = mixed("greenlets", turns=20)   # in a process of its own
outcome.asked, outcome.wrong
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from tests.support.servers import ROOT

#: How many of each ask at once.
CROWD = {"threads": 32, "greenlets": 200}
#: Seconds between two switches of threads, where Python allows itself 0.005.
SWITCH = 1e-6
#: Seconds for all of it.
PATIENCE = 3600.0
#: What is told of answers that are not what they should be.
TOLD = 5
PEOPLE = 8


@attrs.define
class Outcome:
    """How many requests there were, and what was wrong with some."""

    asked: int = 0
    wrong: list[str] = attrs.Factory(list)


def mixed(kind: str, turns: int, seconds: float = PATIENCE, careless: bool = False) -> Outcome:
    """Let a crowd ask ``turns`` times each; ``careless`` adds a plugin that keeps a request on itself."""
    command = [
        sys.executable,
        "-m",
        "tests.soak.mixing",
        kind,
        str(turns),
        *(["careless"] if careless else []),
    ]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, timeout=seconds, check=True)
    return Outcome(**json.loads(done.stdout))


# -- in the process --------------------------------------------------------------------------------------


def gateway(logged: Counter[str], careless: bool) -> Any:
    """Return the gateway that everybody asks."""
    from plugmw import Gateway, Plugin

    def service(environ: Any, start_response: Any) -> Iterator[bytes]:
        who = environ["HTTP_X_SOAK"]
        pause()
        told = [
            ("Content-Type", "text/plain"),
            ("X-App", who),
            ("X-User", environ["HTTP_X_CONSUMER_USERNAME"]),
        ]
        start_response("200 OK", [*told, ("X-Added", environ["HTTP_X_ADDED"])])
        for number in range(3):
            yield f"{who}:{number}\n".encode()
            pause()

    class Mark(Plugin):
        name, priority = "soak-mark", 3000

        def rewrite(self, x: Any) -> None:
            x.ctx["who"] = x.environ["HTTP_X_SOAK"]
            pause()

        def access(self, x: Any) -> None:
            x.add_header("X-Early", x.ctx["who"])
            pause()

        def header_filter(self, x: Any) -> None:
            pause()
            x.set_header("X-Soak-Seen", x.ctx["who"])

        def body_filter(self, x: Any, chunk: bytes, eof: bool) -> bytes:
            pause()
            return chunk + (f"for {x.ctx['who']}".encode() if eof else b"")

        def log(self, x: Any) -> None:
            assert x.ctx["who"] == x.environ["HTTP_X_SOAK"] == x.response_header("X-Soak-Seen")
            logged[x.ctx["who"]] += 1

    class Careless(Plugin):
        name = "soak-careless"

        def access(self, x: Any) -> None:
            self.who = x.ctx["who"]
            pause()

        def header_filter(self, x: Any) -> None:
            x.set_header("X-Soak-Seen", self.who)

    config = {
        "store": "memory://",
        "consumers": [
            {"username": f"user-{n}", "keyauth_credentials": [{"key": f"key-{n}"}]} for n in range(PEOPLE)
        ],
        "routes": [{"name": f"route-{n}", "paths": [f"/{n}/"]} for n in range(PEOPLE)],
        "plugins": [
            {"name": "key-auth"},
            {"name": "cors", "config": {"origins": [f"https://{n}.example" for n in range(PEOPLE)]}},
            {"name": "rate-limiting", "config": {"hour": 10**9}},
            {"name": "request-transformer", "config": {"add": {"headers": ["X-Added:$(headers.x_soak)"]}}},
            {"name": "correlation-id", "config": {"echo_downstream": True}},
        ],
    }
    return Gateway(service, config, plugins=[Mark(), *([Careless()] if careless else [])])


def pause() -> None:
    """Let others run."""
    time.sleep(0)


def ask(app: Any, who: str, person: int, leaves: bool) -> str:
    """Send one request; return what is wrong with its answer, ``""`` if nothing is."""
    from tests.support.wsgi import environ_of, serve

    origin = f"https://{person}.example"
    sent = {"HTTP_X_SOAK": who, "HTTP_APIKEY": f"key-{person}", "HTTP_ORIGIN": origin}
    environ = environ_of(f"/{person}/page", **sent, HTTP_X_CORRELATION_ID=f"id-{who}")
    got = serve(app, environ, stop_after=1 if leaves else None)
    wanted = {
        "X-App": who,
        "X-Early": who,
        "X-Soak-Seen": who,
        "X-Added": who,
        "X-User": f"user-{person}",
        "X-Correlation-ID": f"id-{who}",
        "Access-Control-Allow-Origin": origin,
    }
    found = {name: got.header(name) for name in wanted}
    if got.raised or got.status != "200 OK" or found != wanted:
        return f"{who}: {got.raised!r}, {got.status}, {found}"
    body = b"".join(f"{who}:{number}\n".encode() for number in range(1 if leaves else 3))
    body += b"" if leaves else f"for {who}".encode()
    return "" if got.body == body else f"{who}: {got.body!r} for {body!r}"


def crowd(kind: str, turns: int, careless: bool) -> Outcome:
    """Ask from all sides at once."""
    import threading

    logged: Counter[str] = Counter()
    app, outcome, lock = gateway(logged, careless), Outcome(), threading.Lock()
    together = threading.Barrier(CROWD[kind])

    def one(number: int) -> None:
        together.wait()
        for turn in range(turns):
            problem = ask(app, f"{number}-{turn}", (number + turn) % PEOPLE, turn % 5 == 4)
            with lock:
                outcome.asked += 1
                if problem and len(outcome.wrong) < TOLD:
                    outcome.wrong.append(problem)

    run_all(one, CROWD[kind])
    if (len(logged), set(logged.values())) != (outcome.asked, {1}):
        outcome.wrong.append(f"{outcome.asked} asked, logged {len(logged)}: {logged.most_common(TOLD)}")
    return outcome


def run_all(work: Callable[[int], None], count: int) -> None:
    """Run ``work`` in so many threads, which are greenlets if gevent has replaced them."""
    import threading

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    logging.disable()
    if sys.argv[1] == "greenlets":
        from gevent import monkey

        monkey.patch_all()
    else:
        sys.setswitchinterval(SWITCH)
    print(json.dumps(attrs.asdict(crowd(sys.argv[1], int(sys.argv[2]), "careless" in sys.argv))))
