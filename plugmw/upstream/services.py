"""Services and the way of a routed request to one: the wrapped app, or an HTTP upstream.

A service without a URL is the wrapped app under a name. ``strip_path`` cuts what the route matched from
the path; for the wrapped app it moves to SCRIPT_NAME, so that the app's own links stay right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from plugmw.kernel import refusals
from plugmw.routing.router import Route
from plugmw.upstream.forwarding import Target, Upstream
from plugmw.wsgi import keys, request_target
from plugmw.wsgi.answer import Exit, respond
from plugmw.wsgi.paths import full_path
from plugmw.wsgi.upstream_request import UpstreamRequest
from plugmw.wsgi.urls import origin

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from plugmw.kernel.runtime import Runtime


@attrs.define(eq=False)
class Service:
    """Something that answers routed requests. Durations are seconds."""

    name: str
    id: str = ""
    url: str | None = None
    connect_timeout: float = 60.0
    read_timeout: float = 60.0
    write_timeout: float = 60.0
    retries: int = 5
    verify: bool = True
    ca_file: str | None = None
    enabled: bool = True
    tags: list[str] = attrs.field(factory=list)
    #: Answers instead of the URL, where a request is only tried.
    stand_in: WSGIApplication | None = None

    def described(self) -> dict[str, object]:
        """Return the service as log entries and ``kong.router.get_service`` show it (times in ms)."""
        made: dict[str, object] = {"id": self.id or self.name, "name": self.name, "enabled": self.enabled}
        if self.url:
            scheme, host, port = origin(self.url)
            made |= {
                "protocol": scheme,
                "host": host,
                "port": port,
                "path": urlsplit(self.url).path or None,
                "retries": self.retries,
                "connect_timeout": int(self.connect_timeout * 1000),
                "read_timeout": int(self.read_timeout * 1000),
                "write_timeout": int(self.write_timeout * 1000),
            }
        return made


def destination(
    app: WSGIApplication, route: Route, service: Service | None, runtime: Runtime
) -> WSGIApplication:
    """Return the WSGI app at the end of a route's chain."""
    if service is not None:
        app = _of_service(app, route, service, runtime)
    return _Stripping(app, route) if route.strip_path and route.paths else app


def _of_service(app: WSGIApplication, route: Route, service: Service, runtime: Runtime) -> WSGIApplication:
    inner: WSGIApplication = service.stand_in or app
    if service.url and service.stand_in is None:
        inner = Upstream(
            Target(
                url=service.url,
                connect_timeout=service.connect_timeout,
                write_timeout=service.write_timeout,
                read_timeout=service.read_timeout,
                retries=service.retries,
                preserve_host=route.preserve_host,
                verify=service.verify,
                ca_file=service.ca_file,
            ),
            trusted=runtime.trusted,
            logger=lambda: runtime.logger,
            events=runtime.events,
        )
    return inner if service.enabled else _unavailable(service, runtime)


def _unavailable(service: Service, runtime: Runtime) -> WSGIApplication:
    """Return what answers for a service that is switched off, as Kong does for a route without one."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        UpstreamRequest.of(environ).failed = True
        refusal = _refusal(503, "no Service found with those values")
        refusal.because = f"service {service.name!r} is not enabled"
        refusals.tell(environ, runtime.logger, refusal)
        return respond(refusal, environ, start_response)

    return answer


def _refusal(status: int, message: str) -> Exit:
    body = json.dumps({"message": message}).encode()
    return Exit(status, body, [("Content-Type", "application/json; charset=utf-8")])


class _Stripping:
    """``app`` with what the route matched moved from PATH_INFO to SCRIPT_NAME."""

    def __init__(self, app: WSGIApplication, route: Route) -> None:
        self.app = app
        self.route = route

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A path that a plugin has set for the service is complete.
        told: UpstreamRequest | None = environ.get(keys.UPSTREAM)
        if told is None or told.path is None:
            self._strip(environ)
        return self.app(environ, start_response)

    def _strip(self, environ: WSGIEnvironment) -> None:
        request_target.keep(environ)
        path = full_path(environ)
        prefix = self.route.matched(path).rstrip("/")
        if len(prefix) > len(str(environ.get("SCRIPT_NAME", ""))):
            rest = path[len(prefix) :]
            environ["SCRIPT_NAME"] = prefix
            environ["PATH_INFO"] = rest if rest.startswith("/") else "/" + rest
            environ[keys.STRIPPED_PREFIX] = prefix
