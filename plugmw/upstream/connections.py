"""HTTP connections to one service, pooled per process; a request on one, its answer as it comes.

Built on http.client and not on urllib3, because that spells paths anew (``%2f``, ``/a/../b``), has one
timeout for connecting and writing, and does not tell whether anything was sent.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable
from io import BufferedIOBase
from typing import Final

import attrs

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.sockets import has_news
from plugmw.wsgi.urls import Origin

#: Seconds after which an idle connection is not used again: services close theirs at about the same time.
IDLE: Final = 30.0


@attrs.frozen
class Times:
    """How long the steps of one request may take, in seconds; ``deadline`` is the end of all of it."""

    connect: float
    write: float
    read: float
    deadline: Deadline | None = None

    def left(self, step: float) -> float:
        """Return the time for a step; raises TimeoutError when there is none."""
        if self.deadline is None:
            return step
        return min(step, self.deadline.left_or_raise("the deadline of the request has passed"))


_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Bytes of a body that are read at once.
_STEP: Final = 64 * 1024

Idle = deque[tuple[float, http.client.HTTPConnection]]


class NotConnected(Exception):
    """A connection could not be opened, so nothing was sent. Raised from the reason."""


class Connections:
    """Idle connections by (scheme, host, port). Thread-safe; after a fork the child begins with none.

    ``size`` are kept of each, ``idle`` seconds long.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext], size: int = 64, idle: float = IDLE) -> None:
        self._make_context = context
        self._context: ssl.SSLContext | None = None
        self._size = size
        self._seconds = idle
        self._pid = 0
        self._idle: dict[Origin, Idle] = {}
        #: Those that have had an answer before: the service may end them just as they are used again.
        self._used: weakref.WeakSet[http.client.HTTPConnection] = weakref.WeakSet()
        # Of a chain that a reload has dropped nobody else would close them.
        weakref.finalize(self, _close, self._idle)

    def take(self, scheme: str, host: str, port: int, times: Times) -> http.client.HTTPConnection:
        """Return an open connection; raises :class:`NotConnected`."""
        idle = self._of_process().get((scheme, host, port))
        while (newest := _newest(idle)) is not None:
            since, connection = newest
            if time.monotonic() - since < self._seconds and not has_news(connection.sock):
                return connection
            connection.close()
        return self._open(scheme, host, port, times)

    def give(self, key: Origin, connection: http.client.HTTPConnection) -> None:
        """Keep a connection whose answer was read to its end; one that the service closes is dropped."""
        idle = self._of_process().setdefault(key, deque())
        if connection.sock is None or len(idle) >= self._size:
            connection.close()
        else:
            self._used.add(connection)
            idle.append((time.monotonic(), connection))

    def exchange(
        self,
        key: Origin,
        request: Request,
        times: Times,
        connection: http.client.HTTPConnection | None = None,
    ) -> Body:
        """Send a request and return its answer, the body not yet read. Raises what the steps raise.

        ``connection`` is one that was taken before; without it one is taken. A request that may be made
        twice is, on a new connection, when the service ends a used one instead of answering.
        """
        if connection is None:
            connection = self.take(*key, times)
        try:
            try:
                answer = ask(connection, request, times)
            except ConnectionError:  # of http.client, RemoteDisconnected is one
                if not (request.is_repeatable and connection in self._used):
                    raise
                connection.close()
                connection = self._open(*key, times)
                answer = ask(connection, request, times)
            if answer.status < 200:
                raise http.client.HTTPException(f"a final answer {answer.status}")
        except BaseException:
            connection.close()
            raise
        return Body(answer, connection, lambda: self.give(key, connection))

    def _of_process(self) -> dict[Origin, Idle]:
        if self._pid != os.getpid():
            # What the parent has opened is the parent's: to close our copies does not touch the wire.
            _close(self._idle)
            self._context, self._pid = None, os.getpid()
        return self._idle

    def _open(self, scheme: str, host: str, port: int, times: Times) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        try:
            timeout = times.left(times.connect)
            if scheme == "https":
                # Another thread may reset the attribute, and None would be http.client's own context.
                context = self._context
                if context is None:
                    context = self._context = self._make_context()
                connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
            else:
                connection = http.client.HTTPConnection(host, port, timeout=timeout)
            connection.connect()
        except OSError as error:
            raise NotConnected(str(error)) from error
        connection.response_class = _Response
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def close(self) -> None:
        """Close the idle connections of this process."""
        _close(self._of_process())


def _close(kept: dict[Origin, Idle]) -> None:
    for idle in list(kept.values()):
        while (connection := _newest(idle)) is not None:
            connection[1].close()


def _newest(idle: Idle | None) -> tuple[float, http.client.HTTPConnection] | None:
    try:
        return idle.pop() if idle else None
    except IndexError:  # another thread was faster
        return None


@attrs.frozen
class Request:
    """A request as it is sent; the headers say the length of the body, unless it goes in chunks."""

    method: str
    target: str
    headers: Iterable[tuple[str, str]]
    body: Iterable[bytes] | None = None
    chunked: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether a service that has got it may get it again (RFC 9110 section 9.2.2, and without a body)."""
        return self.body is None and self.method in _SAFE


def ask(connection: http.client.HTTPConnection, request: Request, times: Times) -> Answer:
    """Send a request and return the beginning of its answer.

    A service that answers before it has read the whole body, and hangs up, is heard all the same.
    """
    sock = connection.sock
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers:
        connection.putheader(name, value)
    if request.chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    try:
        sock.settimeout(times.left(times.write))
        with _sending():
            connection.endheaders()
        _send_body(connection, request, times)
    except _HungUp:
        pass
    sock.settimeout(times.left(times.read))
    return Answer(connection.getresponse(), sock, times)


class _HungUp(Exception):
    """The service has closed its side: it reads no more, and may have answered."""


def _send_body(connection: http.client.HTTPConnection, request: Request, times: Times) -> None:
    """Send the body; what fails as it is read, at the client's side, is raised as it is."""
    sock, chunked = connection.sock, request.chunked
    for piece in request.body or ():
        sock.settimeout(times.left(times.write))
        with _sending():
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        with _sending():
            connection.send(b"0\r\n\r\n")


@contextlib.contextmanager
def _sending() -> Generator[None, None, None]:
    try:
        yield
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _HungUp from error


#: Interim answers that are skipped before a final one.
_INTERIM: Final = 16


class _Response(http.client.HTTPResponse):
    """A response whose head is refused if it has control characters, before http.client reads it.

    That takes a bare CR for the end of a line, so half a value would be a header of its own. Interim answers
    are skipped (RFC 9110 section 15.2), of which http.client skips 100 alone; 101 is a final one.
    """

    def begin(self) -> None:
        stream = self.fp
        self.fp = _Head(stream)  # type: ignore[assignment]
        try:
            super().begin()
            for _ in range(_INTERIM):
                if self.status >= 200 or self.status == 101:
                    break
                self.headers = None  # type: ignore[assignment]
                super().begin()
        finally:
            if self.fp is not None:
                self.fp = stream


class _Head:
    """The lines of a head."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self.close = stream.close

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        if _CONTROL.search(line.removesuffix(b"\n").removesuffix(b"\r")):
            raise http.client.HTTPException("a control character in the head of the answer")
        return line


#: All but the tab (RFC 9110 section 5.5).
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FOLD: Final = re.compile(r"[ \t]*\r?\n[ \t]*")


class Answer:
    """A service's answer: status, reason and headers, then its body as it comes."""

    def __init__(self, response: http.client.HTTPResponse, sock: socket.socket, times: Times) -> None:
        self.status = response.status
        self.reason = response.reason
        # A value that goes on in the next line is one value (RFC 9112 section 5.2).
        self.headers = [(name, _FOLD.sub(" ", value)) for name, value in response.getheaders()]
        if response.chunked:
            # Two lengths: the one of the framing counts (RFC 9112 section 6.3).
            self.headers = [item for item in self.headers if item[0].lower() != "content-length"]
        self._response = response
        self._sock = sock
        self._times = times
        #: Whether the end of the answer was seen, so that nothing of it is left on the connection.
        self.is_complete = response.length == 0
        #: Whether a body may follow that belongs to no answer: a 204 has none, and may not announce one
        #: (RFC 9110 section 8.6, RFC 9112 section 6.1); a 304 may.
        self.is_followed = response.status == 204 and (
            response.chunked or response.getheader("Content-Length", "0") != "0"
        )

    def read(self, most: int) -> bytes:
        """Return what has arrived, at most so many bytes; ``b""`` at the end. Raises for a body cut short.

        What raises closes the connection: nobody knows what the next bytes on it would belong to.
        """
        if self.is_complete:
            return b""
        response = self._response
        try:
            if response.isclosed():  # a read before has failed
                raise http.client.IncompleteRead(b"", response.length)
            self._sock.settimeout(self._times.left(self._times.read))
            data = response.read1(most)
            if not data and response.length:
                raise http.client.IncompleteRead(b"", response.length)
        except BaseException:
            response.close()
            self._sock.close()
            raise
        self.is_complete = not data or response.length == 0
        return data

    def close(self) -> None:
        """Let go of the answer, so that the connection can be used again."""
        self._response.close()


class Body:
    """The service's body as it comes; gives the connection back when it was read whole."""

    def __init__(
        self, answer: Answer, connection: http.client.HTTPConnection, give_back: Callable[[], None]
    ) -> None:
        self.answer = answer
        self._connection = connection
        self._give_back = give_back
        self._is_closed = False
        #: Told when the service fails in the middle of its answer, before that is raised.
        self.broken: Callable[[Exception], None] | None = None

    def __iter__(self) -> Generator[bytes, None, None]:
        # What has arrived is handed on, so that events reach the client at once.
        while chunk := self._read():
            yield chunk

    def _read(self) -> bytes:
        try:
            return self.answer.read(_STEP)
        except (OSError, http.client.HTTPException) as error:
            if self.broken is not None:
                self.broken(error)
            raise

    def close(self) -> None:
        """Give the connection back, or close it; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.answer.close()
        if self.answer.is_complete and not self.answer.is_followed:
            self._give_back()
        else:
            self._connection.close()
