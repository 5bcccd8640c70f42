"""A UDP and a TCP sink for lines of metrics, and a service, route and consumer to send them about."""

from __future__ import annotations

import socket
from typing import Any

from plugmw import Plugin
from plugmw.kernel.identity import Consumer, Credential
from plugmw.testing import gateway, get, hello_app

SERVICE = {"id": "2b7e1f70-0000-4000-8000-000000000001", "name": "svc1", "url": "http://127.0.0.1:9"}
ROUTE = {"id": "2b7e1f70-0000-4000-8000-000000000002", "name": "route1", "paths": ["/"], "service": "svc1"}
CONSUMER = Consumer(id="2b7e1f70-0000-4000-8000-000000000003", username="bob", custom_id="robert")
#: A service that the wrapped app answers.
SCOPE: dict[str, Any] = {
    "services": [{key: SERVICE[key] for key in ("id", "name")}],
    "routes": [ROUTE],
}


class Known(Plugin):
    """Stand-in for authentication: everybody is ``consumer``; ``workspace`` goes into the log entry."""

    name, priority = "known", 5000

    def __init__(
        self, consumer: Consumer | None = CONSUMER, workspace: tuple[str, str] | None = None
    ) -> None:
        super().__init__()
        self.who, self.workspace = consumer, workspace

    def access(self, x: Any) -> None:
        from plugmw.telemetry.log_entry import changes_of

        if self.who is not None:
            x.authenticate(self.who, Credential(id="2b7e1f70-0000-4000-8000-000000000004", consumer_id="c"))
        if self.workspace is not None:
            for name, value in zip(("workspace", "workspace_name"), self.workspace):
                changes_of(x).append((name, value, "set"))


class UDPSink:
    """A UDP port of this machine; ``received`` returns the datagrams that have come."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.host, self.port = self.socket.getsockname()
        self.at = {"host": self.host, "port": self.port}

    def received(self) -> list[str]:
        got = []
        while True:
            try:
                got.append(self.socket.recv(65_536).decode())
            except BlockingIOError:
                return got

    def close(self) -> None:
        self.socket.close()


def reported(
    plugin: Any, *others: Any, requests: Any = ("/request",), app: Any = hello_app, scope: Any = SCOPE
) -> list[int]:
    """Send requests through ``plugin``, drain its queue, and return the statuses."""
    wrapped = gateway(plugin, *others, app=app, **scope)
    statuses = [get(wrapped, path=path).status_code for path in requests]
    wrapped.stop()
    return statuses


def status_app(environ: Any, start_response: Any) -> list[bytes]:
    """Answer ``/status/404`` with 404."""
    start_response(f"{environ['PATH_INFO'].rpartition('/')[2]} As Asked", [("Content-Length", "0")])
    return [b""]
