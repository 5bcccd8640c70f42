"""Answer requests by calling an Azure function, without asking the app.

    plugins:
      - name: azure-functions
        config:
          appname: shop
          functionname: orders
          apikey: ${AZURE_KEY}

The function gets the request's method, query, headers and body, at its own path; the client sees its status,
headers and body, byte for byte. A function that does not answer in time is 500
``{"message": "An unexpected error occurred"}``, the reason is only logged. A call is made once and redirects
are passed on. The two key headers of a client are removed.

Fails closed. Contract: Kong's azure-functions (``kong/plugins/azure-functions``), with certificates verified.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from plugmw.answer import UNEXPECTED, check_header
from plugmw.exchange import Exchange
from plugmw.plugin import Plugin
from plugmw.schema import REQUIRED, above, at_least, config, field, matches
from plugmw.upstream import request_headers, response_headers

if TYPE_CHECKING:
    from requests import Session

_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS: Final = matches(rf"{_LABEL}(?:\.{_LABEL})*", "a DNS name")
_PATH: Final = matches(r"[A-Za-z0-9_.~!$&'()*+,;=:@%/-]*", "a path as it is sent, without ? and #")
#: What stays as it is in a query: escapes included, only what cannot be sent is escaped.
_SENDABLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
_KEYS: Final = ("x-functions-key", "x-functions-clientid")
_STEP: Final = 64 * 1024


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

    def check(self) -> Iterator[Any]:
        if not self.functionname.strip("/"):
            yield "functionname", "got only slashes, expected the name of a function"
        if any(part in (".", "..") for part in f"{self.routeprefix}/{self.functionname}".split("/")):
            yield "functionname", "got a path with dot segments, expected one without, routeprefix included"
        for name in ("apikey", "clientid"):
            try:
                check_header("x", getattr(self, name) or "")
            except ValueError:
                yield name, "got a secret value that cannot be sent in a header"


class AzureFunctions(Plugin):
    """Phases: access."""

    name, priority, Config = "azure-functions", 749, Config
    decides = True

    def configure(self) -> None:
        c = self.config
        path = "/".join(part for part in (c.routeprefix.strip("/"), c.functionname.strip("/")) if part)
        self._url = f"{'https' if c.https else 'http'}://{c.appname}.{c.hostdomain}/{path}"
        self._keys = [(n, v) for n, v in zip(_KEYS, (c.apikey, c.clientid)) if v]
        self._only = None if c.forward_headers is None else {name.lower() for name in c.forward_headers}
        self._dropped = {"host", "content-length", *_KEYS, *(name.lower() for name in c.drop_headers)}
        if c.apikey and not c.https:
            self.logger.warning("azure-functions: without https the apikey is sent readable")

    def init_worker(self) -> None:
        from requests import Session
        from requests.adapters import HTTPAdapter

        session = self._session = Session()
        session.trust_env = False
        session.headers.clear()
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.mount("https://", HTTPAdapter(pool_maxsize=64))
        session.mount("http://", HTTPAdapter(pool_maxsize=64))
        self._used = time.monotonic()

    def close(self) -> None:
        session: Session | None = getattr(self, "_session", None)
        if session is not None:
            session.close()

    def access(self, x: Exchange) -> None:
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        data = x.read_body()
        try:
            status, headers, body = self._call(x, data)
        except (RequestException, HTTPError, OSError, ValueError) as error:
            # The text of the error may have the query in it.
            self.logger.error("azure-functions: no answer of %s: %s", self._url, type(error).__name__)
            x.exit(500, {"message": UNEXPECTED})
        x.exit(status, body, [*headers, ("Via", "1.1 plugmw")])

    def _call(self, x: Exchange, data: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Call the function once; return its answer, still encoded. Raises what the library raises."""
        from requests import Request

        c, now = self.config, time.monotonic()
        if now - self._used > c.keepalive / 1000:
            self._session.close()
        self._used = now
        asked = Request(x.method, self._url, headers=self._headers(x), data=data or None)
        prepared = self._session.prepare_request(asked)
        query = x.environ.get("QUERY_STRING", "")
        # Set afterwards: requests would write both anew.
        prepared.url = f"{self._url}?{quote(query, _SENDABLE, 'latin-1')}" if query else self._url
        prepared.method = x.method
        verify = c.tls_ca_file or True if c.https_verify else False
        seconds = c.timeout / 1000
        answer = self._session.send(
            prepared, timeout=(seconds, seconds), verify=verify, stream=True, allow_redirects=False
        )
        with answer:
            pieces, size = [], 0
            for piece in answer.raw.stream(_STEP, decode_content=False):
                pieces.append(piece)
                size += len(piece)
                if size > x.runtime.max_response_body:
                    raise ValueError("the answer is longer than max_response_body")
                if time.monotonic() > now + seconds:
                    raise TimeoutError("the answer did not end in time")
            if answer.status_code < 200:
                raise ValueError("a final answer below 200")
            headers = response_headers(answer.raw.headers.items())
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        for name, value in kept:
            check_header(name, value)
        return answer.status_code, kept, b"".join(pieces)

    def _headers(self, x: Exchange) -> dict[str, str]:
        from urllib3.util import SKIP_HEADER

        # What the client did not send, the library must not add.
        made = {"Accept-Encoding": SKIP_HEADER, "User-Agent": SKIP_HEADER}
        for name, value in request_headers(x.environ):
            lower = name.lower()
            if lower not in self._dropped and (self._only is None or lower in self._only):
                made[name] = value
        return {**made, **dict(self._keys)}
