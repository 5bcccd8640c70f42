"""What is soaked: a gateway with plugins in all phases and bundled ones, round an app that does all sorts.

Served by gunicorn as ``tests.soak.served:app``; its ledger and its log are in the folder in which it runs.
A request says by its path what the app does, and by ``X-Soak-Do`` what a plugin does: ``exit-access``,
``fail-body``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plugmw import Entry, Gateway, Plugin
from tests.soak.kinds import FILE, KEY, LIMIT, ORIGIN, lines
from tests.soak.ledger import Ledger

# Many requests fail on purpose. What the master says of its workers is said elsewhere.
logging.disable()
ledger = Ledger(Path.cwd())
_file = Path.cwd() / "file.bin"
_file.write_bytes(FILE)


class Oops(Exception):
    """Raised on purpose."""


def asked(environ: dict[str, Any]) -> str:
    return str(environ.get("HTTP_X_SOAK", ""))


# -- the app ---------------------------------------------------------------------------------------------


class Closing:
    """An iterable whose close is counted."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        ledger.count("begun")

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        ledger.count("closed")


def service(environ: Any, start_response: Any) -> Any:
    """Do what the last part of the path says."""
    what = environ["PATH_INFO"].rpartition("/")[2]
    return _DOES[what](environ, start_response)


def _list(environ: Any, start_response: Any) -> Any:
    body = b"".join(lines(asked(environ), 3))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _stream(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing(lines(asked(environ), 20))


def _late(environ: Any, start_response: Any) -> Any:
    def chunks() -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield from lines(asked(environ), 5)

    return Closing(chunks())


def _write(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    for chunk in lines(asked(environ), 3):
        write(chunk)
    return []


def _send_file(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "application/x-bin"), ("Content-Length", str(len(FILE)))])
    return environ["wsgi.file_wrapper"](_file.open("rb"))


def _echo(environ: Any, start_response: Any) -> Any:
    read, parts = environ["wsgi.input"].read, []
    while part := read(4096):
        parts.append(part)
    start_response("200 OK", [("Content-Type", environ.get("CONTENT_TYPE") or "text/plain")])
    return Closing(parts)


def _error(environ: Any, start_response: Any) -> Any:
    raise Oops


def _half(environ: Any, start_response: Any) -> Any:
    def chunks() -> Iterator[bytes]:
        yield from lines(asked(environ), 2)
        raise Oops

    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing(chunks())


def _empty(status: str) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [])
        return Closing([])

    return app


_DOES = {
    "list": _list,
    "stream": _stream,
    "late": _late,
    "write": _write,
    "file": _send_file,
    "echo": _echo,
    "error": _error,
    "half": _half,
    "204": _empty("204 No Content"),
    "304": _empty("304 Not Modified"),
}


# -- the gateway -----------------------------------------------------------------------------------------


class Mark(Plugin):
    """Says on every answer whose it is, from the context; counts in log; exits and fails when told to."""

    name, priority = "soak-mark", 200000

    def init_worker(self) -> None:
        self.started = True

    def rewrite(self, x: Any) -> None:
        x.ctx["who"] = asked(x.environ)
        do(x, "rewrite")

    def access(self, x: Any) -> None:
        do(x, "access")

    def header_filter(self, x: Any) -> None:
        x.set_header("X-Soak-Seen", x.ctx["who"])
        do(x, "header")

    def log(self, x: Any) -> None:
        ledger.log(x.environ["soak.number"])
        assert self.started


class Tail(Plugin):
    """Appends to every body whose it is."""

    name = "soak-tail"

    def body_filter(self, x: Any, chunk: bytes, eof: bool) -> bytes:
        do(x, "tail" if eof else "body")
        return chunk + (f"for {x.ctx['who']}".encode() if eof else b"")


class Last(Plugin):
    """Fails in log, the last of all."""

    name, priority = "soak-last", -100000

    def log(self, x: Any) -> None:
        do(x, "log")


class Whole(Plugin):
    """Wants answers whole."""

    name = "soak-whole"

    def response(self, x: Any) -> None:
        x.set_header("X-Soak-Whole", "1")


class Wrapping(Plugin):
    """A middleware that passes everything on."""

    name = "soak-wrap"

    def wrap(self, app: Any) -> Any:
        return lambda environ, start_response: app(environ, start_response)


def do(x: Any, phase: str) -> None:
    """Exit or fail in ``phase`` if the request says so."""
    told = x.environ.get("HTTP_X_SOAK_DO")
    if told == f"exit-{phase}":
        x.exit(403, f"no {x.ctx['who']}")
    if told == f"fail-{phase}":
        raise Oops


CONFIG: dict[str, Any] = {
    "store": f"file://{Path.cwd() / 'store'}",
    "consumers": [{"username": "alice", "keyauth_credentials": [{"key": KEY}]}],
    "routes": [
        {"name": name, "paths": [f"/{name}/"]}
        for name in ("plain", "filtered", "whole", "wrapped", "secret", "changed")
    ],
    "plugins": [
        {"name": "ip-restriction", "config": {"allow": ["127.0.0.0/8"]}},
        {"name": "bot-detection"},
        {"name": "cors", "config": {"origins": [ORIGIN]}},
        {"name": "key-auth", "route": "secret"},
        {"name": "request-size-limiting", "config": {"allowed_payload_size": LIMIT, "size_unit": "bytes"}},
        {"name": "rate-limiting", "config": {"hour": 10**9, "limit_by": "ip"}},
        {"name": "request-transformer", "route": "changed", "config": {"add": {"body": ["soak:1"]}}},
        {"name": "response-transformer", "config": {"add": {"headers": ["X-Served-By:plugmw"]}}},
        {"name": "prometheus", "config": {"status_code_metrics": True}},
        {"name": "file-log", "config": {"path": str(Path.cwd() / "file.log")}},
        {"name": "correlation-id", "config": {"echo_downstream": True}},
    ],
}
gateway = Gateway(
    service,
    CONFIG,
    plugins=[
        Mark(),
        Last(),
        Entry(Tail(), route="filtered"),
        Entry(Whole(), route="whole"),
        Entry(Wrapping(), route="wrapped"),
    ],
)


def app(environ: Any, start_response: Any) -> Any:
    """Count the request, and hand it to the gateway."""
    environ["soak.number"] = ledger.reach()
    return gateway(environ, start_response)
