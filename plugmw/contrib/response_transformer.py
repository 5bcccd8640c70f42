"""Change the headers and the top-level JSON members of responses.

    plugins:
      - name: response-transformer
        config:
          remove: {headers: [Server], json: [password]}
          add: {headers: ["X-Frame-Options:DENY"], json: ["version:2"], json_types: [number]}

The order is remove, rename, replace, add, append. Every answer passes, refusals of other plugins too, and
the status never changes. A body is read only if there are rules for it and it is uncompressed JSON: then it
is collected, changed and sent with its new Content-Length. All others stay what they are, byte for byte,
streams and files included; so do bodies above ``max_body`` (see ``oversize``), bodies that are no JSON object
and parts of one (206).

Contract: Kong's response-transformer (``kong/plugins/response-transformer``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from plugmw.kernel.plugin import Plugin
from plugmw.kernel.response import RespondingExchange
from plugmw.schema import at_least, config, field
from plugmw.transform.rules import (
    HeaderRules,
    JSONRules,
    Problems,
    cut,
    header_problems,
    is_json,
    name_problems,
    pair_problems,
    parse_json,
    rename_problems,
    typed_pairs,
    write_json,
)

Checker = Callable[[Iterable[str]], Problems]


def _placed(name: str, entries: Iterable[str], problems: Checker) -> Iterator[tuple[str, str]]:
    for index, text in problems(entries):
        yield f"{name}[{index}]", text


@config
class Removals:
    """What to take away."""

    headers: list[str] = field([], help="Names; what follows a colon is ignored.")
    json: list[str] = field([], help="Names of members; what follows a colon is ignored.")

    def check(self) -> Iterator[tuple[str, str]]:
        yield from _placed("headers", self.headers, name_problems)


@config
class Renames:
    """What to give another name."""

    headers: list[str] = field([], help="Entries `old:new`.")
    json: list[str] = field([], help="Entries `old:new`.")

    def check(self) -> Iterator[tuple[str, str]]:
        yield from _placed("headers", self.headers, rename_problems)
        yield from _placed("json", self.json, pair_problems)


@config
class Values:
    """What to set."""

    headers: list[str] = field([], help="Entries `name:value`.")
    json: list[str] = field([], help="Entries `name:value`.")
    json_types: list[Literal["boolean", "number", "string"]] = field(
        [], help="How the values of `json` are read, by position; text if left out."
    )

    def check(self) -> Iterator[tuple[str, str]]:
        yield from _placed("headers", self.headers, header_problems)
        yield from _placed("json", self.json, pair_problems)


@config
class Config:
    """Five operations on headers and on JSON members."""

    remove: Removals = field(Removals(), help="Headers and members to take away.")
    rename: Renames = field(Renames(), help="Headers and members to give another name.")
    replace: Values = field(Values(), help="Values for headers and members that are there.")
    add: Values = field(Values(), help="Headers and members to add if they are missing.")
    append: Values = field(Values(), help="Headers to add in any case, and values to add to members.")
    max_body: int | None = field(
        None, at_least(1), help="Bytes of JSON collected; the gateway's `max_response_body` if left out."
    )
    oversize: Literal["pass", "fail"] = field(
        "pass", help="A larger body: `pass` it on as it is and log that, or `fail` with 500."
    )


class ResponseTransformer(Plugin[Config]):
    """Phases: header_filter, body_filter."""

    name, priority, Config = "response-transformer", 800, Config

    def configure(self) -> None:
        c = self.config
        lists = (c.remove, c.rename, c.replace, c.add, c.append)
        self._headers = HeaderRules.read(*(each.headers for each in lists))
        self._members = JSONRules(
            tuple(cut(entry)[0] for entry in c.remove.json),
            tuple(map(cut, c.rename.json)),
            *(typed_pairs(each.json, each.json_types) for each in (c.replace, c.add, c.append)),
        )
        self._most = c.max_body or self.runtime.max_response_body
        # Asked for every response, so answered without a call.
        self._any_header, self._any_member = bool(self._headers), bool(self._members)

    def header_filter(self, x: RespondingExchange) -> None:
        if self._any_header:
            x.header_list = self._headers.apply(x.header_list or [])
        if self._any_member:
            # An app that starts again, for an error, begins a new body.
            x.state(self).pop("held", None)
            if x.method == "HEAD" and _is_plain_json(x):
                # What GET would be answered has another length and ETag; only its body tells them.
                x.forget_body_headers()

    def wants_body(self, x: RespondingExchange) -> bool:
        """Say whether this body is to be changed. Asked when status and headers are final."""
        if not _is_plain_json(x):
            return False
        if self.config.oversize == "fail" or _declared(x) <= self._most:
            return True
        self._too_large(x)
        return False

    @property
    def body_filter(self) -> Callable[[RespondingExchange, bytes, bool], bytes]:
        """The phase; absent without rules for bodies, so that the chain does not even ask."""
        if not self._any_member:
            raise AttributeError("body_filter")
        return self._filter

    def _filter(self, x: RespondingExchange, chunk: bytes, eof: bool) -> bytes:
        held: bytearray | None = x.state(self).setdefault("held", bytearray())
        if held is None:
            return chunk
        held += chunk
        if len(held) > self._most:
            if self.config.oversize == "fail":
                raise ValueError(f"the JSON body is larger than max_body, {self._most} bytes")
            self._too_large(x)
            x.state(self)["held"] = None
            return bytes(held)
        return self._changed(x, bytes(held)) if eof else b""

    def _changed(self, x: RespondingExchange, body: bytes) -> bytes:
        """Return the body as the rules make it; unchanged if it is no JSON object."""
        if not body:
            return body
        try:
            members: object = parse_json(body)
            if not isinstance(members, dict) or not self._members.apply(members):
                return body
            made = write_json(members)
        except ValueError as error:
            self.logger.warning("body passed on unchanged, no JSON: %s (request %s)", error, x.request_id)
            return body
        x.forget_body_headers()
        return made

    def _too_large(self, x: RespondingExchange) -> None:
        text = "body passed on unchanged, it is larger than max_body, %d bytes (request %s)"
        self.logger.warning(text, self._most, x.request_id)


def _is_plain_json(x: RespondingExchange) -> bool:
    """Say whether the response is a whole, uncompressed JSON text."""
    encoding = x.response_header("content-encoding")
    return (
        is_json(x.response_header("content-type") or "")
        and (encoding is None or encoding.strip().lower() == "identity")
        and x.status != 206
    )


def _declared(x: RespondingExchange) -> int:
    """Return the Content-Length, 0 if there is none."""
    text = x.response_header("content-length") or ""
    return int(text) if text.isascii() and text.isdigit() else 0
