"""ALF 1.1.0, the API log format of Mashape's Galileo: JSON like HAR, and copies of bodies for it.

https://github.com/Kong/api-log-format, with the choices of Kong's agent (tag 0.14.1,
``kong/plugins/galileo/alf.lua``).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from plugmw.telemetry.log_entry import latencies, raw_target
from plugmw.wsgi import keys
from plugmw.wsgi.headers import headers_in
from plugmw.wsgi.redaction import Redaction
from plugmw.wsgi.text import decode

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, WSGIEnvironment

    from plugmw.kernel.exchange import Exchange

#: Bytes of a body that are recorded; of a longer one only its size is told (the agents' default).
MAX_BODY: Final = 2 * 1024 * 1024
#: Bytes of one ALF (``kong/plugins/galileo/buffer.lua``).
MAX_ALF: Final = 20 * 1024 * 1024
#: What stands behind the entries of an ALF.
TAIL: Final = b"]}}}"
_BINARY: Final = "application/octet-stream"
_RANGES: Final = "multipart/byteranges"
Pairs = Iterable[tuple[str, str]]


# -- bodies ----------------------------------------------------------------------------------------------


class Copy:
    """The bytes of a body that has passed, unless there were too many."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= MAX_BODY:
            self._parts.append(data)
        else:
            self._parts.clear()

    @property
    def data(self) -> bytes:
        """The body; nothing of one that was too long."""
        return b"".join(self._parts)


def watch_request(environ: WSGIEnvironment, copy: Copy) -> None:
    """Copy the request's body, now if it was read already, or else while the app reads it."""
    body = environ.get(keys.BODY)
    if body is not None and body[0] is environ["wsgi.input"]:
        copy.add(body[1])
    else:
        environ["wsgi.input"] = _Watched(environ["wsgi.input"], copy)


class _Watched:
    """A ``wsgi.input`` that copies what is read from it."""

    def __init__(self, stream: InputStream, copy: Copy) -> None:
        self._stream = stream
        self._copy = copy

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def read(self, *size: int) -> bytes:
        return self._seen(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._seen(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._seen(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._seen, self._stream)

    def _seen(self, data: bytes) -> bytes:
        self._copy.add(data)
        return data


# -- the format ------------------------------------------------------------------------------------------


def head_of(token: str, environment: str | None) -> bytes:
    """Return what stands before the entries of an ALF."""
    head: dict[str, object] = {"version": "1.1.0", "serviceToken": token}
    if environment is not None:
        head["environment"] = environment
    creator = {"name": "galileo-agent-kong", "version": "2.0.0"}
    log = json.dumps({"creator": creator, "entries": []}, separators=(",", ":"))[:-2]
    return f'{json.dumps(head, separators=(",", ":"))[:-1]},"har":{{"log":{log}'.encode("ascii")


def fitting(entries: Sequence[bytes], room: int) -> int:
    """Return how many entries, from the first, fit into ``room`` bytes with commas between them."""
    used = -1
    for count, entry in enumerate(entries):
        used += len(entry) + 1
        if used > room:
            return count
    return len(entries)


def entry_of(x: Exchange, hide: Redaction, asked: Copy | None, answered: Copy | None) -> dict[str, object]:
    """Return the entry of an exchange; without copies of the bodies, their sizes are the declared ones."""
    environ = x.environ
    version = str(environ.get("SERVER_PROTOCOL") or "HTTP/1.1")
    target = raw_target(x)
    sent = [(name, value) for name, value in headers_in(environ)]
    got = [(name.lower(), value) for name, value in x.header_list or ()]
    spent = latencies(x)
    timings = {"send": spent["kong"], "wait": max(0, spent["proxy"]), "receive": spent["receive"]}
    return {
        "time": sum(timings.values()),
        "startedDateTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(x.started)),
        "serverIPAddress": _own_address(environ),
        "clientIPAddress": str(x.client_ip or ""),
        "request": {
            "httpVersion": version,
            "method": environ["REQUEST_METHOD"],
            "url": f"{x.scheme}://{decode(x.host, 'replace')}{decode(hide.target(target), 'replace')}",
            "queryString": [
                {"name": name, "value": value} for name, value in hide.pairs(environ.get("QUERY_STRING", ""))
            ],
            "headers": _listed(sent, hide),
            "headersSize": headers_size(f"{environ['REQUEST_METHOD']} {target} {version}", sent),
            **_body("postData", sent, asked),
        },
        "response": {
            "status": x.status or 500,
            "statusText": "",
            "httpVersion": version,
            "headers": _listed(got, hide),
            "headersSize": 0,
            **_body("content", got, answered),
        },
        "timings": timings,
    }


def _listed(headers: Pairs, hide: Redaction) -> list[dict[str, str]]:
    return [{"name": name, "value": hide.header(name, value)} for name, value in headers]


def headers_size(line: str, headers: Pairs) -> int:
    """Return the bytes of a request line, the headers and the empty line behind them."""
    return len(line) + 2 + sum(len(name) + 2 + len(value) + 2 for name, value in headers) + 2


def _body(key: str, headers: Pairs, copy: Copy | None) -> dict[str, object]:
    """Tell whether there is a body by its headers, its size, and itself under ``key`` if recorded."""
    last = dict(headers)
    length = last.get("content-length", "")
    declared = int(length) if length.isascii() and length.isdigit() else 0
    kind = last.get("content-type") or _BINARY
    facts: dict[str, object] = {
        "bodyCaptured": declared > 0 or "transfer-encoding" in last or kind.startswith(_RANGES),
        "bodySize": copy.size if copy and copy.size else declared,
    }
    data = copy.data if copy else b""
    if data:
        facts[key] = {
            "text": base64.b64encode(data).decode(),
            "encoding": "base64",
            "mimeType": decode(kind, "replace"),
        }
    return facts


def _own_address(environ: WSGIEnvironment) -> str:
    """Return the address that the server was reached at, as far as it tells."""
    return str(environ.get("SERVER_ADDR") or environ.get("SERVER_NAME") or "")
