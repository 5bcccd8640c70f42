"""The C interface of ``include/plugmw_function.h``, called through ctypes; also the program of a worker
process that calls one library for somebody else (:mod:`plugmw.dialects.prest.isolation`).

    python -I -S abi.py DESCRIPTOR LIBRARY

serves over the connected unix socket that is open as DESCRIPTOR, one call at a time, and ends with its other
side. Only the standard library is used, so that starting one takes some 20 ms and imports nothing of ours.

ctypes releases the interpreter lock during a call: other threads go on. Nothing is loaded before the first
call in a process, because what a library starts (Go's threads) does not survive a fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ctypes import _NamedFuncPointer

#: PLUGMW_ABI of the header.
VERSION: Final = 1
#: Most bytes of an answer's headers (JSON), and of an error text (the rest is cut off).
MAX_HEADERS: Final = 64 * 1024
MAX_ERROR: Final = 4 * 1024
#: What may be called at all: a name that the dynamic linker finds elsewhere, like ``system``, is none.
_NAME: Final = re.compile(r"[A-Z]+[A-Za-z0-9_]*Handler").fullmatch


class Unusable(Exception):
    """A library cannot be used: ``reason`` is for clients, the text, with paths in it, for the log."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class BadReply(Exception):
    """A function left something in its response that cannot be taken; the text is for the log."""


class Call(NamedTuple):
    """A request as the header has it; all but ``method``, ``path`` and ``body`` are JSON."""

    method: bytes
    path: bytes
    http_vars: bytes
    url_query: bytes
    headers: bytes
    context: bytes
    body: bytes


class Reply(NamedTuple):
    """A response, copied out of the library."""

    status: int
    headers: bytes
    body: bytes
    error: bytes


class _Request(ctypes.Structure):
    _fields_ = [
        member
        for name in Call._fields
        for member in ((name, ctypes.c_char_p), (f"{name}_size", ctypes.c_size_t))
    ]


class _Response(ctypes.Structure):
    _fields_ = [
        ("status", ctypes.c_int32),
        ("headers", ctypes.c_void_p),
        ("headers_size", ctypes.c_size_t),
        ("body", ctypes.c_void_p),
        ("body_size", ctypes.c_size_t),
        ("error", ctypes.c_void_p),
        ("error_size", ctypes.c_size_t),
    ]


class Library:
    """A loaded library. Thread-safe as far as its functions are; it stays loaded until the process ends."""

    def __init__(self, path: str) -> None:
        """Load it with its symbols kept apart from others'; raises :class:`Unusable`."""
        #: The library's name in answers to clients: without folder and suffix.
        self.name = os.path.splitext(os.path.basename(path))[0]
        try:
            # Absolute: a bare name would be looked for in the system's folders.
            self._library = ctypes.CDLL(os.path.abspath(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError as error:
            raise Unusable(f"{path}: {error}", f'plugin.Open("{self.name}"): cannot be loaded') from None
        version = self._symbol("plugmw_abi")
        free = self._symbol("plugmw_free")
        if version is None or free is None:
            lacks = " and ".join(
                name for name, found in (("plugmw_abi", version), ("plugmw_free", free)) if not found
            )
            raise Unusable(
                f"{path}: exports no {lacks}, expected a library built with plugmw_function.h "
                "(python -m plugmw.dialects.prest.include prints its folder)",
                f"plugin: symbol {lacks} not found in plugin {self.name}",
            )
        version.restype = ctypes.c_int32
        number = version()
        if number != VERSION:
            raise Unusable(
                f"{path}: is built for version {number} of plugmw_function.h, expected {VERSION}",
                f"plugin {self.name} was built with a different version of plugmw_function.h",
            )
        free.restype = None
        self._free: Callable[[object], None] = free
        self._functions: dict[str, Callable[[object, object], None]] = {}

    def _symbol(self, name: str) -> _NamedFuncPointer | None:
        try:
            return self._library[name]
        except AttributeError:
            return None

    def has(self, name: str) -> bool:
        """Say whether the library exports a function of this name."""
        if name in self._functions:
            return True
        function = self._symbol(name) if _NAME(name) else None
        if function is None:
            return False
        function.restype = None
        self._functions[name] = function
        return True

    def call(self, name: str, request: Call, most: int) -> Reply:
        """Call a function that the library :meth:`has`; raises :class:`BadReply`.

        ``most`` is how many bytes the answer's body may have.
        """
        verb, path, http_vars, query, headers, context, body = request
        # Written out: a loop takes longer than the call.
        arguments = _Request(
            *(verb, len(verb), path, len(path), http_vars, len(http_vars), query, len(query)),
            *(headers, len(headers), context, len(context), body, len(body)),
        )
        response = _Response()
        self._functions[name](ctypes.byref(arguments), ctypes.byref(response))
        try:
            return _reply_of(response, most)
        finally:
            self._free(ctypes.byref(response))


def _reply_of(response: _Response, most: int) -> Reply:
    """Copy what a function left, having looked at the sizes first."""
    error = _bytes("error", response.error, min(response.error_size, MAX_ERROR), MAX_ERROR)
    if error:
        return Reply(500, b"", b"", error)
    headers = _bytes("headers", response.headers, response.headers_size, MAX_HEADERS)
    return Reply(response.status, headers, _bytes("body", response.body, response.body_size, most), b"")


def _bytes(what: str, data: int | None, size: int, most: int) -> bytes:
    if size > most:
        raise BadReply(f"{what}: got {size} bytes, expected at most {most}")
    if size and not data:
        raise BadReply(f"{what}: got NULL for {size} bytes")
    return ctypes.string_at(data, size) if data else b""


# -- frames ------------------------------------------------------------------------------------------------

#: Bytes of the small fields of a frame, all together; bodies come on top.
MAX_FIELDS: Final = 2 * 1024 * 1024
_SIZE: Final = struct.Struct("!Q")
#: Returns the seconds that are left for a step, or raises TimeoutError.
Left = Callable[[], float]


def send(sock: socket.socket, fields: Sequence[bytes], left: Left | None = None) -> None:
    """Send a frame: the size of each field, then the fields; raises OSError, what ``left`` raises."""
    sock.settimeout(None if left is None else left())
    sock.sendall(b"".join((*(_SIZE.pack(len(field)) for field in fields), *fields)))


def receive(sock: socket.socket, count: int, most: int, left: Left | None = None) -> list[bytes]:
    """Receive a frame of ``count`` fields of at most ``most`` bytes together.

    Raises EOFError when the other side is gone, ValueError for too large a frame, what ``left`` raises.
    """
    head = _exactly(sock, count * _SIZE.size, left)
    sizes = [size for (size,) in _SIZE.iter_unpack(head)]
    if sum(sizes) > most:
        raise ValueError(f"got a frame of {sum(sizes)} bytes, expected at most {most}")
    data = _exactly(sock, sum(sizes), left)
    fields = []
    place = 0
    for size in sizes:
        fields.append(bytes(data[place : place + size]))
        place += size
    return fields


def _exactly(sock: socket.socket, size: int, left: Left | None) -> memoryview:
    data = memoryview(bytearray(size))
    place = 0
    while place < size:
        sock.settimeout(None if left is None else left())
        got = sock.recv_into(data[place:])
        if not got:
            raise EOFError("the other side closed the connection")
        place += got
    return data


# -- the worker process ------------------------------------------------------------------------------------


def serve(sock: socket.socket, path: str) -> None:
    """Answer frames until the other side is gone.

    First of all ``ready`` or ``unusable`` is told. ``has NAME`` is answered by ``yes`` or ``no``, ``call
    NAME MOST`` and the fields of :class:`Call` by the status and the other fields of :class:`Reply`.
    """
    try:
        library = Library(path)
    except Unusable as error:
        send(sock, [b"unusable", error.reason.encode(), b"", str(error).encode()])
        return
    send(sock, [b"ready", b"", b"", b""])
    while True:
        try:
            command, *fields = receive(sock, 1 + len(Call._fields), sys.maxsize)
        except EOFError:
            return
        send(sock, _answered(library, command.decode().split(), fields))


def _answered(library: Library, command: list[str], fields: list[bytes]) -> list[bytes]:
    exported = library.has(command[1])
    if command[0] == "has" or not exported:
        return [b"yes" if exported else b"no", b"", b"", b""]
    try:
        status, *reply = library.call(command[1], Call(*fields), int(command[2]))
    except BadReply as error:
        status, reply = 500, [b"", b"", str(error).encode()]
    return [str(status).encode(), *reply]


def _end_with(other_side: select.poll) -> None:
    """End this process when the other side is gone, also in the middle of a call."""
    other_side.poll()
    os._exit(0)


def main(descriptor: str, path: str) -> None:
    """Serve one library; only the end of the connection, or SIGKILL, ends this process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.dup2(2, 1)
    with socket.socket(fileno=int(descriptor)) as sock:
        sock.set_inheritable(False)
        other_side = select.poll()
        other_side.register(sock, 0)  # hanging up is always told
        threading.Thread(target=_end_with, args=(other_side,), daemon=True).start()
        with contextlib.suppress(OSError):  # of an answer that nobody waits for any more
            serve(sock, path)
    # Without the library's own end, which may hang.
    os._exit(0)


if __name__ == "__main__":  # pragma: no cover (in a process of its own)
    main(*sys.argv[1:])
