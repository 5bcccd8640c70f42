"""Run KrakenD-style modifiers on the requests and responses of the whole gateway.

    plugins:
      - name: req-resp-modifier
        config:
          module: modifiers.py         # or folder and pattern
          name: [my-request, my-response]
          extra_config:
            my-request: {header: X-Tenant}

A request modifier may change method, path, query, headers and body, and may answer by returning a response
wrapper; a response modifier may change status, headers and body (``data`` if it is a JSON object). An error
with a ``status_code`` is that answer, its text sent only with ``return_error_msg``; any other exception is
a failure of the plugin: 500, or ignored under ``on_error: open``.

Responses are read whole, up to ``max_response_body``, if there is a response modifier.

Contract: KrakenD's ``plugin/req-resp-modifier`` at the level of the gateway, which KrakenD does not have;
see :mod:`plugmw.dialects.krakend.modifiers`.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import webob

from plugmw.dialects.go_http import canonical
from plugmw.dialects.krakend.entry import ModuleConfig, ModulePlugin
from plugmw.dialects.krakend.modifiers import Modifier, Modifiers, build_modifiers
from plugmw.dialects.krakend.registry import MODIFIER
from plugmw.dialects.krakend.wrappers import (
    RequestWrapper,
    ResponseWrapper,
    answer_of,
    as_bytes,
    body_of,
    by_name,
    is_response,
    value_of,
)
from plugmw.errors import rehearsed
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.response import RespondingExchange
from plugmw.schema import config, field
from plugmw.wsgi.forms import replace_query
from plugmw.wsgi.headers import headers_in
from plugmw.wsgi.responses import put, take
from plugmw.wsgi.text import decode, encode

#: Not among the headers that modifiers see: framing follows the body, and Go keeps Host elsewhere.
_HIDDEN = ("Content-Length", "Transfer-Encoding", "Host")


@config
class Config(ModuleConfig):
    """Where the modifiers are, and whether clients see the texts of their errors."""

    return_error_msg: bool = field(False, help="Send the text of an error that has a status.")


class ReqRespModifier(ModulePlugin[Config]):
    """Phases: access, response."""

    name, priority, Config, kind = "req-resp-modifier", 795, Config, MODIFIER
    _modifiers = Modifiers()

    def init_worker(self) -> None:
        self._modifiers = self._built(self.config.strict)

    def rehearse(self) -> None:
        with rehearsed(self.config.strict):
            self._built(strict=True)

    def _built(self, strict: bool) -> Modifiers:
        return build_modifiers(self.loader, self.extra_config, "[SERVICE: Gateway]", strict=strict)

    def wants_body(self, x: RespondingExchange) -> bool:
        return bool(self._modifiers.responses)

    def access(self, x: Exchange) -> None:
        if not self._modifiers.requests:
            return
        modified = self._run(x, self._modifiers.on_request, self._request(x))
        if is_response(modified):
            headers = [(n, v) for n, values in value_of(modified, "headers").items() for v in values]
            body = value_of(modified, "data") or body_of(modified, b"")
            x.exit(value_of(modified, "status_code"), body, headers)
        apply_request(x, modified)
        x.state(self)["request"] = modified

    def response(self, x: RespondingExchange) -> None:
        res = take(x)
        before = by_name(res.headerlist)
        wrapper = ResponseWrapper(
            status_code=res.status_code,
            headers=by_name(res.headerlist),
            read=lambda: x.body,
            request=x.state(self).get("request") or self._request(x),
        )
        apply_response(res, before, self._run(x, self._modifiers.on_response, wrapper))
        put(x, res)

    def _request(self, x: Exchange) -> RequestWrapper:
        return request_of(x, self.loader.context)

    def _run(self, x: Exchange, run: Modifier, wrapper: object) -> object:
        try:
            return run(wrapper)
        except Exception as error:
            if not isinstance(value_of(error, "status_code"), int):
                raise
            self.logger.error("%s (request %s)", error, x.request_id)
            status, body, headers = answer_of(error, self.config.return_error_msg)
            x.exit(status, body, headers)


def request_of(x: Exchange, context: object = None) -> RequestWrapper:
    """Return the request of an exchange as modifiers see it."""
    environ = x.environ
    headers = by_name(headers_in(environ))
    for name in _HIDDEN:
        headers.pop(name, None)
    return RequestWrapper(
        method=x.method,
        path=decode(environ.get("PATH_INFO", ""), "replace"),
        query=parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True),
        headers=headers,
        context=context,
        read=x.read_body,
    )


def apply_request(x: Exchange, wrapper: object) -> None:
    """Change the request of an exchange to what modifiers made of it; what they left alone stays."""
    before = request_of(x)
    environ = x.environ
    environ["REQUEST_METHOD"] = value_of(wrapper, "method")
    if value_of(wrapper, "path") != before.path:
        environ["PATH_INFO"] = encode(value_of(wrapper, "path"), "surrogateescape")
        x._path = None
    if value_of(wrapper, "query") != before.query:
        replace_query(environ, urlencode(sorted(value_of(wrapper, "query").items()), doseq=True))
    headers = {canonical(name): values for name, values in value_of(wrapper, "headers").items()}
    for name in before.headers.keys() - headers.keys():
        x.remove_request_header(name)
    for name, values in headers.items():
        if values != before.headers.get(name) and name not in _HIDDEN:
            x.set_request_header(name, ", ".join(values))
    body = wrapper.read_body if isinstance(wrapper, RequestWrapper) else as_bytes(value_of(wrapper, "body"))
    if body is not None and body != x.read_body():
        x.replace_body(body)


def apply_response(res: webob.Response, before: dict[str, list[str]], wrapper: object) -> None:
    """Change a response to what modifiers made of it."""
    status = value_of(wrapper, "status_code")
    if status != res.status_code:
        res.status_code = status
    headers = {canonical(name): values for name, values in value_of(wrapper, "headers").items()}
    for name in before.keys() | headers.keys():
        if headers.get(name) != before.get(name):
            res.headers.pop(name, None)
            for value in headers.get(name, ()):
                res.headers.add(name, value)
    body = body_of(wrapper, res.body)
    if body != res.body:
        res.body = body
