"""The app behind every gateway, and the five features in the app's process: by hand, and by plugmw.

gunicorn loads these by name: ``bench.features:app``, ``bench.features:by_hand('DIR')`` and
``bench.features:by_plugmw('DIR')``, where DIR holds the counters that the workers share.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import mmap
import os
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KEY = "bench-key"
USERNAME = "bench"
ORIGIN = "http://a.test"
LIMIT = 100_000_000
METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"
SEEN = (
    "HTTP_X_CONSUMER_USERNAME",
    "HTTP_X_CONSUMER_ID",
    "HTTP_X_ANONYMOUS_CONSUMER",
    "HTTP_X_CORRELATION_ID",
)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer ``ok``; under ``/seen`` say which headers of the features arrived."""
    if environ["PATH_INFO"] == "/seen":
        body = json.dumps({name: environ.get(name) for name in SEEN}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "2")])
    return [b"ok"]


def by_plugmw(directory: str, inner: WSGIApplication = app) -> WSGIApplication:
    """Wrap the app in a gateway with the five plugins."""
    from plugmw import Gateway

    gateway: WSGIApplication = Gateway(inner, config(directory))
    return gateway


def config(directory: str) -> dict[str, Any]:
    """Return the gateway's configuration, with its store under ``directory``."""
    return {
        "store": f"file://{os.path.join(directory, 'store')}",
        "consumers": [{"username": USERNAME, "keyauth_credentials": [{"key": KEY}]}],
        "plugins": [
            {"name": "key-auth"},
            {"name": "rate-limiting", "config": {"minute": LIMIT}},
            {"name": "cors", "config": {"origins": [ORIGIN]}},
            {"name": "correlation-id", "config": {"echo_downstream": True}},
            {"name": "response-transformer", "config": {"add": {"headers": ["X-Bench:1"]}}},
        ],
    }


def by_hand(directory: str) -> WSGIApplication:
    """Wrap the app in five closures, as short as they can be written by hand."""
    counter = Counter(os.path.join(directory, "counters"))
    return cors(correlation_id(response_transformer(key_auth(rate_limiting(app, counter)))))


Started = Callable[..., Any]


def cors(app: WSGIApplication) -> WSGIApplication:
    def layer(environ: WSGIEnvironment, start_response: Started) -> Iterable[bytes]:
        if (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and environ.get("HTTP_ORIGIN")
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        ):
            start_response(
                "200 OK",
                [
                    ("Content-Length", "0"),
                    ("Access-Control-Allow-Origin", ORIGIN),
                    ("Vary", "Origin"),
                    ("Access-Control-Allow-Methods", METHODS),
                ],
            )
            return []

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers = [item for item in headers if item[0].lower() != "access-control-allow-origin"]
            headers += [("Access-Control-Allow-Origin", ORIGIN), ("Vary", "Origin")]
            return start_response(status, headers, exc_info)

        return app(environ, started)

    return layer


def correlation_id(app: WSGIApplication) -> WSGIApplication:
    worker, count = f"{uuid.uuid4()}#", itertools.count(1)

    def layer(environ: WSGIEnvironment, start_response: Started) -> Iterable[bytes]:
        sent = environ.get("HTTP_X_CORRELATION_ID", "").strip()
        name = environ["HTTP_X_CORRELATION_ID"] = sent or f"{worker}{next(count)}"

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers = [item for item in headers if item[0].lower() != "x-correlation-id"]
            headers.append(("X-Correlation-ID", name))
            return start_response(status, headers, exc_info)

        return app(environ, started)

    return layer


def response_transformer(app: WSGIApplication) -> WSGIApplication:
    def layer(environ: WSGIEnvironment, start_response: Started) -> Iterable[bytes]:
        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if not any(name.lower() == "x-bench" for name, _ in headers):
                headers.append(("X-Bench", "1"))
            return start_response(status, headers, exc_info)

        return app(environ, started)

    return layer


def key_auth(app: WSGIApplication) -> WSGIApplication:
    consumers = {KEY: (USERNAME, "c0ffee")}

    def layer(environ: WSGIEnvironment, start_response: Started) -> Iterable[bytes]:
        key = environ.get("HTTP_APIKEY")
        if key is None and environ.get("QUERY_STRING"):
            key = parse_qs(environ["QUERY_STRING"]).get("apikey", [None])[0]
        consumer = consumers.get(key) if key else None
        if consumer is None:
            body = b'{"message":"Unauthorized"}'
            length = str(len(body))
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", length),
                ("WWW-Authenticate", "Key"),
            ]
            start_response("401 Unauthorized", headers)
            return [body]
        environ["HTTP_X_CONSUMER_USERNAME"], environ["HTTP_X_CONSUMER_ID"] = consumer
        environ["HTTP_X_CREDENTIAL_IDENTIFIER"] = consumer[1]
        environ.pop("HTTP_X_CONSUMER_CUSTOM_ID", None)
        environ.pop("HTTP_X_ANONYMOUS_CONSUMER", None)
        return app(environ, start_response)

    return layer


def rate_limiting(app: WSGIApplication, counter: Counter) -> WSGIApplication:
    def layer(environ: WSGIEnvironment, start_response: Started) -> Iterable[bytes]:
        now = int(time.time())
        used = counter.incr(environ["HTTP_X_CONSUMER_ID"], now // 60)
        remaining, reset = str(max(0, LIMIT - used)), str(60 - now % 60)
        extra = [
            ("X-RateLimit-Limit-Minute", str(LIMIT)),
            ("X-RateLimit-Remaining-Minute", remaining),
            ("RateLimit-Limit", str(LIMIT)),
            ("RateLimit-Remaining", remaining),
            ("RateLimit-Reset", reset),
        ]
        if used > LIMIT:
            start_response("429 Too Many Requests", [("Content-Length", "0"), ("Retry-After", reset), *extra])
            return []

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, headers + extra, exc_info)

        return app(environ, started)

    return layer


class Counter:
    """Counters that all workers share: one slot of a mapped file each; two keys may share a slot."""

    slot = struct.Struct("<qq")
    slots = 4096

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self.file, self.slots * self.slot.size)
        self.map = mmap.mmap(self.file, 0)
        self.lock = threading.Lock()  # an fcntl lock belongs to the process, not to the thread

    def incr(self, key: str, window: int) -> int:
        """Add 1 to the key's count in this window and return it."""
        start = zlib.crc32(key.encode()) % self.slots * self.slot.size
        with self.lock:
            fcntl.lockf(self.file, fcntl.LOCK_EX, self.slot.size, start)
            try:
                then, count = self.slot.unpack_from(self.map, start)
                count = count + 1 if then == window else 1
                self.slot.pack_into(self.map, start, window, count)
            finally:
                fcntl.lockf(self.file, fcntl.LOCK_UN, self.slot.size, start)
        return int(count)
