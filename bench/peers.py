"""The variants of the whole-system benchmark, and the proof that each does the work."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.features import KEY, LIMIT, ORIGIN, USERNAME
from bench.servers import Server, ask, free_port, gunicorn, running

CONF = Path(__file__).resolve().parent / "conf"
LIFE = 30  # requests of a proof that two workers surely share


class Site(NamedTuple):
    """A started variant: where to send requests, and every server whose CPU counts."""

    port: int
    servers: tuple[Server, ...]

    def cpu(self) -> float:
        return sum(server.cpu() for server in self.servers)


class Stage(NamedTuple):
    """One worker class and count, with a directory for files."""

    kind: str
    workers: int
    directory: Path

    @property
    def title(self) -> str:
        return f"{self.kind}, {self.workers} worker{'s' * (self.workers > 1)}"


class Peer(NamedTuple):
    """One variant. ``start`` runs it; ``needs`` is a program in PATH; ``lacks`` says what it cannot do."""

    name: str
    start: Callable[[Stage], contextlib.AbstractContextManager[Site]]
    needs: str | None = None
    lacks: tuple[str, ...] = ()
    note: str = ""

    def missing(self) -> str | None:
        """Return why the variant cannot run here."""
        if self.needs and not shutil.which(self.needs):
            return f"no {self.needs} in PATH"
        if self.name == "nginx-lua" and not lua_modules():
            return "nginx has no Lua module (Debian: libnginx-mod-http-lua)"
        if self.name == "plugmw":
            try:
                from plugmw import Gateway  # noqa: F401
            except ImportError as error:
                return str(error)
        return None


def in_process(name: str, app: str) -> Callable[[Stage], contextlib.AbstractContextManager[Site]]:
    """Return a starter of gunicorn alone."""

    @contextlib.contextmanager
    def start(stage: Stage) -> Iterator[Site]:
        place = stage.directory / name
        place.mkdir(exist_ok=True)
        with gunicorn(name, app.replace("DIR", str(place)), stage.kind, stage.workers, place) as server:
            yield Site(server.port, (server,))

    return start


def in_front(
    name: str, file: str, command: Callable[[Path], list[str]]
) -> Callable[[Stage], contextlib.AbstractContextManager[Site]]:
    """Return a starter of a proxy with ``conf/<file>`` before gunicorn with the bare app."""

    @contextlib.contextmanager
    def start(stage: Stage) -> Iterator[Site]:
        place = stage.directory / name
        place.mkdir(exist_ok=True)
        with ExitStack() as stack:
            app = stack.enter_context(
                gunicorn(f"{name}-app", "bench.features:app", stage.kind, stage.workers, place)
            )
            port = free_port()
            words = {"PORT": port, "APP": app.port, "WORKERS": stage.workers, "DIR": place, "CONF": CONF}
            words["MODULES"] = lua_modules() or ""
            text = (CONF / file).read_text()
            (place / file).write_text(re.sub("@([A-Z]+)@", lambda found: str(words[found[1]]), text))
            (place / "usernames").write_text(f"{KEY} {USERNAME}\n")
            (place / "ids").write_text(f"{KEY} c0ffee\n")
            home = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(place))
            proxy = running(name, command(place / file), port, place / "proxy.log", home)
            yield Site(port, (app, stack.enter_context(proxy)))

    return start


def lua_modules() -> str | None:
    """Return nginx's folder of modules if the Lua module is in it."""
    if not shutil.which("nginx"):
        return None
    built = subprocess.run(["nginx", "-V"], capture_output=True, text=True).stderr
    found = re.search(r"--modules-path=(\S+)", built)
    folder = found[1] if found else "modules"
    return folder if (Path(folder) / "ngx_http_lua_module.so").exists() else None


PEERS = {
    peer.name: peer
    for peer in (
        Peer("bare", in_process("bare", "bench.features:app"), lacks=("everything",)),
        Peer("closures", in_process("closures", "bench.features:by_hand('DIR')"), note="by hand, in process"),
        Peer("plugmw", in_process("plugmw", "bench.features:by_plugmw('DIR')"), note="in process"),
        Peer(
            "nginx-lua",
            in_front("nginx-lua", "nginx.conf", lambda file: ["nginx", "-e", "stderr", "-c", str(file)]),
            needs="nginx",
        ),
        Peer(
            "haproxy",
            in_front("haproxy", "haproxy.cfg", lambda file: ["haproxy", "-db", "-f", str(file)]),
            needs="haproxy",
        ),
        Peer(
            "caddy",
            in_front(
                "caddy",
                "Caddyfile",
                lambda file: ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)],
            ),
            needs="caddy",
            lacks=("rate-limiting", "key in the query"),
            note="random UUID for each request",
        ),
    )
}


def prove(peer: Peer, site: Site) -> None:
    """Raise unless the variant does each of the five features that it does not lack."""
    if peer.name == "bare":
        check(peer, "answer", ask(site.port).body, b"ok")
        return
    refused = ask(site.port, Origin=ORIGIN)
    check(peer, "status without a key", refused.status, 401)
    check(peer, "WWW-Authenticate", refused.headers["WWW-Authenticate"], "Key")
    check(peer, "CORS header of a refusal", refused.headers["Access-Control-Allow-Origin"], ORIGIN)
    check(peer, "status with a wrong key", ask(site.port, apikey="wrong").status, 401)
    if "key in the query" not in peer.lacks:
        check(peer, "status with the key in the query", ask(site.port, f"/?apikey={KEY}").status, 200)
    preflight = ask(site.port, "/", "OPTIONS", Origin=ORIGIN, Access_Control_Request_Method="PUT")
    check(peer, "status of a preflight", preflight.status, 200)
    check(peer, "PUT in the preflight", "PUT" in preflight.headers["Access-Control-Allow-Methods"], True)
    check(peer, "body of a preflight", preflight.body, b"")
    prove_answer(peer, site)
    prove_arrival(peer, site)
    if "rate-limiting" not in peer.lacks:
        prove_count(peer, site)


def prove_answer(peer: Peer, site: Site) -> None:
    """Look at a good answer, as the load asks for it."""
    replies = [ask(site.port, apikey=KEY, Origin=ORIGIN) for _ in range(2)]
    for reply in replies:
        check(peer, "status", reply.status, 200)
        check(peer, "body", reply.body, b"ok")
        check(peer, "CORS header", reply.headers["Access-Control-Allow-Origin"], ORIGIN)
        check(peer, "Vary", reply.headers["Vary"], "Origin")
        check(peer, "X-Bench", reply.headers["X-Bench"], "1")
    names = {reply.headers["X-Correlation-ID"] for reply in replies}
    check(peer, "two different correlation ids", (len(names), None in names), (2, False))
    kept = ask(site.port, apikey=KEY, X_Correlation_ID="mine")
    check(peer, "correlation id of the client", kept.headers["X-Correlation-ID"], "mine")


def prove_arrival(peer: Peer, site: Site) -> None:
    """Look at what the app gets: an identity, not the one the client claims."""
    forged = {"X_Consumer_Username": "root", "X_Consumer_ID": "0", "X_Anonymous_Consumer": "true"}
    reply = ask(site.port, "/seen", apikey=KEY, **forged)
    seen = json.loads(reply.body)
    check(peer, "consumer", seen["HTTP_X_CONSUMER_USERNAME"], USERNAME)
    check(peer, "forged id gone", seen["HTTP_X_CONSUMER_ID"] not in ("", "0", None), True)
    check(peer, "forged anonymous gone", seen["HTTP_X_ANONYMOUS_CONSUMER"], None)
    check(peer, "correlation id", seen["HTTP_X_CORRELATION_ID"], reply.headers["X-Correlation-ID"])


def remaining(site: Site) -> tuple[int, int]:
    """Make one request; return what is left of the limit, and the seconds until it starts anew."""
    headers = ask(site.port, apikey=KEY).headers
    for name in ("X-RateLimit-Limit-Minute", "RateLimit-Limit"):
        if headers[name] != str(LIMIT):
            raise AssertionError(f"{name}: got {headers[name]!r}, expected {LIMIT}")
    if headers["X-RateLimit-Remaining-Minute"] != headers["RateLimit-Remaining"]:
        raise AssertionError(f"two counts: {headers.items()}")
    return int(headers["RateLimit-Remaining"]), int(headers["RateLimit-Reset"])


def prove_count(peer: Peer, site: Site) -> None:
    """Count requests to one number over all workers; tried again when the minute turns meanwhile."""
    for _ in range(3):
        counts = [remaining(site) for _ in range(LIFE)]
        if counts[0][1] >= counts[-1][1]:
            break
    found = [left for left, _ in counts]
    check(peer, "one count over all workers", found, list(range(found[0], found[0] - LIFE, -1)))


def check(peer: Peer, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{peer.name}: {what}: got {found!r}, expected {expected!r}")
