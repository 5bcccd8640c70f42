"""Give every request an identifier in a header, for the app and, if wanted, for the client.

    plugins:
      - name: correlation-id
        config:
          header_name: X-Correlation-ID
          echo_downstream: true

A client's own identifier is kept if it is up to 200 visible ASCII characters; else the app gets a new one.
It is also in ``environ["plugmw.correlation_id"]`` and in log entries. With ``echo_downstream`` every answer
carries it, refusals and errors of other plugins included.

Never refuses anything. Identifiers are no secrets and prove nothing. Contract: Kong's correlation-id
(``kong/plugins/correlation-id``); the limits on incoming values are plugmw's.
"""

from __future__ import annotations

import os
import re
import uuid
from typing import Final, Literal

from plugmw.concurrency.counting import Numbers
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import config, field
from plugmw.schema.fields import HeaderName
from plugmw.wsgi import keys
from plugmw.wsgi.headers import cgi_key

#: What may go into logs, requests and answers: 200 characters hold every generator's value and a few more.
_FITS: Final = re.compile(r"[!-~]{1,200}").fullmatch
#: A unix socket's SERVER_NAME is what the client sent as Host (gunicorn), and a dash divides the parts.
_ODD: Final = re.compile(r"[^0-9A-Za-z.:]")


@config
class Config:
    """The header, and how its value is made."""

    header_name: HeaderName = field("X-Correlation-ID", help="The request header with the identifier.")
    generator: Literal["uuid", "uuid#counter", "tracker"] = field(
        "uuid#counter", help="How identifiers are made; `tracker` shows the server and its process id."
    )
    echo_downstream: bool = field(False, help="Whether answers carry the header.")
    trusted_only: bool = field(
        False, help="Whether only peers in the gateway's `trusted` setting may bring their own identifier."
    )


class CorrelationID(Plugin[Config]):
    """Phases: access, header_filter."""

    name, priority, Config = "correlation-id", 1, Config

    def configure(self) -> None:
        self._header = self.config.header_name
        self._key = cgi_key(self._header)
        self._make = {"uuid": self._uuid, "uuid#counter": self._count, "tracker": self._track}[
            self.config.generator
        ]

    def init_worker(self) -> None:
        # Made after the fork: workers that shared the UUID would make the same identifiers.
        self._worker = f"{uuid.uuid4()}#"
        self._numbers = Numbers()

    def access(self, x: Exchange) -> None:
        self._identify(x)

    def header_filter(self, x: Exchange) -> None:
        if self.config.echo_downstream:
            # Priority 1: access has not run if another plugin answered.
            value = self._known(x).get(self._key) or self._identify(x)
            x.remove_header(self._header)
            x.add_header(self._header, value)

    def _identify(self, x: Exchange) -> str:
        """Return the request's identifier, and record it for the app, for logs and for the answer."""
        environ = x.environ
        sent = environ.get(self._key)
        value = sent.strip(" \t") if sent else ""
        if not _FITS(value) or (self.config.trusted_only and not self.runtime.trusted.trusts(environ)):
            value = environ[self._key] = self._make(x)
        environ[keys.CORRELATION_ID] = self._known(x)[self._key] = value
        return value

    def _known(self, x: Exchange) -> dict[str, str]:
        """Return the request's identifiers by header: two instances each echo their own."""
        return x.state(CorrelationID)

    def _uuid(self, x: Exchange) -> str:
        return str(uuid.uuid4())

    def _count(self, x: Exchange) -> str:
        return f"{self._worker}{self._numbers.next()}"

    def _track(self, x: Exchange) -> str:
        """Return six parts; WSGI knows no connections, so a request counts as one with one request."""
        environ = x.environ
        server = _ODD.sub("_", environ["SERVER_NAME"])[:100]
        port = environ["SERVER_PORT"]
        return f"{server}-{port}-{os.getpid()}-{self._numbers.next()}-1-{self.runtime.clock():.3f}"
