"""Native hooks on responses: functions ``(rw, res, req)`` as plugins.

    def MyPluginResponse(rw, res, req):
        res.Header.Add("X-Response-Added", "resp-added")
        res.Body = b'{"message": "Hi! I\'m a response plugin"}'

``res`` goes out when the last hook is through. Headers set on ``rw`` go out with it. What is written to
``rw`` goes out instead of ``res``; with a status of 400 or more the hooks behind it are not called.
Content-Length is always that of the body, and several values of a header stay several.

Contract: Tyk's ``gateway/res_handler_go_plugin.go``. There Content-Length stays as it was, and the upstream's
body follows what was written to ``rw`` (which ``compat`` keeps).
"""

from __future__ import annotations

from plugmw.dialects.tyk.hooks import NativeHook
from plugmw.dialects.tyk.views import Request, Response, ResponseWriter
from plugmw.kernel.exchange import own_headers
from plugmw.kernel.response import RespondingExchange
from plugmw.wsgi.responses import put, take


class ResponseHook(NativeHook):
    """A hook on the upstream's response. Phases: response."""

    def response(self, x: RespondingExchange) -> None:
        # The chain of an API fails as a whole.
        state = x.state(ResponseHook)
        if state.get("failed"):
            return
        writer = ResponseWriter()
        res: Response = take(x, Response)
        self.call(x, writer, res, Request(x.environ))
        if writer.status >= 400:
            state["failed"] = True
            self.logger.error("Response chain failed! %s (request %s)", self.label, x.request_id)
        try:
            put(x, self._joined(writer, res))
        except (ValueError, TypeError) as error:
            self.fail(x, error)

    def _joined(self, writer: ResponseWriter, res: Response) -> Response:
        """Return what goes out: ``res`` with the writer's headers, or what was written."""
        own = writer.header().items()
        if writer.status:
            rest, items = (res.body, res.headerlist) if self.compat else (b"", [])
            res = Response(app_iter=[writer.body + rest], status=writer.status, headerlist=items)
        res.headerlist = own_headers(res.headerlist, own)
        return res
