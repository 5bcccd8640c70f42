"""Client plugins: what answers for a backend in place of the HTTP client, as ``plugin/http-client`` asks.

    extra_config:
      plugin/http-client:
        name: my-client                 # one, as a string; a list is not taken
        my-client: {...}                # by convention the plugin's own section; it is given the whole map

A factory is ``(context, extra) -> handler``, or ``-> (handler, error)`` as in Go. The handler (a WSGI app, or
one in Go's manner, see :func:`~plugmw.dialects.go_http.as_handler`) is given the backend's request with its
URL, headers and body, and its answer counts as the backend's; it is kept in memory up to a limit. A
factory with a third parameter, ``(context, extra, next)``, is given the client that it replaces.

The rules and the log lines are Lura's (``transport/http/client/plugin/executor.go``), which has no ``next``:
what cannot be used is logged, and the default client asks the backend.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from plugmw.dialects.go_http import AppHandler, as_handler
from plugmw.dialects.krakend.failures import BackendError
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import CLIENT, Factory, namespace_of
from plugmw.dialects.krakend.standalone import Standalone, whole
from plugmw.errors import LoadError
from plugmw.kernel.runtime import DEFAULT_BODY_LIMIT, Logger
from plugmw.kernel.user_code import contained

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _NotAsked(LoadError):
    """There is nothing to use; a DEBUG line in the original."""


def build_client(
    loader: Loader,
    extra_config: Mapping[str, object],
    scope: str,
    url_pattern: str,
    default: WSGIApplication,
    strict: bool = False,
    limit: int = DEFAULT_BODY_LIMIT,
) -> WSGIApplication:
    """Return the client that ``extra_config`` asks for, ``default`` if it asks for none that can be used.

    ``scope`` (``[BACKEND: GET /ep -> /pattern]``) is for the log. The client raises
    :class:`~plugmw.dialects.krakend.failures.BackendError` above ``limit`` bytes. With ``strict`` what cannot
    be used raises :class:`~plugmw.errors.LoadError` (after its log line).
    """
    extra = namespace_of(extra_config, CLIENT)
    if extra is None:
        return default
    try:
        name, section, factory = _asked(loader, extra, url_pattern)
        client = _build(name, factory, loader, section, default)
    except LoadError as error:
        (loader.logger.debug if isinstance(error, _NotAsked) else loader.logger.warning)(scope, error.what)
        if strict:
            raise
        return default
    loader.logger.debug(scope, "Injecting plugin", name)
    return _recorded(client, limit)


def _asked(loader: Loader, extra: object, url_pattern: str) -> tuple[str, Mapping[str, object], Factory]:
    """Return the plugin's name, its configuration and its factory."""
    source = CLIENT.namespaces[0]
    if not isinstance(extra, Mapping):
        raise _NotAsked(source, f"[{CLIENT.namespaces[1]}] Wrong extra config type for backend")
    if not loader.register.clients:
        raise _NotAsked(source, "No plugins registered for the module")
    name = extra.get("name")
    if not isinstance(name, str):
        raise _NotAsked(source, f"No name defined in the extra config for {url_pattern}")
    if name not in loader.register.clients:
        raise _NotAsked(source, f"No plugin registered as {name}")
    return name, extra, loader.register.clients[name]


def _build(
    name: str, factory: Factory, loader: Loader, extra: Mapping[str, object], default: WSGIApplication
) -> WSGIApplication:
    if not callable(factory):
        raise LoadError(CLIENT.namespaces[0], f"Wrong plugin handler type: {name}")
    replaced = (AppHandler(default),) if _takes_next(factory) else ()
    try:
        result = contained(factory, loader.context, dict(extra), *replaced)
        handler, error = result if isinstance(result, tuple) else (result, None)
        if error is None:
            return as_handler(handler)
    except Exception as raised:
        error = raised
    raise LoadError(CLIENT.namespaces[0], f"Error getting the plugin handler: {error}")


def _takes_next(factory: Factory) -> bool:
    """Say whether a factory has a third parameter."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # callables written in C
        return False
    return sum(parameter.kind in kinds for parameter in parameters) > 2


def _recorded(client: WSGIApplication, limit: int) -> WSGIApplication:
    """Return a client that has answered whole before it says anything: what fails half-way is no reply."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        record = _Record(limit)
        contained(record.call, client, environ)
        if record.head is None:
            raise RuntimeError("the plugin ended without calling start_response")
        start_response(*record.head)
        return [b"".join(record.pieces)]

    return answer


class _Record:
    """What a client plugin answers."""

    def __init__(self, limit: int) -> None:
        self.head: tuple[str, list[tuple[str, str]]] | None = None
        self.pieces: list[bytes] = []
        self._limit = limit
        self._size = 0

    def call(self, client: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Let the client answer."""
        pieces = client(environ, self.start)
        try:
            for piece in pieces:
                self.add(piece)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        self.head = status, list(headers)
        return self.add

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise BackendError(f"the body has more than {self._limit} bytes")
        self.pieces.append(piece)


class ClientRegisterer(Standalone):
    """A WSGI middleware: the client plugin of one KrakenD-style module, in place of ``app``.

    A factory with a third parameter is given ``app``; it also answers where the plugin cannot be used.
    ``source`` is a module, a module's name, the path of a file, or a registerer itself. ``extra_config``
    is the namespace (``{"name": ..., "my-client": {...}}``) or a whole ``extra_config`` with it; without
    ``name``, the first plugin that the module registers is used. With ``strict`` whatever cannot be used
    raises :class:`~plugmw.errors.LoadError`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        source: object,
        extra_config: Mapping[str, object] | None = None,
        *,
        logger: Logger | None = None,
        strict: bool = False,
        limit: int = DEFAULT_BODY_LIMIT,
    ) -> None:
        super().__init__(app, source, CLIENT, logger, strict)
        wanted = whole(extra_config, CLIENT, next(iter(self.loader.register.clients), None))
        self._run = build_client(self.loader, wanted, "[PLUGIN: Client]", "the app", app, strict, limit)
