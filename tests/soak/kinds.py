"""The kinds of requests in a soak: what is sent, and what the answer has to be.

kind = pick(random)
data = write(kind, "3-17", random, close=False)
kind.wanted(who, body)                   # status and body of the answer; None is one that is cut
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import attrs

#: What the app sends as a file.
FILE = b"0123456789abcdef" * 1250
KEY = "soak-key-0123456789"
ORIGIN = "https://shop.example"
#: Bytes of a request body that are let through.
LIMIT = 65536
#: Bytes of a request body, at most; more may still be on the way when an answer is complete.
LARGEST = 6000
#: Bytes of each piece of a body that is streamed.
CHUNK = 65536


def lines(who: str, count: int) -> list[bytes]:
    """Return the chunks of an answer, each of which says whose it is."""
    return [f"{who}:{number}\n".encode() for number in range(count)]


def text(count: int, tail: str = "") -> Callable[[str, bytes], bytes]:
    return lambda who, sent: b"".join(lines(who, count)) + (tail + who if tail else "").encode()


def echo(who: str, sent: bytes) -> bytes:
    return sent


def changed(who: str, sent: bytes) -> bytes:
    """Return what request-transformer has made of a JSON body."""
    return json.dumps({**json.loads(sent), "soak": "1"}, separators=(",", ":")).encode()


def fixed(body: bytes) -> Callable[[str, bytes], bytes]:
    return lambda who, sent: body


def refused(who: str, sent: bytes) -> bytes:
    return f"no {who}".encode()


def refused_and_filtered(who: str, sent: bytes) -> bytes:
    return f"no {who}for {who}".encode()


nothing = fixed(b"")


@attrs.frozen
class Kind:
    """One kind of request. ``body`` of the answer is not looked at if None; ``cut``: it must not end."""

    path: str
    body: Callable[[str, bytes], bytes] | None = nothing
    status: int = 200
    method: str = "GET"
    headers: tuple[str, ...] = ()
    #: What is sent as the body: nothing, ``bytes``, ``json``; or a Content-Length without what it promises.
    sends: str = ""
    chunked: bool = False
    cut: bool = False
    #: Whether X-Soak-Seen says whose the answer is: not if a header filter failed or the server answered.
    seen: bool = True


def does(what: str) -> tuple[str, ...]:
    return (f"X-Soak-Do: {what}",)


KINDS = {
    "list": Kind("/plain/list", text(3)),
    "head": Kind("/plain/list", method="HEAD"),
    "head of a filtered stream": Kind("/filtered/stream", method="HEAD"),
    "unrouted": Kind("/list", text(3)),
    "stream": Kind("/plain/stream", text(20)),
    "late": Kind("/plain/late", text(5)),
    "write": Kind("/plain/write", text(3)),
    "file": Kind("/plain/file", fixed(FILE)),
    "filtered list": Kind("/filtered/list", text(3, "for ")),
    "filtered stream": Kind("/filtered/stream", text(20, "for ")),
    "filtered late": Kind("/filtered/late", text(5, "for ")),
    "filtered write": Kind("/filtered/write", text(3, "for ")),
    "filtered file": Kind("/filtered/file", lambda who, sent: FILE + f"for {who}".encode()),
    "whole stream": Kind("/whole/stream", text(20)),
    "whole late": Kind("/whole/late", text(5)),
    "wrapped stream": Kind("/wrapped/stream", text(20)),
    "preflight": Kind(
        "/plain/list",
        None,
        method="OPTIONS",
        headers=(f"Origin: {ORIGIN}", "Access-Control-Request-Method: PUT"),
    ),
    "204": Kind("/filtered/204", status=204),
    "304": Kind("/plain/304", status=304),
    "echo": Kind("/plain/echo", echo, method="POST", sends="bytes"),
    "chunked echo": Kind("/plain/echo", echo, method="POST", sends="bytes", chunked=True),
    "filtered chunked echo": Kind(
        "/filtered/echo",
        lambda who, sent: sent + f"for {who}".encode(),
        method="POST",
        sends="bytes",
        chunked=True,
    ),
    "changed body": Kind("/changed/echo", changed, method="POST", sends="json"),
    "changed chunked body": Kind("/changed/echo", changed, method="POST", sends="json", chunked=True),
    "unread body": Kind("/plain/stream", text(20), method="POST", sends="bytes"),
    "too large": Kind("/plain/echo", None, 413, method="POST", sends="promise"),
    "key": Kind("/secret/list", text(3), headers=(f"apikey: {KEY}",)),
    "no key": Kind("/secret/list", None, 401),
    "exit in rewrite": Kind("/plain/list", refused, 403, headers=does("exit-rewrite")),
    "exit in access": Kind("/filtered/stream", refused_and_filtered, 403, headers=does("exit-access")),
    "exit in header_filter": Kind(
        "/filtered/stream", refused_and_filtered, 403, headers=does("exit-header"), seen=False
    ),
    "failure in rewrite": Kind("/plain/list", None, 500, headers=does("fail-rewrite")),
    "failure in access": Kind("/plain/echo", None, 500, "POST", does("fail-access"), sends="bytes"),
    "failure in header_filter": Kind("/plain/stream", None, 500, headers=does("fail-header"), seen=False),
    "failure in body_filter": Kind("/filtered/stream", None, 500, headers=does("fail-body"), seen=False),
    "failure in body_filter later": Kind("/filtered/stream", None, headers=does("fail-tail"), cut=True),
    "failure in log": Kind("/plain/stream", text(20), headers=does("fail-log")),
    "error": Kind("/plain/error", None, 500, seen=False),
    "half": Kind("/plain/half", None, cut=True),
    "filtered half": Kind("/filtered/half", None, cut=True),
}
_NAMES = list(KINDS)


def pick(random: Random) -> str:
    return random.choice(_NAMES)


def payload(kind: Kind, who: str, random: Random) -> bytes:
    """Make a body."""
    filler = "x" * random.randrange(LARGEST)
    if kind.sends == "json":
        return json.dumps({"who": who, "filler": filler}, separators=(",", ":")).encode()
    return f"{who} {filler}".encode() if kind.sends == "bytes" else b""


def write(kind: Kind, who: str, body: bytes, close: bool) -> bytes:
    """Write a request as it goes out."""
    head = [f"{kind.method} {kind.path} HTTP/1.1", "Host: soak.example", f"X-Soak: {who}", *kind.headers]
    if close:
        head.append("Connection: close")
    if kind.sends == "json":
        head.append("Content-Type: application/json")
    if kind.chunked:
        head.append("Transfer-Encoding: chunked")
        body = b"".join(_chunk(body[at : at + 1000]) for at in range(0, len(body), 1000)) + _chunk(b"")
    elif kind.sends:
        head.append(f"Content-Length: {2 * LIMIT if kind.sends == 'promise' else len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
