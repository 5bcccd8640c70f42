"""One KrakenD-style module as a WSGI middleware, without a gateway."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import Kind, namespace_of
from plugmw.kernel.plugin import inject
from plugmw.kernel.runtime import Logger

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Standalone:
    """Loads ``source`` (a module, its name, a file, or a registerer itself); a subclass sets ``_run``."""

    _run: WSGIApplication

    def __init__(
        self, app: WSGIApplication, source: object, kind: Kind, logger: Logger | None, strict: bool
    ) -> None:
        self.app = app
        self.loader = Loader(logger or logging.getLogger(f"plugmw.{kind.namespaces[0].partition('/')[2]}"))
        self.loader.load(source, kind)
        if strict and self.loader.errors:
            raise self.loader.errors[0]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._run(environ, start_response)

    def register_logger(self, logger: Logger) -> None:
        """Take an injected logger (see ``InjectLogger``), for the plugin and for the app inside."""
        self.loader.register_logger(logger)
        inject(self.app, logger)


def whole(extra_config: Mapping[str, object] | None, kind: Kind, name: object) -> dict[str, object]:
    """Return an ``extra_config`` with the kind's namespace, from that or from the namespace itself.

    ``name`` is what is used where it names nothing.
    """
    extra = namespace_of(extra_config or {}, kind) or extra_config or {}
    return {kind.namespaces[0]: {"name": name, **extra} if isinstance(extra, Mapping) else extra}
