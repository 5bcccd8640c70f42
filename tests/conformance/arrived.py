"""What arrived at a sink against what a log case expects: a function per key of ``expect.sink``."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from tests.conformance.match import Headers, any_order, matched
from tests.conformance.sinks import Request, Sink


def problems_of(wanted: dict[str, Any], sink: Sink, scrape: str = "") -> list[str]:
    """Check every key; an unknown one is a problem."""
    arrived = Arrived(sink, scrape, wanted.get("ignore_lines"))
    problems: list[str] = []
    for key, value in wanted.items():
        check: Callable[[Any], list[str]] | None = getattr(arrived, f"check_{key}", None)
        if check is None:
            problems.append(f"unknown key {key!r} in expect.sink")
            continue
        try:
            problems += check(value)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            problems.append(f"sink {key}: {type(error).__name__}: {error}")
    return problems


class Arrived:
    """What a sink has, as the keys of ``expect.sink`` look at it."""

    def __init__(self, sink: Sink, scrape: str, ignored: str | None) -> None:
        self.sink = sink
        self.requests = list(sink.requests)
        self.messages = [message.decode("utf-8", "replace") for message in sink.messages]
        lines = [line for message in self.messages for line in message.splitlines()]
        self.lines = [line for line in lines if not (ignored and re.fullmatch(ignored, line))]
        self.scrape = scrape

    @property
    def text(self) -> str:
        bodies = [request.body.decode("utf-8", "replace") for request in self.requests]
        return "\n".join([*self.messages, *bodies, self.scrape])

    @property
    def entries(self) -> list[Any]:
        """The JSON of each message, behind the head that syslog gives it."""
        return [json.loads(message[message.index("{") :]) for message in self.messages]

    @property
    def alf_entries(self) -> list[Any]:
        """The entries in all ALFs; a batch is a list of them."""
        bodies = [one for r in self.requests for one in (r.json if isinstance(r.json, list) else [r.json])]
        return [entry for body in bodies for entry in body["har"]["log"]["entries"]]

    # -- requests -----------------------------------------------------------------------------------

    def check_count(self, wanted: int) -> list[str]:
        return matched("sink count", wanted, len(self.requests))

    def check_body_is(self, wanted: str) -> list[str]:
        found = [r.json for r in self.requests]
        return [p for body in found for p in matched("sink body_is", {"$type": wanted}, body)]

    def check_all_bodies_equal(self, wanted: bool) -> list[str]:
        return matched("sink all_bodies_equal", wanted, len({r.body for r in self.requests}) == 1)

    def check_requests(self, wanted: list[dict[str, Any]]) -> list[str]:
        if len(wanted) != len(self.requests):
            return [f"sink requests: expected {len(wanted)}, found {len(self.requests)}"]
        pairs = enumerate(zip(wanted, self.requests, strict=True))
        return [p for i, (want, request) in pairs for p in _request(f"sink requests[{i}]", want, request)]

    def check_signature_valid_for(self, secret: str) -> list[str]:
        wrong = [r.path for r in self.requests if not signed(r, secret)]
        return [f"sink: the signature of {path} is not that of the secret" for path in wrong] or (
            [] if self.requests else ["sink: no signed request"]
        )

    # -- messages -----------------------------------------------------------------------------------

    def check_messages(self, wanted: int) -> list[str]:
        return matched("sink messages", wanted, len(self.messages))

    def check_lines(self, wanted: int) -> list[str]:
        return matched("sink lines", wanted, len(self.messages))

    def check_newlines(self, wanted: int) -> list[str]:
        return matched("sink newlines", wanted, "".join(self.messages).count("\n"))

    def check_json(self, wanted: list[Any]) -> list[str]:
        return matched("sink json", wanted, self.entries)

    def check_starts_with(self, wanted: str) -> list[str]:
        return self._each("starts_with", wanted, lambda message: message.startswith(wanted))

    def check_ends_with(self, wanted: str) -> list[str]:
        return self._each("ends_with", wanted, lambda message: message.endswith(wanted))

    def _each(self, key: str, wanted: str, good: Callable[[str], bool]) -> list[str]:
        if not self.messages:
            return [f"sink {key}: expected {wanted!r}, nothing came"]
        bad = [message for message in self.messages if not good(message)]
        return [f"sink {key}: expected {wanted!r}, found {message[:200]!r}" for message in bad]

    def check_messages_after_restart(self, wanted: Any) -> list[str]:
        return matched("sink after restart", wanted, "".join(self.messages[self.sink.restarted_at :]))

    def check_check(self, wanted: str) -> list[str]:
        return _holds("sink check", wanted, self.entries)

    # -- lines of metrics ---------------------------------------------------------------------------

    def check_ignore_lines(self, wanted: str) -> list[str]:
        return []

    def check_line_count(self, wanted: int) -> list[str]:
        found = matched("sink line_count", wanted, len(self.lines))
        return [f"{problem}: {self.lines}" for problem in found]

    def check_lines_any_order(self, wanted: list[Any]) -> list[str]:
        problems = any_order("sink line", wanted, self.lines)
        if len(self.lines) != len(wanted):
            problems.append(f"sink lines: expected {len(wanted)}, found {self.lines}")
        return problems

    def check_first_lines_any_order(self, wanted: list[Any]) -> list[str]:
        return any_order("sink line", wanted, self.lines[: len(wanted)])

    def check_contains_line(self, wanted: str) -> list[str]:
        return [] if wanted in self.lines else [f"sink: expected the line {wanted!r}, found {self.lines}"]

    def check_some_line_matches(self, wanted: list[str]) -> list[str]:
        left = [one for one in wanted if not any(re.fullmatch(one, line) for line in self.lines)]
        return [f"sink: expected a line like {one!r}, found {self.lines}" for one in left]

    def check_matches(self, wanted: str) -> list[str]:
        bad = [line for line in self.lines if not re.fullmatch(wanted, line)]
        return [
            f"sink: expected {wanted!r}, found {line!r}" for line in bad or ([] if self.lines else ["none"])
        ]

    def check_every_line_starts_with(self, wanted: str) -> list[str]:
        bad = [line for line in self.lines if not line.startswith(wanted)]
        return [
            f"sink: expected {wanted!r} first, found {line!r}" for line in bad or ([] if self.lines else [""])
        ]

    def check_never_contains(self, wanted: list[str]) -> list[str]:
        return [
            f"sink: expected no {one!r}, found {self.text[:1000]!r}" for one in wanted if one in self.text
        ]

    def check_datagrams(self, wanted: list[Any]) -> list[str]:
        return matched("sink datagrams", wanted, self.messages)

    def check_tags(self, wanted: dict[str, Any]) -> list[str]:
        found = [
            dict(tag.split(":", 1) for tag in line.partition("|#")[2].split(",") if tag)
            for line in self.lines
        ]
        return [p for tags in found or [{}] for p in matched("sink tags", wanted, tags)]

    # -- spans, ALFs, samples -----------------------------------------------------------------------

    @property
    def spans(self) -> list[Any]:
        return [span for request in self.requests for span in request.json]

    def check_spans(self, wanted: list[Any]) -> list[str]:
        return any_order("sink span", wanted, self.spans)

    def check_span_count(self, wanted: int) -> list[str]:
        return matched("sink span_count", wanted, len(self.spans))

    def check_entry_contains(self, wanted: dict[str, list[Any]]) -> list[str]:
        problems = [] if self.alf_entries else ["sink: no entry came"]
        for entry in self.alf_entries:
            for path, items in wanted.items():
                found: Any = entry
                for piece in path.split("."):
                    found = found[piece]
                problems += any_order(f"sink {path}", items, found)
        return problems

    def check_entry_check(self, wanted: str) -> list[str]:
        return _holds("sink entry_check", wanted, self.alf_entries)

    @property
    def samples(self) -> list[dict[str, Any]]:
        """The samples of a scrape: name, labels, value."""
        found = re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", self.scrape, re.MULTILINE)
        return [
            {
                "name": name,
                "labels": dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)),
                "value": float(value),
            }
            for name, labels, value in found
        ]

    def check_samples(self, wanted: list[Any]) -> list[str]:
        return any_order("sink sample", wanted, self.samples)

    def check_bucket_bounds(self, wanted: dict[str, list[float]]) -> list[str]:
        problems = []
        for name, bounds in wanted.items():
            found = {s["labels"]["le"] for s in self.samples if s["name"] == f"{name}_bucket"} - {"+Inf"}
            problems += matched(f"sink {name}", bounds, sorted(map(float, found)))
        return problems


_REQUEST_KEYS = {"method", "path", "headers", "json", "json_length"}


def _request(where: str, wanted: dict[str, Any], request: Request) -> list[str]:
    problems = [f"{where}: unknown key {key!r}" for key in sorted(set(wanted) - _REQUEST_KEYS)]
    for key in _REQUEST_KEYS & set(wanted):
        found = len(request.json) if key == "json_length" else getattr(request, key)
        problems += matched(f"{where}.{key}", wanted[key], found)
    return problems


_ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Compare, ast.Eq, ast.GtE, ast.LtE, ast.BinOp, ast.Add),
    *(ast.Name, ast.Attribute, ast.Constant, ast.Load),
)


def _holds(where: str, check: str, entries: list[Any]) -> list[str]:
    """Check sums and comparisons of the fields of each entry."""
    tree = ast.parse(check, mode="eval")
    odd = [type(node).__name__ for node in ast.walk(tree) if not isinstance(node, _ALLOWED)]
    if odd or not entries:
        return [f"{where}: {f'{odd[0]} in {check!r} is not understood' if odd else 'nothing came'}"]
    problems = []
    for entry in entries:
        names = vars(json.loads(json.dumps(entry), object_hook=lambda found: SimpleNamespace(**found)))
        if not eval(compile(tree, where, "eval"), {"__builtins__": {}}, names):
            problems.append(
                f"{where}: expected {check}, found {entry.get('latencies') or entry.get('timings')}"
            )
    return problems


def signed(request: Request, secret: str) -> bool:
    """Say whether a request carries AWS's signature, version 4, by ``secret``."""
    pattern = r"AWS4-HMAC-SHA256 Credential=[^/]+/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)"
    found = re.fullmatch(pattern, request.headers.get("authorization", ""))
    if not found:
        return False
    scope, names, signature = found.groups()
    parts = urlsplit(request.path)
    query: Headers = sorted(parse_qsl(parts.query, keep_blank_values=True))
    canonical = "\n".join(
        (
            request.method,
            quote(parts.path, safe="/-_.~"),
            "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    stamp = request.headers.get("x-amz-date", "")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for piece in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
        key = hmac.digest(key, piece.encode(), "sha256")
    return hmac.compare_digest(key.hex(), signature)
