"""An HTTP server on loopback that answers as it is told and keeps what it was asked, byte for byte.

with stub(lambda asked: Told(200, [("X", "y")], b"body")) as server:
    ...                                   # ask 127.0.0.1:server.port
    assert server.asked[0].target == "/a"
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs


@attrs.frozen
class Asked:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        """Return a header of this request; it may come only once."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, found
        return found[0] if found else None


@attrs.frozen
class Told:
    """An answer. ``length`` overrides what Content-Length says; a body cut short ends the connection."""

    status: int = 200
    headers: list[tuple[str, str]] = attrs.field(factory=list)
    body: bytes = b""
    length: int | None = None


class Stub:
    def __init__(self, answer: Callable[[Asked], Told | None], tls: ssl.SSLContext | None) -> None:
        self.asked: list[Asked] = []
        self.over = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = self.chunks()
                asked = Asked(self.command, self.path, list(self.headers.items()), body)
                stub.asked.append(asked)
                told = answer(asked)
                if told is None:
                    stub.over.wait(30)
                    self.close_connection = True
                    return
                head = f"HTTP/1.1 {told.status} X\r\n"
                head += "".join(f"{name}: {value}\r\n" for name, value in told.headers)
                if told.status not in (204, 304) and told.status >= 200:
                    head += f"Content-Length: {len(told.body) if told.length is None else told.length}\r\n"
                self.wfile.write(head.encode("latin-1") + b"\r\n")
                self.wfile.write(b"" if self.command == "HEAD" else told.body)
                self.close_connection = told.length is not None

            def chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self.do
                raise AttributeError(name)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = int(self.server.server_address[1])


@contextmanager
def stub(answer: Callable[[Asked], Told | None], tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    made = Stub(answer, tls)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        made.server.shutdown()
        thread.join()
        made.server.server_close()
