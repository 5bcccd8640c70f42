"""An app that streams, behind plugins that must not keep what they see: ``tests.soak.large:app``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plugmw import Gateway, Plugin
from tests.soak.kinds import CHUNK


def service(environ: Any, start_response: Any) -> Any:
    """GET ``?<bytes>`` streams that many; POST reads the body in chunks and answers with its length."""
    head = [("Content-Type", "text/plain")]
    if environ["REQUEST_METHOD"] == "POST":
        size = 0
        while chunk := environ["wsgi.input"].read(CHUNK):
            size += len(chunk)
        body = str(size).encode()
        start_response("200 OK", [*head, ("Content-Length", str(len(body)))])
        return [body]
    start_response("200 OK", head)
    return _stream(int(environ["QUERY_STRING"]))


def _stream(size: int) -> Iterator[bytes]:
    block = bytes(CHUNK)
    for _ in range(size // CHUNK):
        yield block[:-1] + b"\n"  # a new object each time, as a real app makes


class Every(Plugin):
    """Has every phase of a request that does not ask for a body whole."""

    name = "soak-every"

    def rewrite(self, x: Any) -> None:
        x.ctx["seen"] = 0

    def access(self, x: Any) -> None:
        x.add_header("X-Early", "1")

    def header_filter(self, x: Any) -> None:
        x.set_header("X-Soak-Seen", "1")

    def body_filter(self, x: Any, chunk: bytes, eof: bool) -> bytes:
        x.ctx["seen"] += len(chunk)
        return chunk

    def log(self, x: Any) -> None:
        assert x.ctx["seen"] >= 0


CONFIG: dict[str, Any] = {
    "store": "memory://",
    "plugins": [
        {"name": "cors"},
        {"name": "request-size-limiting", "config": {"allowed_payload_size": 1 << 20, "streaming": True}},
        {"name": "rate-limiting", "config": {"hour": 10**9}},
        {"name": "request-transformer", "config": {"add": {"headers": ["X-A:1"], "body": ["a:1"]}}},
        {"name": "response-transformer", "config": {"add": {"headers": ["X-B:1"], "json": ["a:1"]}}},
        {"name": "prometheus"},
        {"name": "file-log", "config": {"path": str(Path.cwd() / "file.log")}},
        {"name": "correlation-id"},
    ],
}
app = Gateway(service, CONFIG, plugins=[Every()])
