"""Plugins for the tests of ``inspect``, ``explain`` and the command line."""

from __future__ import annotations

import socket
import threading
from typing import Any

from plugmw.kernel.plugin import Plugin
from plugmw.schema import above, config, field


@config
class KeyConfig:
    key: str = field(help="The key.", secret=True)
    hint: str | None = field(None, help="Where to get one.", aliases=("advice",))


class Key(Plugin):
    """Let requests with the key through."""

    name, priority, Config = "key", 1003, KeyConfig
    authenticates, credential_names = True, ("apikey",)

    def access(self, x: Any) -> None:
        if x.get_header("apikey") != self.config.key:
            x.fail(401, "No API key found in request")
        x.authenticate(self.runtime.consumers.consumer("alice"), None)


@config
class LimitConfig:
    minute: float = field(help="Requests per minute.")
    redis: str | None = field(None, help="Store of its own, a URL.")

    def check(self) -> Any:
        if not above(0).test(self.minute):
            yield "minute", f"got {self.minute}, expected a number above 0"


class Limit(Plugin):
    name, priority, Config = "limit", 901, LimitConfig

    def access(self, x: Any) -> None:
        x.set_header("X-RateLimit-Limit", str(self.config.minute))


class Caller(Plugin):
    name, priority = "caller", 700

    def access(self, x: Any) -> None:
        try:
            socket.create_connection(("localhost", 9)).close()
        except Exception:
            x.exit(502)


class Wrapper(Plugin):
    name, priority = "wrapper", 800

    def wrap(self, app: Any) -> Any:
        return lambda environ, start_response: app(environ, start_response)


class Log(Plugin):
    name, priority = "log", 9

    def init_worker(self) -> None:
        threading.Thread(target=print).start()

    def log(self, x: Any) -> None:
        raise AssertionError("a dry run does not log")


class Rewriter(Plugin):
    name, priority = "rewriter", 50

    def rewrite(self, x: Any) -> None:
        x.environ["PATH_INFO"] = "/new" + x.environ["PATH_INFO"]
