"""The same raw bytes to a bare app and to the same app in gateways that do nothing: the same bytes back.

Requests and answers are generated, the same ones in every run; ``PLUGMW_SEED=7`` gives others.
"""

from __future__ import annotations

import os
import random
import re
import socket
import struct
from collections import Counter

import attrs
import pytest

from tests.support import raw
from tests.support.servers import Server
from tests.support.sinks import closed_port
from tests.support.waiting import until
from tests.support.wire import WORKERS, side_by_side
from tests.support.wsgi import APPS

SEED = int(os.environ.get("PLUGMW_SEED", "1"))
CASES = 600
#: In which the app is: without plugins, with some that leave bodies alone, with one that filters them.
GATEWAYS = ("none", "quiet", "filter")

SOURCE = """
    import hashlib, os
    from urllib.parse import parse_qs
    from plugmw import Gateway
    from tests.support.plugins import ALL, made, nothing, wrapping
    from tests.support.wsgi import APPS

    PORTS = os.environ["PORTS"].split(",")

    class Closed:
        def __init__(self, environ):
            self.name = f"{environ['SERVER_PORT']} {environ['QUERY_STRING']}"
        def append(self, what):
            os.write(1, f"CLOSED {self.name}\\n".encode("latin-1"))

    def data(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))

    READ = {
        "": lambda stream: b"",
        "all": lambda stream: stream.read(),
        "some": lambda stream: stream.read(5),
        "steps": lambda stream: b"|".join(iter(lambda: stream.read(3), b"")),
        "line": lambda stream: stream.readline(),
        "lines": lambda stream: b"|".join(stream),
    }

    def site(environ, start_response):
        asked = parse_qs(environ["QUERY_STRING"])
        name, way = asked.get("app", ["list"])[0], asked.get("read", [""])[0]
        body = READ.get(way, READ["all"])(environ["wsgi.input"])
        seen = sorted((k, str(v)) for k, v in environ.items() if k.isupper() and k not in PASSING)
        told = hashlib.md5(repr((seen, body)).encode()).hexdigest()

        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Told", told)], exc_info)

        inner = data if name == "data" else APPS.get(name, APPS["list"])(Closed(environ))
        return inner(environ, start)

    PASSING = ("REMOTE_PORT", "SERVER_PORT")
    CONFIG = {"store": "memory://"}
    GATEWAYS = dict(zip(PORTS, (
        Gateway(site, CONFIG),
        Gateway(site, CONFIG, plugins=[
            nothing(*(phase for phase in ALL if phase != "body_filter")), made(wrap=wrapping)]),
        Gateway(site, CONFIG, plugins=[nothing(*ALL, keeps_length=True)]),
    )))

    def app(environ, start_response):
        return GATEWAYS.get(environ["SERVER_PORT"], site)(environ, start_response)
"""

METHODS = ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
ODD_METHODS = [*METHODS, "TRACE", "CONNECT", "M-SEARCH", "get", "G#T", ""]
ODD_VERSIONS = ["HTTP/1.1"] * 9 + ["HTTP/1.0"] * 5
ODD_VERSIONS += ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", ""]
ODD_TARGETS = ["/"] * 6 + ["http://test.example/a", "https://other.example:8080/", "*", "test.example:80"]
ODD_TARGETS += ["//a/b", "/a/../b", "/%2e%2e/%61", "/a;b=c", "/%00%0d%0a", "/%c3%a9", "/a%2fb", "/a#b"]
ODD_TARGETS += ["/\xe9", "/ a", "/" + "a" * 5000, ""]
HEADERS = [
    *("X-Empty:", "X-Blanks: \t a b \t ", "X-Twice: 1\r\nX-Twice: 2", "Cookie: a=1\r\nCookie: b=2"),
    *("X-Latin: \xe9\xff", "X_Underscore: 1", "X-Long: " + "a" * 3000, "SCRIPT_NAME: /a", "Trailer: X-A"),
    *("Connection: keep-alive", "Connection: close", "connection: Close", "Connection: X-Twice, TE"),
    *("Upgrade: websocket\r\nConnection: Upgrade", "TE: trailers", "Keep-Alive: 5", "Accept-Encoding: gzip"),
    *("Expect: 100-continue", "expect: 100-Continue", "X-Forwarded-Proto: https", "X-Forwarded-For: 1.2.3.4"),
    *("Range: bytes=0-1", "If-None-Match: *", "Accept: text/html", "Content-Type: text/plain"),
]
#: The server refuses these by itself.
BAD_HEADERS = [
    *("Host: other.example", "Content-Type: a/b\r\nContent-Type: c/d", "Expect: 200-ok", " X-Folded: 1"),
    *("X-Blank : 1", "No colon", ": 1", "X-Zero: a\x00b", "X-Feed: a\nX-Hidden: b"),
]
READS = ["", "all", "all", "some", "steps", "line", "lines"]
BODIES = [b"", b"a", b"one\ntwo\nthree", b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n", bytes(range(256)) * 8]
BAD_LENGTHS = ["+1", "1_0", "", "5", "-1", "1, 1", "999999"]


@attrs.frozen
class Case:
    """What a client sends; ``reset``: and then it is gone, without having read anything."""

    data: bytes
    reset: bool


def cases(seed: int, count: int) -> list[Case]:
    dice = random.Random(seed)
    return [a_case(dice, number) for number in range(count)]


def a_case(dice: random.Random, number: int) -> Case:
    asked = [a_request(dice, f"{number}.{place}") for place in range(dice.choice((1, 1, 1, 2, 3, 4)))]
    data = b"".join(asked)
    if dice.random() < 0.15:
        data = data[: dice.randrange(len(data) + 1)]
    return Case(data, dice.random() < 0.05)


def a_request(dice: random.Random, name: str) -> bytes:
    """Return a request; every other one has something odd about it, of which gunicorn refuses some."""
    odd = dice.random() < 0.5
    method = dice.choice(ODD_METHODS if odd else METHODS)
    target = dice.choice(ODD_TARGETS) if odd else "/"
    app = dice.choice(["data", *APPS]).replace(" ", "%20")
    version = dice.choice(ODD_VERSIONS) if odd else "HTTP/1.1"
    lines = [f"{method} {target}?app={app}&read={dice.choice(READS)}&id={name} {version}"]
    if dice.random() < 0.97:
        lines.append("Host: test.example")
    lines += dice.sample(HEADERS, dice.choice((0, 0, 1, 2, 3)))
    if odd and dice.random() < 0.1:
        lines.append(dice.choice(BAD_HEADERS))
    framing, body = a_body(dice)
    return "\r\n".join([*lines, *framing, "", ""]).encode("latin-1") + body


def a_body(dice: random.Random) -> tuple[list[str], bytes]:
    """Return framing headers and what follows the head; they fit together in most cases."""
    kind = dice.random()
    if kind < 0.4:
        return [], b""
    body = dice.choice(BODIES)
    if kind < 0.65:
        return [f"Content-Length: {len(body)}"], body
    if kind < 0.7:
        return [f"Content-Length: {dice.choice(BAD_LENGTHS)}"], body
    coding = "gzip, chunked" if dice.random() < 0.05 else "chunked"
    length = ["Content-Length: 3"] if dice.random() < 0.05 else []
    return [f"Transfer-Encoding: {coding}", *length], in_chunks(dice, body)


def in_chunks(dice: random.Random, rest: bytes) -> bytes:
    made = b""
    while rest:
        size = dice.randint(1, len(rest))
        made += b"%x%s\r\n%s\r\n" % (size, dice.choice((b"", b"", b";a=b")), rest[:size])
        rest = rest[size:]
    ends = [b"0\r\n\r\n"] * 12 + [b"0\r\nX-Trailer: 1\r\n\r\n", b"x\r\n\r\n", b"0\r\n", b""]
    return made + dice.choice(ends)


def observed(port: int, case: Case) -> bytes:
    """Return all that came back, but for the time of day."""
    with raw.connect(port) as client:
        client.sendall(case.data)
        if case.reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        try:
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has hung up already
        return re.sub(rb"\r\nDate: [^\r]*", b"\r\nDate: -", raw.read_all(client))


@pytest.fixture(params=WORKERS)
def servers(request, gunicorn):
    """The ports of the gateways in their order, and the server, whose own port is the app's alone."""
    ports = [closed_port() for _ in range(3)]
    more = [option for port in ports for option in ("--bind", f"127.0.0.1:{port}")]
    return ports, gunicorn(
        SOURCE,
        workers=2,
        worker_class=request.param,
        args=[*more, *WORKERS[request.param]],
        env={"PORTS": ",".join(map(str, ports))},
    )


def closed(server: Server, port: int, without: set[str]) -> Counter[str]:
    """Return what was closed behind a port, by its query; of those who hung up nobody can know."""
    lines = (line.partition("CLOSED ")[2] for line in server.log().split("\n"))
    named = (line.partition(" ") for line in lines)
    queries = [query for number, _, query in named if number == str(port)]
    return Counter(query for query in queries if query.rpartition("=")[2].partition(".")[0] not in without)


def test_a_gateway_that_does_nothing_changes_no_byte(servers):
    ports, server = servers
    pids = server.worker_pids()
    every = cases(SEED, CASES)

    def both(case: Case) -> tuple[bytes, list[bytes]]:
        return observed(server.port, case), [observed(port, case) for port in ports]

    different = []
    statuses: Counter[int] = Counter()
    for case, (alone, under) in zip(every, side_by_side(both, every)):
        statuses[raw.Answer(alone).status if alone else 0] += 1
        for kind, found in zip(GATEWAYS, under):
            # What an app takes back before its first byte, gunicorn sends all the same, if it has seen it.
            if found != alone and not (kind == "filter" and b"exc_info%20before" in case.data):
                different.append((kind, case.data[:500], alone[-500:], found[-500:]))
    assert different == []
    # The dice did try everything.
    assert min(statuses[status] for status in (0, 200, 204, 304, 400, 500)) > 5, statuses
    gone = {str(number) for number, case in enumerate(every) if case.reset}
    alone = until(lambda: closed(server, server.port, gone))
    for port in ports:
        until(lambda: closed(server, port, gone) == closed(server, server.port, gone))
    assert server.worker_pids() == pids
