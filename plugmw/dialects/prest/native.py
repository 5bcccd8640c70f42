"""Functions in native libraries (C, Go, Rust), called like those in Python.

    library = open_library("lib/hello.so")
    body, status, headers = library.GETHelloHandler(x, {"file": "hello", "func": "Hello"}, {"abc": ["123"]})

A library is loaded when it is opened, which must be after the fork: at the first request for it. In the
process of the app a call costs some microseconds, and **a crash of native code ends that process** with all
its requests: nothing in Python can survive it. ``isolate=True`` runs the library in processes of its own,
where a crash is one 500 (:mod:`plugmw.dialects.prest.isolation`).
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from plugmw.dialects.prest.abi import BadReply, Call, Library, Reply, Unusable
from plugmw.dialects.prest.exits import Watched
from plugmw.dialects.prest.isolation import PROCESSES, TIMEOUT, Isolated
from plugmw.dialects.prest.isolation import NativeError as NativeError
from plugmw.errors import LoadError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Logger
from plugmw.loading.watching import note
from plugmw.wsgi.answer import header_items
from plugmw.wsgi.text import decode

#: Body, status, headers.
Answer = tuple[bytes, int, list[tuple[str, str]]]
Function = Callable[[Exchange, Mapping[str, str], Mapping[str, Sequence[str]]], Answer]
_HEADERS: Final = ("HTTP_", "CONTENT_TYPE", "CONTENT_LENGTH")
#: ASCII only, so that there is nothing in it that is not UTF-8.
_json: Final = json.JSONEncoder(separators=(",", ":")).encode


class Unloadable(LoadError):
    """A file is no library, or none with our interface; ``reason`` is fit for clients."""

    def __init__(self, path: str, error: Unusable) -> None:
        super().__init__(path, str(error).removeprefix(f"{path}: "))
        self.reason = error.reason


class Caller(Protocol):
    """What calls a library: :class:`~plugmw.dialects.prest.exits.Watched`, or an isolated one."""

    name: str

    def has(self, name: str) -> bool:
        """Say whether there is such a function."""

    def call(self, name: str, given: Call, most: int) -> Reply:
        """Call it; the body may have ``most`` bytes."""


class Native:
    """An open library; its attributes are its functions, called ``{METHOD}{Func}Handler``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __getattr__(self, name: str) -> Function:
        """Return a function; raises AttributeError, its text fit for clients, if there is none."""
        caller = self._caller
        if not caller.has(name):
            raise AttributeError(f"plugin: symbol {name} not found in plugin {caller.name}")

        def function(
            x: Exchange, http_vars: Mapping[str, str], url_query: Mapping[str, Sequence[str]]
        ) -> Answer:
            request = call_of(x, http_vars, url_query)
            try:
                return answer_of(caller.call(name, request, x.runtime.max_response_body))
            except BadReply as error:
                raise NativeError(500, f"{caller.name}: {name}: {error}") from None

        # Found once: the next lookup does not come here.
        self.__dict__[name] = function
        return function

    def close(self) -> None:
        """End the processes of an isolated library. One that is loaded stays so until the process ends."""
        getattr(self._caller, "close", _nothing)()


def _nothing() -> None:
    """Have nothing to close."""


def open_library(
    path: str | Path,
    *,
    isolate: bool = False,
    timeout: float = TIMEOUT,
    processes: int = PROCESSES,
    logger: Logger | None = None,
) -> Native:
    """Load a library, or start a process that does; raises :class:`Unloadable`.

    To be called in the process that serves, not before its fork. ``timeout`` (seconds a call) and
    ``processes`` are for isolated libraries.
    """
    note(path)
    name = os.path.abspath(path)
    try:
        if not isolate:
            library = Library(name)
            if is_outdated(name) and logger is not None:
                logger.warning("%s: has changed; this process goes on with what it has loaded before", name)
            return Native(Watched(library))
        return Native(Isolated(name, timeout=timeout, processes=processes, logger=logger))
    except Unusable as error:
        raise Unloadable(name, error) from None


def is_outdated(path: str) -> bool:
    """Say whether this process has an older file of this path loaded: the linker goes by the name."""
    try:
        maps = Path("/proc/self/maps").read_bytes()
    except OSError:  # pragma: no cover (no Linux)
        return False
    return os.fsencode(f" {os.path.realpath(path)} (deleted)\n") in maps


# -- what goes in and comes out --------------------------------------------------------------------


def call_of(x: Exchange, http_vars: Mapping[str, str], url_query: Mapping[str, Sequence[str]]) -> Call:
    """Return the request as a library gets it; a body above the gateway's limit is answered 413."""
    headers = [
        _member(key) + _json(decode(value, "replace"))
        for key, value in x.environ.items()
        if key.startswith(_HEADERS) and value
    ]
    return Call(
        x.method.encode("latin-1"),
        decode(x.path, "replace").encode(),
        _json(http_vars).encode(),
        _json(url_query).encode(),
        f"{{{','.join(headers)}}}".encode(),
        _context(x),
        x.read_body(),
    )


def _context(x: Exchange) -> bytes:
    consumer, credential, client = x.consumer, x.credential, x.client_ip
    who, how = "null", "null"
    if consumer is not None:
        who = _json({name: getattr(consumer, name) for name in ("id", "username", "custom_id")})
    if credential is not None:
        how = _json(credential.identifier or credential.id)
    return (
        f'{{"request_id":{_json(x.request_id)},"client_ip":{_json(str(client)) if client else "null"},'
        f'"scheme":{_json(x.scheme)},"host":{_json(decode(x.host, "replace"))},'
        f'"consumer":{who},"credential":{how}}}'
    ).encode()


@functools.lru_cache(1024)
def _member(key: str) -> str:
    """Return the beginning of a header's member in a JSON object, for its key in the environ."""
    return _json(key.removeprefix("HTTP_").replace("_", "-").lower()) + ":"


def answer_of(reply: Reply) -> Answer:
    """Return an answer that may go out; raises :class:`BadReply` for one that must not."""
    if reply.error:
        raise BadReply(reply.error.decode("utf-8", "replace"))
    status = reply.status or 200
    if not 200 <= status <= 599:
        raise BadReply(f"status: got {status}, expected a number between 200 and 599")
    if not reply.headers:
        return reply.body, status, []
    try:
        headers = header_items(_members(reply.headers))
    except (ValueError, TypeError, RecursionError) as error:
        raise BadReply(f"headers: {error}") from None
    return reply.body, status, headers


def _members(data: bytes) -> dict[str, str | list[str]]:
    members = json.loads(data)
    if not isinstance(members, dict) or not all(
        isinstance(one, str)
        for value in members.values()
        for one in (value if isinstance(value, list) else [value])
    ):
        raise ValueError("expected a JSON object of text or lists of text")
    return members
