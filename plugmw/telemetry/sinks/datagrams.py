"""Datagrams to a UDP port or to a unix socket such as ``/dev/log``: never waited for, never queued twice."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from plugmw.telemetry.queue import Lost

#: Bytes of the largest UDP datagram over IPv4.
LARGEST: Final = 65_507
#: Seconds for which the address of a name is good.
LOOK_UP_EVERY: Final = 60.0


class _Datagrams:
    """One connected socket; what it does not take at once is lost."""

    name: str
    _socket: socket.socket | None = None

    def close(self) -> None:
        """Close the socket; the next datagram opens another."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _open(self, family: int, address: tuple[object, ...] | str) -> socket.socket:
        """Connect another socket, and keep it in place of the one before."""
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        self.close()
        self._socket = sock
        return sock

    def _lost(self, error: OSError) -> Lost:
        return Lost(f"could not send data to {self.name}: {error.strerror or error}", 1)


class UDP(_Datagrams):
    """Datagrams to a host and port; the name is looked up at most once a minute."""

    def __init__(self, host: str, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = f"{host}:{port}"
        self._where = host, port
        self._clock = clock
        self._good_until = 0.0

    def send(self, batch: list[bytes]) -> None:
        """Send each entry as one datagram; raises :class:`Lost` for one that the system does not take.

        Raises OSError while the name has no address, with the batch as it was.
        """
        while batch:
            sock = self._connected()
            data = batch.pop(0)
            try:
                try:
                    sock.send(data)
                except ConnectionRefusedError:
                    # That was the answer to an earlier one, which nobody took.
                    sock.send(data)
            except OSError as error:
                raise self._lost(error) from error

    def _connected(self) -> socket.socket:
        sock = self._socket
        if sock is None or self._clock() >= self._good_until:
            try:
                sock = self._look_up()
            except OSError as error:
                if sock is None:
                    raise OSError(f"could not connect to {self.name}: {error.strerror or error}") from error
            self._good_until = self._clock() + LOOK_UP_EVERY
        return sock

    def _look_up(self) -> socket.socket:
        trouble = OSError("no address")
        for family, _, _, _, address in socket.getaddrinfo(*self._where, type=socket.SOCK_DGRAM):
            if ip_address(str(address[0]).partition("%")[0]).is_multicast:
                trouble = OSError("it is a multicast address")
                continue
            try:
                return self._open(family, address)
            except OSError as error:
                trouble = error
        raise trouble


class Unix(_Datagrams):
    """Datagrams to a unix socket, opened anew once when nobody takes them: its daemon may have restarted."""

    def __init__(self, path: str) -> None:
        self.name = path

    def send(self, batch: list[bytes]) -> None:
        """Send each entry as one datagram; raises :class:`Lost` for one that the system does not take."""
        while batch:
            data = batch.pop(0)
            try:
                try:
                    (self._socket or self._connect()).send(data)
                except ConnectionError:
                    self.close()
                    self._connect().send(data)
            except OSError as error:
                raise self._lost(error) from error

    def _connect(self) -> socket.socket:
        return self._open(socket.AF_UNIX, self.name)
