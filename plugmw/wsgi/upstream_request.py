"""What plugins tell the upstream about one request, and what came of it.

UpstreamRequest.of(x.environ).buffer = True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@attrs.define(eq=False)
class UpstreamRequest:
    """The request to the service. None leaves a thing as it is configured; durations are seconds."""

    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    #: What ``Host`` says, whatever the host is that is connected to.
    host_header: str | None = None
    #: Escaped and complete; it counts while PATH_INFO is the same path.
    path: str | None = attrs.field(default=None, repr=False)
    connect_timeout: float | None = None
    write_timeout: float | None = None
    read_timeout: float | None = None
    #: New tries after a connection could not be opened.
    retries: int | None = None
    #: Whether the app's answer is read whole before it goes on, in chains with a plugin that watches it.
    buffer: bool = False
    #: The environ keys and values of headers that the client named in Connection, as they came.
    named: Mapping[str, str] | None = attrs.field(default=None, repr=False)

    #: The status that came back, ``""`` before; text, as an app may tell that of several tries.
    status: str = ""
    #: Whether the answer is the gateway's own, in place of the service's that did not come.
    failed: bool = False
    #: Each connection that was tried: ``ip``, ``port`` and, if it failed, ``state``.
    tries: list[dict[str, object]] = attrs.Factory(list)

    @classmethod
    def of(cls, environ: WSGIEnvironment) -> UpstreamRequest:
        """Return that of a request, made when it is first asked for."""
        known: UpstreamRequest | None = environ.get(keys.UPSTREAM)
        if known is None:
            known = environ[keys.UPSTREAM] = cls()
        return known
