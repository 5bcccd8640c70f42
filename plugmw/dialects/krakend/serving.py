"""Serve an endpoint: pass each request to the endpoint's proxy, then send and log its response or error."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.krakend.backends import Origin
from plugmw.dialects.krakend.endpoint_proxy import EndpointProxy
from plugmw.dialects.krakend.failures import MergeError, is_crash, reason_of, reply_to
from plugmw.dialects.krakend.forwarding import capitalised, headers_of, held_back, query_of
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.model import Endpoint, Router
from plugmw.dialects.krakend.replies import Replies, own_headers, send
from plugmw.dialects.krakend.wrappers import RequestWrapper, Values
from plugmw.events import UPSTREAM_FAILURES
from plugmw.kernel.runtime import Runtime
from plugmw.wsgi.body import BodyTooLarge, content_length, read_request
from plugmw.wsgi.paths import full_path
from plugmw.wsgi.text import decode
from plugmw.wsgi.upstream_request import UpstreamRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Of how many headers it is logged that they are left out: clients make up names.
_NAMES: Final = 100


class Serving:
    """Answers the requests of one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        proxy: EndpointProxy,
        replies: Replies,
        router: Router,
        loader: Loader,
        runtime: Runtime,
        compat: bool,
    ) -> None:
        self._endpoint = endpoint
        self._proxy = proxy
        self._replies = replies
        self._router = router
        self._loader = loader
        self._runtime = runtime
        self._compat = compat
        self._scope = f"[ENDPOINT: {endpoint.endpoint}]"
        self._held_back: set[str] = set()
        self._return_error = router.return_error_msg
        self._payload = router.max_payload
        self._body_limit = min(router.max_payload or runtime.max_request_body, runtime.max_request_body)

    def __call__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        parameters: dict[str, str],
        app: WSGIApplication,
    ) -> Iterable[bytes]:
        deadline = Deadline.after(self._endpoint.timeout)
        origin = Origin(environ, app, deadline, self._runtime.max_response_body)
        try:
            self._check_length(environ)
            response, errors = self._proxy.run(self._request(environ, parameters), origin)
            self._log(errors)
            try:
                return self._replies.send(environ, start_response, response)
            except BaseException:
                response.close()
                raise
        except Exception as error:
            return self._fail(environ, start_response, error)

    def _check_length(self, environ: WSGIEnvironment) -> None:
        length = content_length(environ)
        if not self._payload:
            return
        if length is None:
            # A chunked body has no length until it is read.
            read_request(environ, self._payload)
        elif length > self._payload:
            raise BodyTooLarge(self._payload)

    def _request(self, environ: WSGIEnvironment, parameters: dict[str, str]) -> RequestWrapper:
        endpoint = self._endpoint
        headers = headers_of(environ, endpoint.input_headers, self._runtime.trusted)
        self._log_held_back(environ, headers)
        return RequestWrapper(
            method=environ["REQUEST_METHOD"],
            path=decode(full_path(environ), "surrogateescape"),
            params=capitalised(parameters),
            query=query_of(environ, endpoint.input_query_strings),
            headers=headers,
            context=self._loader.context,
            read=lambda: read_request(environ, self._body_limit),
        )

    def _log_held_back(self, environ: WSGIEnvironment, passed: Values) -> None:
        """Log, once for each name, that a header does not get to modifiers and backends."""
        log = self._loader.logger
        enabled = getattr(log.target, "isEnabledFor", None)
        if enabled is not None and not enabled(logging.DEBUG):
            return
        fresh = held_back(environ, passed.keys()) - self._held_back
        if fresh and len(self._held_back) < _NAMES:
            self._held_back |= fresh
            names = ", ".join(sorted(fresh))
            log.debug(self._scope, "Headers not in input_headers are left out:", names)

    def _fail(
        self, environ: WSGIEnvironment, start_response: StartResponse, error: Exception
    ) -> Iterable[bytes]:
        UpstreamRequest.of(environ).failed = True
        several = error.errors if isinstance(error, MergeError) else None
        self._log([error] if several is None else several, several is not None)
        status, body, headers = reply_to(error, self._return_error, self._compat)
        own = own_headers(self._router, None if is_crash(error) else False)
        return send(start_response, status, [*own, *headers], body)

    def _log(self, errors: list[Exception], several: bool = True) -> None:
        log = self._loader.logger
        for index, error in enumerate(errors):
            if reason := reason_of(error):
                self._runtime.events.count(UPSTREAM_FAILURES, reason)
            number = f"Error #{index}: " if several else ""
            if is_crash(error):
                text = f"{self._scope} {number}{type(error).__name__}: {error}"
                log.target.error("%s", text, exc_info=error)
            else:
                cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
                log.error(self._scope, f"{number}{error}{cause}")
