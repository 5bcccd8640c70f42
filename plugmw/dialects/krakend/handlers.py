"""Server plugins: the chain of handlers that a ``plugin/http-server`` namespace asks for.

    extra_config:
      plugin/http-server:
        name: [A, B]                    # a string or a list; requests pass B, then A, then the app
        A: {...}                        # by convention a plugin's own section; it is given the whole map

A factory is ``(context, extra, handler) -> handler``, or ``-> (handler, error)`` as in Go. ``handler`` is
the next one: a WSGI app with ``serve_http(w, req)``. What comes back is a WSGI app, or a handler in Go's
manner (:func:`~plugmw.dialects.go_http.as_handler`).

The rules and the log lines are Lura's (``transport/http/server/plugin/server.go``): what cannot be used is
logged and left out, and the app stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from plugmw.dialects.go_http import AppHandler, as_handler
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import HANDLER, namespace_of
from plugmw.dialects.krakend.standalone import Standalone, whole
from plugmw.errors import LoadError
from plugmw.kernel.runtime import Logger
from plugmw.kernel.user_code import contained

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_SERVER = "[PLUGIN: Server]"


def wrap_handlers(
    app: WSGIApplication, loader: Loader, extra_config: Mapping[str, object], strict: bool = False
) -> WSGIApplication:
    """Return ``app`` inside the handlers that ``extra_config`` names, the last name outermost.

    With ``strict`` a name that cannot be used raises :class:`~plugmw.errors.LoadError` (after its log line).
    """
    extra, log = namespace_of(extra_config, HANDLER), loader.logger
    if extra is None:
        return app
    if not isinstance(extra, Mapping):
        log.debug(_SERVER, "Wrong extra_config type")
        return app
    names = names_of(extra)
    if not loader.register.handlers:
        log.debug(_SERVER, "No plugins registered for the module")
        if strict and names:
            raise LoadError(HANDLER.namespaces[0], f"no plugins registered, {', '.join(names)} required")
        return app
    if not isinstance(extra.get("name"), (str, list, tuple)):
        log.debug(_SERVER, "No plugins required in the extra config")
    outermost = app
    for name in names:
        handler = AppHandler(app) if outermost is app else outermost
        try:
            outermost = _build(name, loader, extra, handler)
        except LoadError as error:
            log.error(_SERVER, error.what)
            if strict:
                raise
        else:
            log.info(_SERVER, "Injecting plugin", name)
    return outermost


def names_of(extra: Mapping[str, object]) -> list[str]:
    """Return the plugin names of a namespace: ``name`` is a string or a list, of which others are dropped."""
    name = extra.get("name")
    names = [name] if isinstance(name, str) else name if isinstance(name, (list, tuple)) else []
    return [name for name in names if isinstance(name, str)]


def _build(
    name: str, loader: Loader, extra: Mapping[str, object], handler: WSGIApplication
) -> WSGIApplication:
    factory = loader.register.handlers.get(name)
    if factory is None:
        raise LoadError(HANDLER.namespaces[0], f"No plugin registered as {name}")
    if not callable(factory):
        raise LoadError(HANDLER.namespaces[0], f"Wrong plugin handler type: {name}")
    try:
        result = contained(factory, loader.context, dict(extra), handler)
        result, error = result if isinstance(result, tuple) else (result, None)
        if error is None:
            return as_handler(result)
    except Exception as raised:
        error = raised
    raise LoadError(HANDLER.namespaces[0], f"Error getting the plugin handler: {error}")


class HandlerRegisterer(Standalone):
    """A WSGI middleware: ``app`` inside the handlers of one KrakenD-style module.

    ``source`` is a module, a module's name, the path of a file, or a registerer itself. ``extra_config``
    is the namespace (``{"name": ..., "my-plugin": {...}}``) or a whole ``extra_config`` with it; without
    ``name``, all that the module registers is used, in its order. Whatever cannot be used raises
    :class:`~plugmw.errors.LoadError`; without ``strict`` it is logged and left out, as in KrakenD.
    """

    def __init__(
        self,
        app: WSGIApplication,
        source: object,
        extra_config: Mapping[str, object] | None = None,
        *,
        logger: Logger | None = None,
        strict: bool = True,
    ) -> None:
        super().__init__(app, source, HANDLER, logger, strict)
        wanted = whole(extra_config, HANDLER, list(self.loader.register.handlers))
        self._run = wrap_handlers(app, self.loader, wanted, strict)
