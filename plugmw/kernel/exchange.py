"""One request and its response, as plugins see them.

The request lives in the WSGI environ, so whatever a plugin changes there the app sees. The response is a
status line and a list of headers; before the app has answered, the list holds what plugins want on the
answer whoever makes it. Nothing is parsed until somebody asks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from plugmw.errors import PhaseError
from plugmw.kernel import state
from plugmw.kernel.identity import IDENTITY_KEYS, Consumer, Credential
from plugmw.wsgi import answer, body, keys
from plugmw.wsgi.headers import cgi_key, first
from plugmw.wsgi.paths import full_path, normalise
from plugmw.wsgi.request_id import request_id
from plugmw.wsgi.text import encode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from webob import Request
    from webob.headers import ResponseHeaders

    from plugmw.kernel.runtime import Runtime
    from plugmw.routing.router import Route
    from plugmw.wsgi.proxies import Address
    from plugmw.wsgi.upstream_request import UpstreamRequest

#: Phases in which a plugin may still answer instead of the app.
EXIT_PHASES = ("rewrite", "access", "response", "header_filter")
#: Phases in which there is a response whose status has not gone out.
STATUS_PHASES = ("response", "header_filter")
_UNSET: Any = object()


class Exchange:
    """A request and its response. Made once per request; used by one thread or greenlet."""

    # Defaults live on the class: an exchange that needs none of them costs two assignments.
    runtime: ClassVar[Runtime]
    #: The :class:`~plugmw.routing.router.Route` that matched, and the name of its service; None for unrouted
    #: requests and gateways without routes.
    route: ClassVar[Route | None] = None
    #: The name of that route's service, and what is known of it, None likewise.
    service: ClassVar[str | None] = None
    service_facts: ClassVar[dict[str, Any] | None] = None
    phase: str = "access"
    #: Status line as WSGI has it, ``""`` until there is a response.
    status_line: str = ""
    #: (name, value) pairs of the response; read it through :attr:`headers` unless speed matters.
    header_list: list[tuple[str, str]] | None = None
    _source: str = "service"
    #: The exception that broke the exchange, if one did.
    error: BaseException | None = None
    #: ``time.monotonic`` seconds at which the exchange began, the app was called, its first byte came and
    #: the last went; 0.0 where that did not happen. Taken only in chains with a plugin that
    #: ``needs_timings``.
    begun: float = 0.0
    app_called: float = 0.0
    first_byte: float = 0.0
    ended: float = 0.0
    #: Bytes of body handed to the server; taken as the three above.
    sent: int = 0

    _request: Request | None = None
    _headers: ResponseHeaders | None = None
    _client: Address | None = _UNSET
    #: The path that was normalised last, and what came of it.
    _path: tuple[str, str] | None = None
    _started: float | None = None

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self.environ = environ
        self._server = start_response

    def snapshot(self, environ: WSGIEnvironment) -> Exchange:
        """Return what this exchange is now, over ``environ``: for who looks at it when it is over."""
        copy = Exchange(environ, _gone_out)
        facts: dict[str, object] = {name: getattr(self, name) for name in _FACTS}
        copy.__dict__.update(
            facts, _source=self.source, _started=self.started, header_list=list(self.header_list or ())
        )
        return copy

    @property
    def source(self) -> str:
        """Who made the answer: ``service`` (the app), ``exit`` (a plugin) or ``error`` (a failure).

        What the gateway itself answers for a service that does not (502, 503, 504) is an ``error``.
        """
        wish: UpstreamRequest | None = self.environ.get(keys.UPSTREAM)
        if self._source == "service" and wish is not None and wish.failed:
            return "error"
        return self._source

    @source.setter
    def source(self, value: str) -> None:
        self._source = value

    # -- the request ------------------------------------------------------------------------------

    @property
    def request(self) -> Request:
        """The request as a ``webob.Request`` over the same environ."""
        if self._request is None:
            from webob import Request

            self._request = Request(self.environ)
        return self._request

    @property
    def method(self) -> str:
        """The request method, exactly as sent; override headers are never looked at."""
        return str(self.environ.get("REQUEST_METHOD", "GET"))

    @property
    def path(self) -> str:
        """SCRIPT_NAME and PATH_INFO joined and normalised, in WSGI's latin-1 form: what routes match."""
        path = full_path(self.environ)
        if self._path is None or self._path[0] != path:
            self._path = path, normalise(path)
        return self._path[1]

    @property
    def client_ip(self) -> Address | None:
        """The client's address under the ``trusted`` setting; None when it cannot be told."""
        if self._client is _UNSET:
            self._client = self.runtime.trusted.client(self.environ)
        return self._client

    @property
    def scheme(self) -> str:
        """``http`` or ``https`` under the ``trusted`` setting."""
        return self.runtime.trusted.scheme(self.environ)

    @property
    def host(self) -> str:
        """The host that was asked for, with its port if given, under the ``trusted`` setting."""
        return self.runtime.trusted.host(self.environ)

    def get_header(self, name: str) -> str | None:
        """Return a request header (any case), None if absent; repeated fields come joined by commas."""
        return self.environ.get(cgi_key(name))

    def set_request_header(self, name: str, value: str) -> None:
        """Give the app and later plugins a request header; a Host also changes what they see as host."""
        answer.check_header(name, value)
        self.environ[cgi_key(name)] = value

    def remove_request_header(self, name: str) -> None:
        """Take a request header away from the app and later plugins."""
        self.environ.pop(cgi_key(name), None)

    def read_body(self, limit: int | None = None) -> bytes:
        """Return the whole request body; the app still gets it.

        ``limit`` is in bytes (the ``max_request_body`` setting if None); above it the client is
        answered 413, and 400 for a Content-Length that is no plain number or a body that ends before it.
        """
        try:
            return body.read_request(self.environ, self.runtime.max_request_body if limit is None else limit)
        except body.BodyTooLarge:
            self.fail(413)
        except (body.BadLength, body.Incomplete):
            self.fail(400)

    def replace_body(self, data: bytes) -> None:
        """Give the app and later plugins another request body; the framing headers follow."""
        body.replace_request(self.environ, data)
        self._request = None

    @property
    def captures(self) -> dict[str, Any]:
        """What the route's regular expressions captured: ``{"unnamed": [...], "named": {...}}``."""
        captures = {"unnamed": [], "named": {}} if self.route is None else self.route.captures(self.path)
        return dict(captures)

    # -- who is asking ----------------------------------------------------------------------------

    @property
    def consumer(self) -> Consumer | None:
        """The authenticated consumer, also in ``environ["plugmw.consumer"]``."""
        return self.environ.get(keys.CONSUMER)

    @property
    def credential(self) -> Credential | None:
        """The credential that was used, also in ``environ["plugmw.credential"]``."""
        return self.environ.get(keys.CREDENTIAL)

    def authenticate(
        self, consumer: Consumer | None, credential: Credential | None, anonymous: bool = False
    ) -> None:
        """Set who is asking and tell the app by X-Consumer-*, X-Credential-Identifier headers.

        Headers without a value are removed, a client's own never survive. ``anonymous`` marks the
        configured stand-in for requests without a valid credential.
        """
        environ = self.environ
        if keys.CREDENTIAL in environ or not self.runtime.identity:
            # Otherwise the gateway has removed what the client sent, and nobody has set any since.
            for key in IDENTITY_KEYS:
                environ.pop(key, None)
        if self.runtime.remote_user:
            environ.pop("REMOTE_USER", None)
            # The stand-in is nobody: a framework would log it in.
            name = None if anonymous else getattr(consumer, self.runtime.remote_user, None)
            if name:
                environ["REMOTE_USER"] = encode(name, "surrogateescape")
        environ[keys.CONSUMER] = consumer
        environ[keys.CREDENTIAL] = credential
        if consumer is not None:
            environ["HTTP_X_CONSUMER_ID"] = encode(consumer.id, "surrogateescape")
            if consumer.custom_id:
                environ["HTTP_X_CONSUMER_CUSTOM_ID"] = encode(consumer.custom_id, "surrogateescape")
            if consumer.username:
                environ["HTTP_X_CONSUMER_USERNAME"] = encode(consumer.username, "surrogateescape")
        if anonymous:
            environ["HTTP_X_ANONYMOUS_CONSUMER"] = "true"
        elif credential is not None:
            identifier = credential.identifier or credential.id
            environ["HTTP_X_CREDENTIAL_IDENTIFIER"] = encode(identifier, "surrogateescape")

    # -- the response -----------------------------------------------------------------------------

    @property
    def status(self) -> int:
        """The response's status; 0 while there is none.

        Setting it keeps headers and body, but for statuses without one (1xx, 204, 304). Phases: response,
        header_filter; elsewhere :class:`PhaseError`.
        """
        return int(self.status_line[:3]) if self.status_line else 0

    @status.setter
    def status(self, value: int) -> None:
        if not 100 <= value <= 599:
            raise ValueError(f"status: got {value!r}, expected a number between 100 and 599")
        if self.phase not in STATUS_PHASES:
            raise PhaseError("status", self.phase, STATUS_PHASES)
        self.status_line = answer.status_line(value)
        if value in (204, 304) or value < 200:
            self._drop_body()

    def _drop_body(self) -> None:
        """Send no body; for the class that sends one."""

    @property
    def headers(self) -> ResponseHeaders:
        """The response headers as a WebOb multi-dict, live: changes count until they go out.

        A name or value that must not be sent is refused by ``ValueError``.
        """
        items = self.header_list
        if items is None:
            items = self.header_list = []
        view = self._headers
        if view is None or view._items is not items:
            from plugmw.wsgi.checked_headers import CheckedHeaders

            view = self._headers = CheckedHeaders.view_list(items)
        return view

    def add_header(self, name: str, value: str) -> None:
        """Add a response header beside any of the same name. Not after the headers went out."""
        answer.check_header(name, value)
        items = self.header_list
        if items is None:
            items = self.header_list = []
        items.append((name, value))

    def set_header(self, name: str, value: str) -> None:
        """Set a response header, replacing every one of the same name."""
        answer.check_header(name, value)
        items = self.header_list
        if items is None:
            items = self.header_list = []
        elif first(items, name) is not None:
            self.remove_header(name)
        items.append((name, value))

    def remove_header(self, name: str) -> None:
        """Remove every response header of this name (any case)."""
        items = self.header_list
        if items and first(items, name) is not None:
            name = name.lower()
            items[:] = [item for item in items if item[0].lower() != name]

    def response_header(self, name: str) -> str | None:
        """Return the first response header of this name (any case), None if absent."""
        return first(self.header_list or (), name)

    # -- answering instead of the app -------------------------------------------------------------

    def exit(self, status: int, body: object = None, headers: answer.HeaderItems = None) -> NoReturn:
        """Answer now. ``body``: dict or list (JSON), str, bytes or None; see :func:`answer.leave`.

        Phases: rewrite, access, response, header_filter; elsewhere :class:`PhaseError`.
        """
        if self.phase not in EXIT_PHASES:
            raise PhaseError("exit", self.phase, EXIT_PHASES)
        answer.leave(status, body, headers)

    def fail(
        self,
        status: int,
        message: str | None = None,
        headers: answer.HeaderItems = None,
        because: str = "",
    ) -> NoReturn:
        """Answer with an error (400 to 599) in the format the client accepts.

        The body carries ``message`` (a default per status) and ``request_id``. If ``because`` is given, the
        log says that instead of the message. Phases as :meth:`exit`.
        """
        if self.phase not in EXIT_PHASES:
            raise PhaseError("fail", self.phase, EXIT_PHASES)
        accept = self.environ.get("HTTP_ACCEPT", "")
        # No name for it: a frame that holds what it raises keeps the exchange until garbage is collected.
        raise answer.error_exit(status, message, headers, accept, self.request_id, because)

    def delegate(self, app: WSGIApplication) -> NoReturn:
        """Let another WSGI app answer, streaming as the wrapped one would; what it raises is a 500.

        Phases: rewrite, access; elsewhere :class:`PhaseError`.
        """
        if self.phase not in EXIT_PHASES[:2]:
            raise PhaseError("delegate", self.phase, EXIT_PHASES[:2])
        raise answer.Delegate(app)

    # -- around it --------------------------------------------------------------------------------

    @property
    def ctx(self) -> dict[Any, Any]:
        """A dict for this request that all plugins share, also across wrapped middlewares."""
        ctx: dict[Any, Any] | None = self.environ.get(keys.CTX)
        if ctx is None:
            ctx = self.environ[keys.CTX] = {}
        return ctx

    def state(self, plugin: object) -> dict[str, Any]:
        """Return the dict in which ``plugin`` remembers things of this request.

        ``exchange.state(self)["begun"] = 1``. It is there in every phase, as :attr:`ctx` is, but not shared.
        """
        return state.of(self.environ, plugin)

    @property
    def request_id(self) -> str:
        """A random id of this request, 32 hexadecimal digits, also in ``environ["plugmw.request_id"]``."""
        return request_id(self.environ)

    @property
    def started(self) -> float:
        """When this exchange was first asked for its start, in seconds of ``time.time``."""
        if self._started is None:
            self._started = time.time()
        return self._started


#: The public attributes of the class: what an exchange was. The others are caches.
_FACTS: Final = tuple(name for name in Exchange.__annotations__ if not name.startswith("_"))


def _gone_out(*arguments: object) -> NoReturn:
    raise RuntimeError("the response has gone out")


def own_headers(
    headers: Iterable[tuple[str, str]], wanted: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Merge headers that plugins asked for early into the app's.

    Fields that lists are made of (Set-Cookie, Vary, Link, WWW-Authenticate) are added, others replaced.
    """
    wanted = list(wanted)
    replaced = {name.lower() for name, _ in wanted}
    if not _ADDED.isdisjoint(replaced):
        replaced -= _ADDED
    return [item for item in headers if item[0].lower() not in replaced] + wanted


_ADDED = frozenset(("set-cookie", "vary", "link", "warning", "via", "www-authenticate"))
