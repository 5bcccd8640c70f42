"""Which suites there are, where their apps are called, and what a chain is forced to make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from plugmw import Entry, Gateway
from tests.support.plugins import made, nothing, wrapping

ALL: Final = ("rewrite", "access", "header_filter", "log", "init_worker")


def _observing() -> list[Any]:
    seen: list[Any] = []

    def look(x: Any) -> None:
        seen[:] = [x.status, dict(x.headers), x.path, x.host, x.client_ip, x.method, x.request_id, x.sent]

    return [made(access=lambda x: None, log=look, needs_timings=True)]


def _identity(x: Any, chunk: bytes, eof: bool) -> bytes:
    return chunk


#: Plugins that change nothing, by the name of the chain.
CHAINS: Final[dict[str, Callable[[], list[Any]]]] = {
    "empty": list,
    "phases": lambda: [nothing(*ALL)],
    "body": lambda: [made(body_filter=_identity)],
    "observing": _observing,
    "response": lambda: [made(response=lambda x: None)],
    "scoped": lambda: [
        Entry(nothing(*ALL), when=lambda x: True),
        Entry(nothing("access", name="b"), when=lambda x: False),
    ],
    "nested": lambda: [
        nothing(*ALL, name="outer"),
        made("middle", wrap=wrapping),
        nothing(*ALL, name="inner"),
    ],
}


def wrapped(app: Any, chain: str) -> Any:
    """Return ``app`` under a chain."""
    return Gateway(app, {"store": "memory://"}, plugins=CHAINS[chain]())


# -- where apps are called --------------------------------------------------------------------------------


def _werkzeug(chain: str) -> None:
    from werkzeug import test

    run = test.run_wsgi_app

    def run_wsgi_app(app: Any, environ: Any, buffered: bool = False) -> Any:
        return run(wrapped(app, chain), environ, buffered)

    test.run_wsgi_app = run_wsgi_app  # type: ignore[assignment]


def _webob(chain: str) -> None:
    from webob.request import BaseRequest

    call = BaseRequest.call_application

    def call_application(self: Any, application: Any, catch_exc_info: bool = False) -> Any:
        return call(self, wrapped(application, chain), catch_exc_info)

    BaseRequest.call_application = call_application


def _bottle(chain: str) -> None:
    from bottle import Bottle  # type: ignore[import-not-found]

    call = Bottle.__call__

    def called(self: Any, environ: Any, start_response: Any) -> Any:
        return wrapped(lambda *arguments: call(self, *arguments), chain)(environ, start_response)

    Bottle.__call__ = called


@attrs.frozen
class Suite:
    """A source distribution and its tests."""

    patch: Callable[[str], None]
    tests: str = "tests"
    #: What has to differ, by the end of a test's id: the chains, or None for all, and why.
    forced: dict[str, tuple[tuple[str, ...] | None, str]] = attrs.Factory(dict)


SUITES: Final = {
    "werkzeug": Suite(_werkzeug),
    "flask": Suite(_werkzeug),
    "webob": Suite(_webob),
    "bottle": Suite(_bottle, "test"),
}
