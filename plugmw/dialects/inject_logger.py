"""Hand one logger to every plugin below, and to the app through the environ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from plugmw.kernel.plugin import inject
from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class InjectLogger:
    """A WSGI middleware: ``app`` is given ``logger`` (a ``logging.Logger``, or anything with its methods).

    Plugin middlewares and gateways take it by their ``register_logger``, for themselves and for what they
    wrap; an app finds it in ``environ["plugmw.logger"]``.
    """

    def __init__(self, app: WSGIApplication, logger: object) -> None:
        self.app = app
        self.logger = logger
        inject(app, logger)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[keys.LOGGER] = self.logger
        return self.app(environ, start_response)
