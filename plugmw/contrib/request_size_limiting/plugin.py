"""Refuse requests whose body is larger than a limit.

    plugins:
      - name: request-size-limiting
        config:
          allowed_payload_size: 8
          size_unit: megabytes

The client gets 413 "Request size limit exceeded" (417 if it sent ``Expect: 100-continue``), or 411 "A valid
Content-Length header is required", in the format it accepts. A declared length is compared and nothing is
read. A body without one is read up to the limit, in memory and then in a temporary file, before the app is
asked; with ``streaming`` the app reads it as it comes and is interrupted at the limit.

Fails closed. Contract: Kong's request-size-limiting (``kong/plugins/request-size-limiting``), but that no
more than the limit is ever read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from werkzeug.wsgi import LimitedStream

from plugmw.contrib.request_size_limiting.body_limit import Metered, answering, give, spool
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import at_least, config, field
from plugmw.wsgi.answer import Exit, error_exit
from plugmw.wsgi.body import BadLength, content_length

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

TOO_LARGE: Final = "Request size limit exceeded"
NO_LENGTH: Final = "A valid Content-Length header is required"
UNITS: Final = {"megabytes": 1024 * 1024, "kilobytes": 1024, "bytes": 1}


@config
class Config:
    """The limit is ``allowed_payload_size`` times ``size_unit``."""

    allowed_payload_size: int = field(128, at_least(0), help="The largest body let through, in `size_unit`.")
    size_unit: Literal["megabytes", "kilobytes", "bytes"] = field(
        "megabytes", help="Unit of the size: 1048576, 1024 or 1 bytes."
    )
    require_content_length: bool = field(
        False, help="Whether a request that is not chunked must declare its length."
    )
    streaming: bool = field(
        False, help="Whether the app reads a body of unknown length while it is measured, not afterwards."
    )


class RequestSizeLimiting(Plugin[Config]):
    """Phases: access; wrap if bodies are measured while the app reads them."""

    name, priority, Config = "request-size-limiting", 951, Config
    fail_closed = True

    def configure(self) -> None:
        self._limit = self.config.allowed_payload_size * UNITS[self.config.size_unit]

    def access(self, x: Exchange) -> None:
        environ = x.environ
        encoding = environ.get("HTTP_TRANSFER_ENCODING", "")
        if encoding and environ.get("CONTENT_LENGTH"):
            x.fail(400)  # two ways to say where the body ends, for two readers to differ
        try:
            length = content_length(environ)
        except BadLength:
            length = None
        terminated = environ.get("wsgi.input_terminated")
        if length is not None:
            if length > self._limit:
                raise _refusal(x)
            if not terminated:
                give(environ, LimitedStream(environ["wsgi.input"], length), length)
            return
        strict = self.config.require_content_length
        if strict and not (encoding == "chunked" and terminated):
            x.fail(411, NO_LENGTH)
        if not terminated:
            x.replace_body(b"")  # to read what nobody says the end of could block for ever
        elif self.config.streaming:
            environ.pop("CONTENT_LENGTH", None)
            environ["wsgi.input"] = Metered(environ["wsgi.input"], self._limit, _refusal(x))
        elif not self._spooled(x):
            raise _refusal(x)

    def _spooled(self, x: Exchange) -> bool:
        try:
            return spool(x.environ, self._limit)
        except TimeoutError:
            x.fail(408)

    @property
    def wrap(self) -> Callable[[WSGIApplication], WSGIApplication]:
        """The phase; absent unless the app is interrupted, so that the chain is in one piece."""
        if not self.config.streaming:
            raise AttributeError("wrap")
        return answering


def _refusal(x: Exchange) -> Exit:
    expects = x.environ.get("HTTP_EXPECT", "").strip().lower() == "100-continue"
    accept = x.environ.get("HTTP_ACCEPT", "")
    return error_exit(417 if expects else 413, TOO_LARGE, None, accept, x.request_id)
