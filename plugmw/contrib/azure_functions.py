"""Answer requests by calling an Azure function, without asking the app.

    plugins:
      - name: azure-functions
        config:
          appname: shop
          functionname: orders
          apikey: ${AZURE_KEY}

The function gets the request's method, query, headers and body, at its own path; the client sees its status,
headers and body, byte for byte, streamed both ways. A function that does not answer in time is 500
``{"message": "An unexpected error occurred"}``, the reason is only logged; an answer that breaks off is cut.
A call is made once and redirects are passed on. The two key headers of a client are removed.

Fails closed. Contract: Kong's azure-functions (``kong/plugins/azure-functions``), with certificates verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http.client import HTTPException
from typing import TYPE_CHECKING, Final

from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import REQUIRED, Finding, above, at_least, config, field, matches
from plugmw.upstream.connections import Body, NotConnected
from plugmw.upstream.forwarding import BadRequest, Target, Upstream, request_headers, response_headers
from plugmw.wsgi import keys
from plugmw.wsgi.answer import UNEXPECTED, Exit, check_header, error_exit, respond, status_line, to_json
from plugmw.wsgi.paths import SENDABLE, escape
from plugmw.wsgi.upstream_request import UpstreamRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS: Final = matches(rf"{_LABEL}(?:\.{_LABEL})*", "a DNS name")
_PATH: Final = matches(r"[A-Za-z0-9_.~!$&'()*+,;=:@%/-]*", "a path as it is sent, without ? and #")
#: What stays as it is in a query: escapes included, only what cannot be sent is escaped.
_SENDABLE: Final = SENDABLE.replace("#", "")
_KEYS: Final = ("x-functions-key", "x-functions-clientid")


@config
class Config:
    """Which function, and how it is called."""

    appname: str = field(REQUIRED, _DNS, help="Name of the app that the function belongs to.")
    functionname: str = field(REQUIRED, _PATH, help="Name of the function; outer slashes do not count.")
    hostdomain: str = field("azurewebsites.net", _DNS, help="Domain that the app is in.")
    routeprefix: str = field(
        "api", _PATH, empty=True, help="Path before the function's name; empty or `/` for none."
    )
    https: bool = field(True, help="Whether to call with TLS, on port 443 instead of 80.")
    https_verify: bool = field(True, help="Whether the function's certificate is verified.")
    tls_ca_file: str | None = field(None, help="CA certificates to verify with, instead of the usual ones.")
    apikey: str | None = field(None, secret=True, help="Key of the function, sent as `x-functions-key`.")
    clientid: str | None = field(None, secret=True, help="Name of the key, sent as `x-functions-clientid`.")
    timeout: float = field(600_000, above(0), help="Milliseconds to connect, to send and to read.")
    keepalive: float = field(60_000, at_least(0), help="Milliseconds after which idle connections are left.")
    forward_headers: list[str] | None = field(
        None, help="Names of the headers that the function gets; none: all."
    )
    drop_headers: list[str] = field([], help="Names of headers that the function does not get.")

    def check(self) -> Iterator[Finding]:
        if not self.functionname.strip("/"):
            yield "functionname", "got only slashes, expected the name of a function"
        if any(part in (".", "..") for part in f"{self.routeprefix}/{self.functionname}".split("/")):
            yield "functionname", "got a path with dot segments, expected one without, routeprefix included"
        for name in ("apikey", "clientid"):
            try:
                check_header("x", getattr(self, name) or "")
            except ValueError:
                yield name, "got a secret value that cannot be sent in a header"


class AzureFunctions(Plugin[Config]):
    """Phases: access."""

    name, priority, Config = "azure-functions", 749, Config
    fail_closed = True
    forwards = True

    def configure(self) -> None:
        c = self.config
        path = "/".join(part for part in (c.routeprefix.strip("/"), c.functionname.strip("/")) if part)
        self._url = f"{'https' if c.https else 'http'}://{c.appname}.{c.hostdomain}/{path}"
        seconds = c.timeout / 1000
        to = Target(
            url=self._url,
            connect_timeout=seconds,
            write_timeout=seconds,
            read_timeout=seconds,
            deadline=seconds,
            retries=0,
            verify=c.https_verify,
            ca_file=c.tls_ca_file,
            idle=c.keepalive / 1000,
        )
        self._function = _Function(to, c)
        if c.apikey and not c.https:
            self.logger.warning("azure-functions: without https the apikey is sent readable")

    def close(self) -> None:
        if hasattr(self, "_function"):
            self._function.close()

    def access(self, x: Exchange) -> None:
        x.delegate(self._answer)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the function once; be its answer, still encoded, as it comes."""
        # What plugins have said about the app's service is not about this one.
        asked = {**environ, keys.UPSTREAM: UpstreamRequest(named=UpstreamRequest.of(environ).named)}
        try:
            body: Body = self._function.send(asked)
        except BadRequest:
            refusal = error_exit(400, None, None, str(environ.get("HTTP_ACCEPT", "")), "")
            return respond(refusal, environ, start_response)
        except (NotConnected, HTTPException, OSError, ValueError) as error:
            # The text of the error may have the query in it.
            self.logger.error("azure-functions: no answer of %s: %s", self._url, type(error).__name__)
            kind = [("Content-Type", "application/json; charset=utf-8")]
            return respond(Exit(500, to_json({"message": UNEXPECTED}), kind), environ, start_response)
        try:
            headers = response_headers(body.answer.headers)
            start_response(status_line(body.answer.status), [*headers, ("Via", "1.1 plugmw")])
        except BaseException:
            body.close()
            raise
        return body


class _Function(Upstream):
    """The function as a service: at one path, with headers that are chosen."""

    def __init__(self, to: Target, c: Config) -> None:
        super().__init__(to)
        self._keys = [(n, v) for n, v in zip(_KEYS, (c.apikey, c.clientid), strict=True) if v]
        self._only = None if c.forward_headers is None else {name.lower() for name in c.forward_headers}
        self._dropped = {"host", *_KEYS, *(name.lower() for name in c.drop_headers)}

    def send(self, environ: WSGIEnvironment) -> Body:
        body = super().send(environ)
        try:
            if not 200 <= body.answer.status <= 599:
                raise ValueError("no status of an answer")
            for name, value in body.answer.headers:
                check_header(name, value)
        except ValueError:
            body.close()
            raise
        return body

    def target_of(self, environ: WSGIEnvironment) -> str:
        query = escape(str(environ.get("QUERY_STRING", "")), _SENDABLE)
        return f"{self._base}?{query}" if query else self._base

    def headers_of(
        self, environ: WSGIEnvironment, wish: UpstreamRequest, netloc: str
    ) -> list[tuple[str, str]]:
        headers = [("Host", netloc)]
        for name, value in request_headers(environ):
            lower = name.lower()
            chosen = self._only is None or lower in self._only or lower == "content-length"
            if chosen and lower not in self._dropped:
                headers.append((name, value))
        return [*headers, *self._keys]
