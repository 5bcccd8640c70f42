"""Lines over one TCP connection, with or without TLS, that is opened anew when the peer has gone."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from plugmw.telemetry.queue import Lost

#: Pieces of 4 KiB that are read of what a peer says.
_HEARD: Final = 64


def tls_context(verify: bool = True, ca_file: str | None = None) -> ssl.SSLContext:
    """Return the settings of TLS 1.2 and later; raises OSError for a file without certificates."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Lines:
    """A connection to ``host`` and ``port``, used by one thread.

    ``timeout`` in seconds is for connecting, for the handshake and for each step of sending; a connection
    idle for ``keepalive`` seconds is not used again. ``server_name`` is what the certificate must be for.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeout: float,
        keepalive: float,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"{host}:{port}"
        self._where = host, port
        self._timeout = timeout
        self._keepalive = keepalive
        self._tls = tls
        self._server_name = server_name or host
        self._clock = clock
        self._socket: socket.socket | None = None
        self._used = 0.0

    def send(self, batch: list[bytes]) -> None:
        """Send whole lines; what was sent is taken off the batch.

        Raises OSError when there is no connection to be had, and :class:`Lost` for a line that failed on two
        connections. The line that breaks off with a connection is sent again whole.
        """
        failed = False
        while True:
            sock = self._connected()
            data = b"".join(batch)
            done = 0
            try:
                with memoryview(data) as view:
                    while done < len(data):
                        done += sock.send(view[done:])
            except OSError as error:
                self.close()
                whole = data.count(b"\n", 0, done)
                if failed and not whole:
                    del batch[0]
                    raise Lost(f"failed to send data to {self.name}: {_said(error)}", 1) from error
                failed = True
                del batch[:whole]
            else:
                self._used = self._clock()
                return

    def _connected(self) -> socket.socket:
        sock = self._socket
        if sock is not None and (self._clock() - self._used > self._keepalive or _has_gone(sock)):
            self.close()
            sock = None
        if sock is None:
            sock = self._socket = self._connect()
        sock.settimeout(self._timeout)
        return sock

    def _connect(self) -> socket.socket:
        try:
            sock = socket.create_connection(self._where, self._timeout)
        except OSError as error:
            raise OSError(f"failed to connect to {self.name}: {_said(error)}") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._tls is None:
            return sock
        try:
            return self._tls.wrap_socket(sock, server_hostname=self._server_name)
        except (OSError, ValueError) as error:
            sock.close()
            raise OSError(f"failed to perform TLS handshake to {self.name}: {_said(error)}") from error

    def close(self) -> None:
        """Close the connection; the next line opens another."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()


def _has_gone(sock: socket.socket) -> bool:
    """Say whether the peer has closed the connection; what it has sent is dropped.

    Without this the first line after a restart of the peer would vanish without an error. A peer that says
    more than a log server has to say counts as gone.
    """
    sock.settimeout(0)
    try:
        for _ in range(_HEARD):
            if not sock.recv(4096):
                break
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        pass
    return True


def _said(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
