"""Answer every request, or those that carry a trigger, without asking the app.

    plugins:
      - name: request-termination
        config:
          status_code: 503
          message: Back at noon

The client sees ``status_code`` with ``{"message": ...}`` (a default text for some statuses, an empty body for
the others), with ``body`` as it is written, or with ``echo`` a JSON description of its own request.
``trigger`` is a header or query parameter without which requests go on. Nearly last in the order:
authentication, limits and transformers have run.

Fails closed. Contract: Kong's request-termination (``kong/plugins/request-termination``).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from typing import Final

from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import stable_id
from plugmw.kernel.plugin import Plugin
from plugmw.schema import Finding, config, field, matches
from plugmw.telemetry.log_entry import grouped
from plugmw.transform.rules import parse_json, write_json
from plugmw.wsgi.answer import check_header
from plugmw.wsgi.forms import FORM, JSON, MULTIPART, media_type, pair_values, read_form, read_parts
from plugmw.wsgi.headers import cgi_key, headers_in
from plugmw.wsgi.redaction import Redaction
from plugmw.wsgi.text import decode

MESSAGES: Final = {
    401: "Unauthorized",
    404: "Not found",
    405: "Method not allowed",
    500: "An unexpected error occurred",
    502: "Bad Gateway",
    503: "Service unavailable",
}
#: Names under which credentials come, beside Authorization and those of the gateway's own plugins.
_SECRET: Final = (
    *("cookie", "apikey", "api-key", "x-api-key", "x-auth-token", "access-token", "jwt", "token"),
    *("password", "client-secret"),
)
_CREDENTIALS: Final = Redaction.of(_SECRET, _SECRET)
#: What is in an echo comes from the client: no browser may take it for anything but JSON.
_ECHO: Final = {"Content-Type": "application/json; charset=utf-8", "X-Content-Type-Options": "nosniff"}
_PORT: Final = re.compile(r"(?:[^:]*|\[.*\]):[0-9]{1,5}").fullmatch
_NAME: Final = matches("[A-Za-z0-9_-]+", "a header name of letters, digits, _ and -")


@config
class Config:
    """``message``, ``body`` and ``echo`` are three ways to answer; an empty text counts as not given."""

    status_code: int = field(503, help="Status of the answer, 200 to 599.")
    message: str | None = field(None, empty=True, help="Text for `message` in a JSON answer.")
    body: str | None = field(None, empty=True, help="Body sent as it is.")
    content_type: str | None = field(None, empty=True, help="Content-Type of `body`; none without it.")
    echo: bool = field(False, help="Whether to answer with a description of the request.")
    echo_credentials: bool = field(False, help="Whether `echo` shows credentials as they came.")
    echo_node: str = field("node", help="Name of the member about the server; in Kong it is `kong`.")
    trigger: str | None = field(None, _NAME, help="Header or query parameter that a request must have.")

    def check(self) -> Iterator[Finding]:
        if not 100 <= self.status_code <= 599:
            yield "status_code", f"got {self.status_code}, value should be between 100 and 599"
        elif self.status_code < 200:
            problem = f"got {self.status_code}, which a WSGI app cannot send as its answer"
            yield "status_code", f"{problem}; value should be between 200 and 599"
        if self.message and (self.body or self.content_type):
            yield "message cannot be used with content_type or body"
        if self.content_type and not self.body:
            yield "content_type requires a body"
        if self.echo and (self.body or self.content_type):
            yield "echo cannot be used with content_type and body"
        try:
            check_header("Content-Type", self.content_type or "")
        except ValueError as error:
            yield "content_type", str(error)


class RequestTermination(Plugin[Config]):
    """Phases: access."""

    name, priority, Config = "request-termination", 2, Config
    fail_closed = True

    def access(self, x: Exchange) -> None:
        c = self.config
        if c.trigger and not _has(x, c.trigger):
            return
        message = c.message or MESSAGES.get(c.status_code)
        if c.echo:
            host = socket.gethostname()
            node = {"node_id": stable_id(host), "worker_pid": os.getpid(), "hostname": host}
            redaction = Redaction() if c.echo_credentials else _CREDENTIALS.within(x)
            echo = {"message": message, c.echo_node: node, **described(x, redaction)}
            x.exit(c.status_code, write_json(echo), _ECHO)
        if c.body:
            kind = {"Content-Type": c.content_type} if c.content_type else None
            x.exit(c.status_code, c.body.encode(), kind)
        x.exit(c.status_code, None if message is None else {"message": message})


def _has(x: Exchange, name: str) -> bool:
    return cgi_key(name) in x.environ or bool(pair_values(x.environ.get("QUERY_STRING", ""), name))


def described(x: Exchange, redaction: Redaction) -> dict[str, object]:
    """Return what was asked, without what is to be left out. Reads the body."""
    environ = x.environ
    host, _, port = x.host.rpartition(":") if _PORT(x.host) else (x.host, "", environ.get("SERVER_PORT", ""))
    data = x.read_body()
    captures = x.captures
    request: dict[str, object] = {
        "scheme": x.scheme,
        "host": decode(host, "replace"),
        "port": int(port) if port.isdecimal() else None,
        "method": x.method,
        "path": decode(x.path, "replace"),
        "headers": {name: redaction.header(name, value) for name, value in headers_in(environ)},
        "query": grouped(redaction.pairs(environ.get("QUERY_STRING", ""))),
        "raw_body": data.decode("utf-8", "replace"),
        "uri_captures": {
            "named": {name: decode(value, "replace") for name, value in captures["named"].items()},
            "unnamed": [decode(value, "replace") for value in captures["unnamed"]],
        },
    }
    body = parsed(environ.get("CONTENT_TYPE", ""), data)
    if body is not None:
        request["body"] = body
    facts: dict[str, object] = {"request": request}
    if x.route is not None:
        facts["matched_route"] = x.route.described()
    if x.service_facts:
        facts["matched_service"] = dict(x.service_facts)
    return facts


def parsed(content_type: str, data: bytes) -> object:
    """Return a form or multipart body as names to values, a JSON one as its value; None for all else."""
    kind, boundary = media_type(content_type)
    try:
        if kind == FORM:
            pairs = read_form(data)
            return grouped((name, True if value is None else value) for name, value in pairs)
        if kind == MULTIPART:
            parts = [part for part in read_parts(data, boundary) if part.name]
            return grouped((str(part.name), part.content.decode("utf-8", "replace")) for part in parts)
        if kind == JSON:
            value = parse_json(data)
            write_json(value)
            return value
    except ValueError:
        pass
    return None
