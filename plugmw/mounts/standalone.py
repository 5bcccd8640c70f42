"""One plugin of a dialect round an app, as a plain WSGI middleware: a gateway without a document.

    app = ResponseModifier(app, add_header)
    app = Functions(app, "lib")

Bundled plugins have ``middleware`` for that; these take the first argument of theirs by position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugmw.dialects.prest.plugin import FunctionsPlugin
from plugmw.dialects.response_modifier import Function, ResponseModifierPlugin
from plugmw.gateway import Gateway
from plugmw.kernel.runtime import DEFAULT_BODY_LIMIT, Logger

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class ResponseModifier(Gateway):
    """A WSGI middleware: ``app`` with its responses changed by ``function``.

    See :mod:`plugmw.dialects.response_modifier`. A response larger than ``max_response_body`` bytes is
    answered 500.
    """

    def __init__(
        self,
        app: WSGIApplication,
        function: Function | str,
        *,
        max_response_body: int = DEFAULT_BODY_LIMIT,
        logger: Logger | None = None,
    ) -> None:
        super().__init__(app, plugins=[ResponseModifierPlugin(function=function)], logger=logger)
        self.runtime.max_response_body = max_response_body


class Functions(Gateway):
    """A WSGI middleware: the functions of the folder ``path``, and ``app`` everywhere else.

    ``config`` are the other fields of the plugin; see :mod:`plugmw.dialects.prest.plugin`.
    """

    def __init__(
        self, app: WSGIApplication, path: str = "lib", *, logger: Logger | None = None, **config: object
    ) -> None:
        super().__init__(app, plugins=[FunctionsPlugin(path=path, **config)], logger=logger)
