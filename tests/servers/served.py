"""What every server serves: ``/bare/NAME`` is an app as it is, ``/KIND/NAME`` the same app under plugins.

``/bare/notes?ID`` answers with what was noted of the requests whose query is ``ID``, and forgets it.
``SERVED_SINKS`` in the environment is JSON: the ports of the sinks of log plugins, and the folder for
what is written.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from plugmw import Gateway
from tests.support.plugins import made, nothing, wrapping
from tests.support.wsgi import APPS

TEXT = ("Content-Type", "text/plain")
DATA = b"0123456789" * 30_000
SINKS = json.loads(os.environ.get("SERVED_SINKS", "{}"))
FOLDER = Path(SINKS.get("folder", "/nowhere"))
NOTES: dict[str, list[str]] = {}


def note(environ: Any, what: str) -> None:
    NOTES.setdefault(environ.get("QUERY_STRING", ""), []).append(what)


# -- apps ---------------------------------------------------------------------------------------------------


class Closed(list[str]):
    """Notes when an app of ``tests.support.wsgi`` is closed."""

    def __init__(self, environ: Any) -> None:
        self.environ = environ

    def append(self, what: str) -> None:
        note(self.environ, what)


def of_the_kernel(name: str) -> Callable[..., Any]:
    return lambda environ, start_response: APPS[name](Closed(environ))(environ, start_response)


def mindful(environ: Any, start_response: Any) -> Any:
    """Send no body to HEAD, as frameworks do; not every server would drop it."""
    start_response("200 OK", [TEXT, ("Content-Length", "6")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"one", b"two"]


def plain(environ: Any, start_response: Any) -> Any:
    """A list without a length: servers count it, or close after it."""
    start_response("200 OK", [TEXT])
    return [b"one", b"two", b"three"]


def plain_single(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT])
    return [b"one"]


def stream(environ: Any, start_response: Any) -> Any:
    """The stream of twenty bytes that gevent made fifteen of."""
    start_response("200 OK", [TEXT])
    return (b"%04d\n" % number for number in range(4))


def empties(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT])
    yield b""
    yield b""
    yield b"a"
    yield b""
    yield b"b"


def nothing_lazy(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT])
    return
    yield b""


class Lazy:
    """A body that is made when it is asked for, in one chunk."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"".join(b"%d," % number for number in range(1000))])


def lazy(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT])
    return Lazy()


def _data(start: int = 0) -> Any:
    path = FOLDER / "data"
    file = path.open("rb")
    file.seek(start)
    return file


def _as_file(environ: Any, file: Any) -> Any:
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(file) if wrapper else iter(lambda: file.read(8192), b"")


def file(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT, ("Content-Length", str(len(DATA)))])
    return _as_file(environ, _data())


def file_end(environ: Any, start_response: Any) -> Any:
    """The end of a file, by its position, as answers to ``bytes=N-`` are made."""
    start = len(DATA) - 50_000
    start_response(
        "206 Partial Content",
        [
            TEXT,
            ("Content-Length", "50000"),
            ("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"),
            ("Accept-Ranges", "bytes"),
        ],
    )
    return _as_file(environ, _data(start))


def part(environ: Any, start_response: Any) -> Any:
    """The middle of the data, as the Range of the request asks."""
    first, last = map(int, environ["HTTP_RANGE"].removeprefix("bytes=").split("-"))
    span = DATA[first : last + 1]
    start_response(
        "206 Partial Content",
        [
            TEXT,
            ("Content-Length", str(len(span))),
            ("Content-Range", f"bytes {first}-{last}/{len(DATA)}"),
        ],
    )
    return [span[:100], span[100:]]


def one_empty(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT, ("Content-Length", "0")])
    return [b""]


def echo(environ: Any, start_response: Any) -> Any:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def cookies(environ: Any, start_response: Any) -> Any:
    start_response("404 Not Found", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "0")])
    return []


def events(environ: Any, start_response: Any) -> Any:
    """Send the second event when somebody has read the first, and has made the file of the query."""
    gate = FOLDER / environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])

    def sent() -> Iterator[bytes]:
        yield b"data: one\n\n"
        end = time.monotonic() + 15
        while not gate.exists() and time.monotonic() < end:
            time.sleep(0.005)
        yield b"data: two\n\n" if gate.exists() else b"data: nobody has read the first\n\n"

    return sent()


def endless(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [TEXT])

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            note(environ, "close")

    return chunks()


def large(environ: Any, start_response: Any) -> Any:
    """As many MiB as the query says, each of other bytes."""
    mib = int(environ["QUERY_STRING"])
    start_response("200 OK", [TEXT, ("Content-Length", str(mib << 20))])
    return (bytes([number % 251]) * 65536 for number in range(mib * 16))


#: What an app must not send, and the line that it would make at the client.
SPLITTING: dict[str, tuple[str, tuple[str, str]]] = {
    "a value with CR LF": ("200 OK", ("X-A", "a\r\nX-Split: 1")),
    "a value with LF": ("200 OK", ("X-A", "a\nX-Split: 1")),
    "a value with CR": ("200 OK", ("X-A", "a\rX-Split: 1")),
    "a value with NUL": ("200 OK", ("X-A", "a\0b")),
    "a name with CR LF": ("200 OK", ("X-Split: 1\r\nX-A", "a")),
    "a status with CR LF": ("200 OK\r\nX-Split: 1", ("X-A", "a")),
}


def splitting(environ: Any, start_response: Any) -> Any:
    """Send one of :data:`SPLITTING`, which the query names by its number."""
    status, header = list(SPLITTING.values())[int(environ["QUERY_STRING"])]
    start_response(status, [TEXT, header, ("Content-Length", "2")])
    return [b"ok"]


def _key(environ: Any) -> str:
    key = environ["HTTP_SEC_WEBSOCKET_KEY"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()


def websocket(environ: Any, start_response: Any) -> Any:
    """Echo one message: by the server's own WebSocket, or over its socket, as Flask-Sock does it."""
    ready = environ.get("wsgi.websocket")
    if ready is not None:
        ready.send(ready.receive().upper())
        note(environ, "close")
        return []
    client = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    client.sendall(f"{head}Sec-WebSocket-Accept: {_key(environ)}\r\n\r\n".encode())
    frame = client.recv(100)
    mask, data = frame[2:6], frame[6:]
    text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data)).upper()
    client.sendall(bytes([0x81, len(text)]) + text)
    note(environ, "close")
    if "gunicorn.socket" in environ:
        raise StopIteration
    start_response("200 OK", [])
    return []


def notes(environ: Any, start_response: Any) -> Any:
    body = json.dumps(NOTES.pop(environ["QUERY_STRING"], [])).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


#: Answers that are the same whenever they are asked for; asked by GET and HEAD.
ANSWERS: dict[str, Callable[..., Any]] = {
    **{name: of_the_kernel(name) for name in APPS},
    "mindful of HEAD": mindful,
    "plain list": plain,
    "plain single": plain_single,
    "stream": stream,
    "empties": empties,
    "nothing, lazily": nothing_lazy,
    "lazy": lazy,
    "whole file": file,
    "end of a file": file_end,
    "part": part,
    "one empty chunk": one_empty,
    "echo": echo,
    "cookies": cookies,
}
OTHERS = {each.__name__: each for each in (events, endless, large, websocket, notes, splitting)}


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    name = environ["PATH_INFO"].rpartition("/")[2]
    app: Callable[..., Iterable[bytes]] = ANSWERS.get(name) or OTHERS[name]
    return app(environ, start_response)


# -- chains -------------------------------------------------------------------------------------------------


def logged(x: Any) -> None:
    note(x.environ, "log")


def unchanged(rw: Any, res: Any, req: Any) -> None:
    """Modify nothing of a response that was read whole for it."""


def all_logs() -> dict[str, dict[str, Any]]:
    """Every bundled plugin that logs, each at its sink."""
    udp = {"host": "127.0.0.1", "port": SINKS["udp"]}
    http = f"http://127.0.0.1:{SINKS['http']}/"
    return {
        "datadog": udp,
        "file-log": {"path": str(FOLDER / "log")},
        "galileo": {"service_token": "a", "host": "127.0.0.1", "port": SINKS["http"], "https": False},
        "http-log": {"http_endpoint": http},
        "loggly": {"key": "a", **udp},
        "prometheus": {},
        "statsd": udp,
        "syslog": {"address": str(FOLDER / "syslog")},
        "tcp-log": {"host": "127.0.0.1", "port": SINKS["tcp"]},
        "udp-log": udp,
        "zipkin": {"http_endpoint": http, "sample_ratio": 1},
    }


def all_bodies() -> dict[str, dict[str, Any]]:
    """Bundled plugins that may change a body, with nothing to change in these."""
    return {
        "response-transformer": {"add": {"json": ["a:1"]}},
        "response-modifier": {"function": unchanged},
        "galileo": {**all_logs()["galileo"], "log_bodies": True},
    }


#: Chains that leave every byte as it is, framing and all.
UNTOUCHED: dict[str, Callable[[], Any]] = {
    "none": list,
    "header": lambda: [nothing("rewrite", "access", "header_filter")],
    "log": lambda: [made(log=logged)],
    "timed": lambda: [made(log=logged, needs_timings=True)],
    "wrap": lambda: [made(log=logged), made("middle", wrap=wrapping)],
}
#: Chains that look at the body; a stream that is filtered has no length, and a whole one has its own.
FILTERED: dict[str, Callable[[], Any]] = {
    "body": lambda: [made(body_filter=lambda x, chunk, eof: chunk, log=logged)],
    "response": lambda: [made(response=lambda x: None, log=logged)],
    "everything": lambda: [
        made("whole", 2, access=lambda x: None, response=lambda x: len(x.body), log=logged),
        made("parts", 1, body_filter=lambda x, chunk, eof: chunk, needs_timings=True),
    ],
}  # fmt: skip
#: Chains of bundled plugins, by their configurations, and whether they look at bodies.
BUNDLED: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {"logs": all_logs, "bodies": all_bodies}
KINDS = [*UNTOUCHED, *FILTERED, *BUNDLED]
#: Of the kinds of chains, those under which an answer goes out in the app's own framing.
SAME_FRAMING = [*UNTOUCHED, "logs"]
PREFIXES: dict[str, Any] = {"bare": site}


def _under(kind: str) -> Any:
    """Return the site under a kind of chain, made when it is first asked for."""
    if kind not in PREFIXES:
        plugins: list[Any] = []
        document: dict[str, Any] = {"store": "memory://"}
        if kind in BUNDLED:
            document["plugins"] = [
                {"name": name, "config": config} for name, config in BUNDLED[kind]().items()
            ]
        elif kind == "exit":
            plugins = [made(access=lambda x: x.exit(403, "no entry"), log=logged)]
        else:
            plugins = {**UNTOUCHED, **FILTERED}[kind]()
        PREFIXES[kind] = Gateway(site, document, plugins=plugins)
    return PREFIXES[kind]


def application(environ: Any, start_response: Any) -> Iterable[bytes]:
    app: Callable[..., Iterable[bytes]] = _under(environ["PATH_INFO"].split("/")[1])
    return app(environ, start_response)


if __name__ == "__main__":
    sys.exit("this is served; see tests/servers/servers.py")
