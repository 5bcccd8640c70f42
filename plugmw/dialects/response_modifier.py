"""Change responses with one function.

    plugins:
      - name: response-modifier
        config:
          function: package.module:add_header

    app = ResponseModifier(app, add_header)          # the same as a plain WSGI middleware

    def add_header(res, req):
        res.headers["X-Response-Added"] = "resp-added"
        res.text = res.text.upper()

The function takes ``(res)``, ``(res, req)`` or ``(rw, res, req)``: ``res`` and ``req`` are WebOb's response
and request. It changes ``res``, or returns another response (a ``webob.Response``, or a tuple of status,
headers and body). Headers set on ``rw`` go out whatever ``res`` says; what is written to ``rw`` goes out
instead of ``res``. If it raises, the client gets a clean 500.

The answer is read whole, up to ``max_response_body``; answers that other plugins make do not come here.

Contract: Tyk's response plugins (``gateway/res_handler_go_plugin.go``), with the defects mended: there,
Content-Length stays as it was, and the body follows what was written to ``rw``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import webob

from plugmw.dialects.go_http import Request, ResponseWriter
from plugmw.errors import LoadError
from plugmw.kernel.exchange import own_headers
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.response import RespondingExchange
from plugmw.loading.imports import resolve
from plugmw.schema import Kind, config, field
from plugmw.wsgi.answer import header_items
from plugmw.wsgi.responses import put, take

if TYPE_CHECKING:
    pass


Function = Callable[..., object]


def _resolved(function: Function | str) -> Function:
    return resolve(function) if isinstance(function, str) else function


def _checked(function: Any) -> Any:
    try:
        resolved = _resolved(function)
    except LoadError as error:
        raise ValueError(f"module:callable ({error.what})") from error
    if not callable(resolved) or _parameters(resolved) not in (1, 2, 3):
        raise ValueError("a function of (res), (res, req) or (rw, res, req)")
    return function


def _parameters(function: Function) -> int:
    """Count the arguments a function needs."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


@config
class Config:
    """The function; in code it may be given as such."""

    function: Annotated[Function | str, Kind(_checked, "module:callable", {"type": "string"})] = field(
        help="The function, as `module:callable`."
    )


class ResponseModifierPlugin(Plugin[Config]):
    """Phases: response."""

    name, priority, Config = "response-modifier", 790, Config

    def configure(self) -> None:
        self._function = _resolved(self.config.function)
        self._count = _parameters(self._function)

    def response(self, x: RespondingExchange) -> None:
        writer, res = ResponseWriter(), take(x)
        arguments = (writer, res, Request(x.environ))
        result = self._function(*(arguments if self._count == 3 else arguments[1 : self._count + 1]))
        res = _response(res if result is None else result)
        own = writer.header().items()
        if writer.status:
            res = webob.Response(app_iter=[writer.body], status=writer.status, headerlist=[])
        res.headerlist = own_headers(res.headerlist, own)
        put(x, res)


def _response(result: object) -> webob.Response:
    if isinstance(result, webob.Response):
        return result
    if isinstance(result, tuple) and len(result) == 3:
        status, headers, body = result
        data = body.encode() if isinstance(body, str) else body
        return webob.Response(app_iter=[data], status=status, headerlist=header_items(headers))
    raise TypeError(f"got {result!r}, expected None, a webob.Response or (status, headers, body)")
