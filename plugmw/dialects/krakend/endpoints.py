"""Answer the endpoints of a ``krakend.json``: KrakenD's router, proxies and replies as one entry of a chain.

    Endpoints.of(service, loader, options)

It comes last in the chain: what no endpoint answers goes on to the wrapped app, where there is one, else
it is KrakenD's 404. A path that an endpoint has is never the app's: with another method it is 405, and
where a lenient app would read it as one (``;x``, a double escape) it is 404.

Modifiers and clients are made, and threads and connections opened, once per process, after the fork.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import attrs

from plugmw.dialects.krakend import pages
from plugmw.dialects.krakend.backends import BackendProxy
from plugmw.dialects.krakend.clients import build_client
from plugmw.dialects.krakend.endpoint_proxy import EndpointProxy
from plugmw.dialects.krakend.failures import reply_to
from plugmw.dialects.krakend.forwarding import BadParameter, Call, check_parameters
from plugmw.dialects.krakend.http_client import HTTPClient
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.model import APP, Backend, Endpoint, Router, Service
from plugmw.dialects.krakend.modifiers import build_modifiers
from plugmw.dialects.krakend.pool import Pool
from plugmw.dialects.krakend.replies import Replies, own_headers, send
from plugmw.dialects.krakend.routing import Routes
from plugmw.dialects.krakend.serving import Serving
from plugmw.dialects.krakend.trial import InTurn, Trial
from plugmw.documents.translated import Options
from plugmw.errors import rehearsed
from plugmw.kernel import refusals
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Runtime
from plugmw.schema import Nothing
from plugmw.wsgi import keys
from plugmw.wsgi.answer import Exit
from plugmw.wsgi.body import BadLength, BodyTooLarge, Incomplete
from plugmw.wsgi.paths import full_path
from plugmw.wsgi.readings import paths
from plugmw.wsgi.text import decode
from plugmw.wsgi.upstream_request import UpstreamRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from typing_extensions import Self

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ALL: Final = (*METHODS, "HEAD", "OPTIONS", "CONNECT", "TRACE")

#: Answers a request to a path with these parameters; the app is for backends that are the app.
Handler = Callable[["WSGIEnvironment", "StartResponse", dict[str, str], "WSGIApplication"], Iterable[bytes]]


class Endpoints(Plugin[Nothing]):
    """Phases: wrap."""

    name, priority = "krakend", -2_000_000
    #: Without the endpoints, requests that are theirs must not reach the app.
    fail_closed = True
    forwards = True

    service: Service
    loader: Loader
    options: Options
    #: Notes what a request would do, for one that is only tried.
    trial: Trial | None = None

    @classmethod
    def of(cls, service: Service, loader: Loader, options: Options | None = None) -> Self:
        """Return the endpoints of a checked configuration; ``loader`` has its plugins."""
        entry = cls()
        entry.service, entry.loader, entry.options = service, loader, options or Options()
        return entry

    def _init(self, config: Nothing) -> None:
        super()._init(config)
        self._routes: Routes[Handler] = Routes()
        self._opened: list[Pool | InTurn | HTTPClient] = []

    def bind(self, runtime: Runtime) -> None:
        super().bind(runtime)
        if self.loader.logger.target is not self.logger:
            self.loader.register_logger(self.logger)

    def init_worker(self) -> None:
        routes: Routes[Handler] = Routes()
        # A merge waits in its thread for the calls of its backends, so they have threads of their own.
        dry = self.trial is not None and not self.trial.live
        merges, calls = (InTurn(), InTurn()) if dry else (Pool(), Pool())
        client = HTTPClient()
        self._opened = [merges, calls, client]
        self.loader.context.done.clear()
        self._add_pages(routes)
        for endpoint in self.service.endpoints:
            self._add(routes, endpoint, merges, calls, _Clients(client))
        if self.service.router.auto_options:
            self._add_options(routes)
        self._routes = routes

    def rehearse(self) -> None:
        # Of the endpoints alone: server plugins are an entry of their own.
        options = self.options
        self.options = attrs.evolve(options, strict=True)
        try:
            with rehearsed(options.refuses):
                Endpoints.init_worker(self)
        finally:
            self.options = options
            Endpoints.close(self)

    def close(self) -> None:
        self.loader.context.done.set()
        opened, self._opened = self._opened, []
        for resource in opened:
            resource.close()

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Return the router, with ``app`` behind it."""

        def route(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return self._route(environ, start_response, app)

        return route

    # -- the router -------------------------------------------------------------------------------

    def _route(
        self, environ: WSGIEnvironment, start_response: StartResponse, app: WSGIApplication
    ) -> Iterable[bytes]:
        path, method = decode(full_path(environ), "surrogateescape"), environ["REQUEST_METHOD"]
        match = self._routes.find(method, path)
        if match is not None:
            handler, parameters = match
            try:
                check_parameters(parameters.values())
            except BadParameter as error:
                self._tell(environ, 400, str(error))
                return pages.plain_text(start_response, 400, str(error))
            return handler(environ, start_response, parameters, app)
        return self._unknown(environ, start_response, app, method, path)

    def _unknown(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        app: WSGIApplication,
        method: str,
        path: str,
    ) -> Iterable[bytes]:
        router, routes = self.service.router, self._routes
        other = None if router.disable_redirect_trailing_slash else routes.toggled(method, path)
        if other is None and not router.disable_redirect_fixed_path and path != "/":
            other = routes.fixed(method, path)
        if other is not None:
            return pages.redirect(environ, start_response, other)
        allowed = [] if router.disable_handle_method_not_allowed else routes.methods(path)
        if allowed:
            self._tell(environ, 405, f"the endpoint has {', '.join(allowed)}")
            return pages.refusal(environ, start_response, 405, router, allowed)
        if self.options.has_app and not self._is_disguised(environ):
            return app(environ, start_response)
        self._tell(environ, 404, "no endpoint has this path")
        return pages.refusal(environ, start_response, 404, router)

    def _tell(self, environ: WSGIEnvironment, status: int, because: str) -> None:
        """Log a refusal of the router's, which is no answer of a backend."""
        UpstreamRequest.of(environ).failed = True
        refusal = Exit(status, b"", [])
        refusal.because = because
        refusals.tell(environ, self.runtime.logger, refusal, self.name)

    def _is_disguised(self, environ: WSGIEnvironment) -> bool:
        """Say whether an app could take the path for one that an endpoint has (CVE-2021-43557)."""
        path = paths(environ)
        return path.too_many or any(self._routes.methods(decode(way, "surrogateescape")) for way in path.ways)

    # -- what is there ----------------------------------------------------------------------------

    def _add_pages(self, routes: Routes[Handler]) -> None:
        router, limit = self.service.router, self.runtime.max_request_body
        if not router.disable_health:
            routes.add("GET", router.health_path, _page(pages.health(time.monotonic())))
        shown: list[tuple[str, WSGIApplication]] = []
        if self.service.debug_endpoint:
            shown.append(("/__debug/*", pages.debug(self.loader.logger, limit, self._secret)))
        if self.service.echo_endpoint:
            shown.append(("/__echo/*", pages.echo(limit)))
        for path, page in shown:
            for method in _ALL:
                routes.add(method, path, _page(page))

    def _secret(self) -> set[str]:
        """Return the names of credentials, which are known once all plugins are bound."""
        return self.runtime.credential_names

    def _add_options(self, routes: Routes[Handler]) -> None:
        methods: dict[str, list[str]] = {}
        for endpoint in self.service.endpoints:
            methods.setdefault(endpoint.endpoint, []).append(endpoint.method)
        for path, allowed in methods.items():
            routes.add("OPTIONS", path, _options(self.service.router, ", ".join(sorted(allowed))))

    def _add(
        self,
        routes: Routes[Handler],
        endpoint: Endpoint,
        merges: Pool | InTurn,
        calls: Pool | InTurn,
        clients: _Clients,
    ) -> None:
        log, scope = self.loader.logger, f"[ENDPOINT: {endpoint.endpoint}]"
        if endpoint.method not in METHODS:
            log.error(scope, "Unsupported method", endpoint.method)
            return
        log.debug(scope, "Building the proxy pipe")
        backends = [self._backend(endpoint, backend, calls, clients) for backend in endpoint.backend]
        if len(backends) > 1:
            log.debug(f"{scope}[Merge] Backends: {len(backends)}, merger: parallel, combiner: default")
        compat, strict = self.options.compat, self.options.refuses
        modifiers = build_modifiers(self.loader, endpoint.extra_config, scope, compat=compat, strict=strict)
        log.debug(scope, "Building the http handler")
        proxy = EndpointProxy(endpoint, backends, modifiers, merges, compat)
        handler = Serving(
            endpoint,
            proxy,
            Replies(endpoint, self.service.router, compat),
            self.service.router,
            self.loader,
            self.runtime,
            compat,
        )
        routes.add(
            endpoint.method,
            endpoint.endpoint,
            handler if self.trial is None else _noted(handler, endpoint, self.trial),
        )

    def _backend(
        self, endpoint: Endpoint, backend: Backend, calls: Pool | InTurn, clients: _Clients
    ) -> BackendProxy:
        scope = f"[BACKEND: {endpoint.method} {endpoint.endpoint} -> {backend.url_pattern}]"
        self.loader.logger.debug(scope, "Building the backend pipe")
        compat, strict = self.options.compat, self.options.refuses
        extra = backend.extra_config
        limit = self.runtime.max_response_body
        client = build_client(self.loader, extra, scope, backend.url_pattern, clients, strict, limit)
        modifiers = build_modifiers(self.loader, extra, scope, compat=compat, strict=strict)
        return BackendProxy(backend, endpoint, client, modifiers, calls, compat, self.trial)


class _Clients:
    """The default client: the app for backends that are the app, HTTP for all others."""

    def __init__(self, http: HTTPClient) -> None:
        self._http = http

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call: Call = environ[keys.KRAKEND_CALL]
        client: WSGIApplication = call.app if call.url.startswith(APP) else self._http
        return client(environ, start_response)


def _page(page: WSGIApplication) -> Handler:
    def handler(
        environ: WSGIEnvironment, start_response: StartResponse, parameters: object, app: object
    ) -> Iterable[bytes]:
        try:
            return page(environ, start_response)
        except (BadLength, BodyTooLarge, Incomplete) as error:
            status, body, _ = reply_to(error, tell=False, compat=False)
            return send(start_response, status, [], body)

    return handler


def _noted(handler: Handler, endpoint: Endpoint, trial: Trial) -> Handler:
    def noting(
        environ: WSGIEnvironment,
        start_response: StartResponse,
        parameters: dict[str, str],
        app: WSGIApplication,
    ) -> Iterable[bytes]:
        trial.endpoint = endpoint
        return handler(environ, start_response, parameters, app)

    return noting


def _options(router: Router, allowed: str) -> Handler:
    def handler(
        environ: object, start_response: StartResponse, parameters: object, app: object
    ) -> Iterable[bytes]:
        return send(start_response, 200, [("Allow", allowed), own_headers(router)[0]], b"")

    return handler
