"""Checking passwords with an LDAP directory: the text of a name, the three calls, and connections kept.

All that is asked of a library is :func:`connect` and a :class:`Link`'s ``bind`` and ``close``; here ldap3
gives them (``pip install 'plugmw[ldap]'``). Searches are not needed, so no filter is ever built.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable
from typing import Final, Literal, Protocol

import attrs

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.sockets import has_news
from plugmw.stores.breaker import Breaker

with warnings.catch_warnings():
    # ldap3 2.9.1, the last one, uses names that pyasn1 0.6 has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3

#: Result codes (RFC 4511 section 4.1.9) that say nothing of the password: busy, unavailable.
AWAY: Final = (51, 52)
#: Bytes that a directory may answer to one request.
LARGEST: Final = 64 * 1024
START_TLS: Final = "1.3.6.1.4.1.1466.20037"

#: Whether the connection is changed to TLS (StartTLS), or begins with it (LDAPS).
TLS = Literal["no", "start", "always"]


class Unreachable(Exception):
    """The directory cannot be asked: no connection, no trust, no answer in time."""


def escape(value: str) -> str:
    """Write a value for a distinguished name (RFC 4514 section 2.4), so that it can be nothing else in it."""
    made = "".join(f"\\{char}" if char in ',+"\\<>;=' else char for char in value)
    made = "".join(f"\\{ord(char):02x}" if char < " " or char == "\x7f" else char for char in made)
    if made.endswith(" "):
        made = made[:-1] + "\\ "
    return "\\" + made if made.startswith(("#", " ")) else made


@attrs.frozen
class Server:
    """Where a directory is and how to talk to it. ``timeout`` is in seconds, for all that one bind takes."""

    host: str
    port: int
    tls: TLS
    context: ssl.SSLContext
    timeout: float

    @property
    def url(self) -> str:
        """The address, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.tls == 'always' else 'ldap'}://{host}:{self.port}"


class Link(Protocol):
    """A connection; for one thread at a time."""

    def bind(self, dn: str, password: str, deadline: Deadline) -> str | None:
        """Return None if the password is the one of ``dn``, else why it is refused (:class:`Unreachable`).

        There must be an answer by ``deadline``. Whoever was bound before
        counts for nothing.
        """

    def has_news(self) -> bool:
        """Say whether something waits on it that nobody has asked for, such as its end."""

    def close(self) -> None:
        """Give the connection back; no exceptions."""


Connect = Callable[[Server, Deadline], Link]


def connect(server: Server, deadline: Deadline) -> Link:
    """Open a connection, with TLS as ``server`` says; :class:`Unreachable` if there is none in time."""
    link = _Link(server)
    try:
        link.open(deadline)
    except Exception as error:
        link.close()
        raise _unreachable(server, error) from None
    except BaseException:
        link.close()
        raise
    return link


def _unreachable(server: Server, error: Exception) -> Unreachable:
    if isinstance(error, Unreachable):
        return error
    # Texts of the network only: others might quote what was sent.
    network = isinstance(error, (OSError, ldap3.core.exceptions.LDAPCommunicationError))
    return Unreachable(f"{server.url}: {type(error).__name__}{f': {error}' if network else ''}")


#: What :func:`socket.getaddrinfo` tells of an address: family, type, protocol, name, and where it is.
AddressInfo = tuple[int, int, int, str, tuple[object, ...]]


class _Link:
    """A connection by way of ldap3, whose sockets and TLS are ours: its own have no deadline."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket = _Socket()
        place = ldap3.Server(server.host, server.port, get_info=ldap3.NONE)
        # No referrals: they would carry the password to wherever the answer says.
        self._ldap = ldap3.Connection(place, auto_referrals=False, check_names=False, fast_decoder=False)
        self._ldap.strategy._open_socket = self._open_socket

    def open(self, deadline: Deadline) -> None:
        self._socket.deadline = deadline
        self._ldap.open(read_server_info=False)
        if self._server.tls == "start":
            if not self._ldap.extended(START_TLS):
                raise Unreachable(f"{self._server.url}: StartTLS: {self._ldap.last_error}")
            self._secure()

    def bind(self, dn: str, password: str, deadline: Deadline) -> str | None:
        ldap = self._ldap
        if ldap.closed:
            # ldap3 would open another connection, without TLS.
            raise Unreachable(f"{self._server.url}: the connection is closed")
        self._socket.deadline, self._socket.read = deadline, 0
        # As bytes it goes out as it is (RFC 4511 section 4.2), and is not prepared as text.
        ldap.user, ldap.password, ldap.authentication = dn, password.encode(), ldap3.SIMPLE
        try:
            ldap.bind(read_server_info=False)
            result: dict[str, object] = ldap.result
        except Exception as error:
            raise _unreachable(self._server, error) from None
        finally:
            ldap.user = ldap.password = ldap.request = None
        if result["result"] in AWAY:
            raise Unreachable(f"{self._server.url}: {result['description']}")
        if result["result"] == 0:
            return None
        return f"{result['result']} {result['description']} {result['message']!r}"

    def has_news(self) -> bool:
        return self._socket.has_news

    def close(self) -> None:
        self._socket.close()

    def _open_socket(self, address: AddressInfo, use_ssl: bool = False, unix_socket: bool = False) -> None:
        """Connect to one of the host's addresses: what ldap3 calls instead of its own."""
        self._socket.connect(address)
        if self._server.tls == "always":
            self._secure()
        self._ldap.socket, self._ldap.closed = self._socket, False

    def _secure(self) -> None:
        self._socket.secure(self._server.context, self._server.host)


class _Socket:
    """A socket whose every wait is over at one time, ``deadline``, and that reads no more than it should."""

    def __init__(self) -> None:
        self._raw: socket.socket | None = None
        self.deadline = Deadline(0.0)
        self.read = 0

    @property
    def _ready(self) -> socket.socket:
        """The socket, which has until ``deadline``."""
        left = self.deadline.left_or_raise()
        if self._raw is None:
            raise OSError("closed")
        self._raw.settimeout(left)
        return self._raw

    @property
    def has_news(self) -> bool:
        return self._raw is None or has_news(self._raw)

    def connect(self, address: AddressInfo) -> None:
        self.close()
        self._raw = socket.socket(*address[:3])
        self._ready.connect(address[4])

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        self._raw = context.wrap_socket(self._ready, server_hostname=host)

    def recv(self, size: int) -> bytes:
        data = self._ready.recv(size)
        self.read += len(data)
        if self.read > LARGEST:
            raise OSError(f"an answer of more than {LARGEST} bytes")
        return data

    def sendall(self, data: bytes) -> None:
        self._ready.sendall(data)

    def shutdown(self, how: int) -> None:
        """Do nothing: what follows is ``close``."""

    def close(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()


class Pool:
    """The connections of one process to one directory. Thread-safe; to be made after the fork.

    At most ``most`` binds run at once; others wait within their time. A connection that has answered is kept
    for ``keepalive`` seconds and serves the next bind, of whoever it is. After a failure all binds fail at
    once until a connection can be opened again, so that a dead directory takes no worker's time.
    """

    def __init__(self, server: Server, keepalive: float, most: int, connect: Connect = connect) -> None:
        self._server = server
        self._keepalive = keepalive
        self._connect = connect
        self._slots = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        #: Connections nobody uses, the last used at the end, with the time until which they are kept.
        self._idle: list[tuple[float, Link]] = []
        self._closed = False
        self._breaker = Breaker(self._probe)

    def bind(self, dn: str, password: str) -> str | None:
        """Return None if the password is the one of ``dn``, else why it is refused (:class:`Unreachable`)."""
        deadline = Deadline.after(self._server.timeout)
        if self._breaker.cause is not None:
            raise Unreachable(str(self._breaker.cause))
        if not self._slots.acquire(timeout=self._server.timeout):
            raise Unreachable(f"{self._server.url}: all connections are busy")
        try:
            return self._bind(dn, password, deadline)
        except Unreachable as error:
            self._breaker.trip(error)
            raise
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close what is kept."""
        self._breaker.close()
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, link in idle:
            link.close()

    def _bind(self, dn: str, password: str, deadline: Deadline) -> str | None:
        kept = self._take()
        if kept is not None:
            try:
                return self._through(kept, dn, password, deadline)
            except Unreachable:
                pass  # closed by the other side meanwhile; a new one will tell
        return self._through(self._connect(self._server, deadline), dn, password, deadline)

    def _through(self, link: Link, dn: str, password: str, deadline: Deadline) -> str | None:
        try:
            refusal = link.bind(dn, password, deadline)
        except BaseException:
            link.close()
            raise
        self._keep(link)
        return refusal

    def _take(self) -> Link | None:
        now = time.monotonic()
        with self._lock:
            old = [link for until, link in self._idle if until <= now]
            self._idle = [(until, link) for until, link in self._idle if until > now]
            link = self._idle.pop()[1] if self._idle else None
        for one in old:
            one.close()
        if link is not None and link.has_news():
            link.close()
            return None
        return link

    def _keep(self, link: Link) -> None:
        with self._lock:
            kept = self._keepalive > 0 and not self._closed
            if kept:
                self._idle.append((time.monotonic() + self._keepalive, link))
        if not kept:
            link.close()

    def _probe(self) -> None:
        self._connect(self._server, Deadline.after(self._server.timeout)).close()
