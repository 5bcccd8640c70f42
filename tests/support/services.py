"""HTTP services made of one bare socket: what they are sent is kept, what they answer is scripted.

with Service(answer(b"hello")) as service:
    ...
    service.requests[0]     # b"GET / HTTP/1.1\\r\\nHost: ..."
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

#: Handles one connection: reads requests, sends answers, closes by returning.
Script = Callable[["Connection"], None]


def answer(body: bytes = b"", status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    """Return the bytes of an answer; ``headers`` are whole lines."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Connection:
    """One connection of a client."""

    def __init__(self, sock: socket.socket, service: Service) -> None:
        self.sock = sock
        self.service = service
        self._read = b""

    def request(self) -> bytes:
        """Read one request with its body; ``b""`` when the client has closed."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                return b""
        head, _, rest = self._read.partition(b"\r\n\r\n")
        lower = head.lower()
        self._read = rest
        if b"transfer-encoding: chunked" in lower:
            while not self._read.endswith(b"0\r\n\r\n"):
                self._more()
            body, self._read = self._read, b""
        else:
            length = 0
            for line in lower.split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            while len(self._read) < length and self._more():
                pass
            body, self._read = self._read[:length], self._read[length:]
        whole = head + b"\r\n\r\n" + body
        self.service.requests.append(whole)
        return whole

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except OSError:
            return False
        self._read += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


class Service:
    """A listening socket; each connection is handled by the script in a thread of its own.

    A script given as bytes answers every request with them.
    """

    def __init__(self, script: Script | bytes, context: ssl.SSLContext | None = None) -> None:
        self._script = script if callable(script) else self._repeat(script)
        self._context = context
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @staticmethod
    def _repeat(data: bytes) -> Script:
        def script(connection: Connection) -> None:
            while connection.request():
                connection.send(data)

        return script

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_side=True)
                    self._open.append(sock)
                with sock:
                    self._script(Connection(sock, self))
        except OSError:
            pass

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        # First the one who adds to the others: a connection accepted just now would be waited for in vain.
        self._thread.join(10)
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(10)


def headers_of(request: bytes) -> dict[str, str]:
    """Return a request's headers, names in lower case."""
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.lower(): value.strip() for name, _, value in pairs}
