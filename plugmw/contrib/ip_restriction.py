"""Let requests through or refuse them by the client's address.

    plugins:
      - name: ip-restriction
        config:
          allow: [10.0.0.0/8]
          deny: [10.1.0.0/16]

A refused client gets ``status`` (403) with ``message``, or "IP address not allowed: <address>", in the
format it accepts. A request without an address (a unix socket that is not trusted) is refused. The
address is the one the gateway's ``trusted`` setting yields.

Fails closed. Contract: Kong's ip-restriction (``kong/plugins/ip-restriction``), with IPv4-mapped IPv6
addresses compared as IPv4.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import between, config, field
from plugmw.schema.fields import Network
from plugmw.wsgi.proxies import Address

NO_ADDRESS = "Cannot identify the client IP address, unix domain sockets are not supported."


@config
class Config:
    """At least one of ``allow`` and ``deny``; ``deny`` wins."""

    allow: list[Network] | None = field(None, help="Addresses or CIDR ranges let through; empty means all.")
    deny: list[Network] | None = field(None, help="Addresses or CIDR ranges refused; looked at first.")
    status: int = field(403, between(400, 599), help="Status of the refusal.")
    message: str | None = field(None, help="Text of the refusal, instead of the default one.")

    def check(self) -> Iterator[str]:
        if not self.allow and not self.deny:
            yield "at least one of these fields must be non-empty: 'allow', 'deny'"


class IPRestriction(Plugin[Config]):
    """Phases: access."""

    name, priority, Config = "ip-restriction", 3000, Config
    fail_closed = True

    def configure(self) -> None:
        self._allowed = matcher(self.config.allow) if self.config.allow else None
        self._denied = matcher(self.config.deny or ())

    def access(self, x: Exchange) -> None:
        address = x.client_ip
        if address is None:
            x.fail(403, NO_ADDRESS)
        if self._denied(address) or (self._allowed is not None and not self._allowed(address)):
            because = f"IP address not allowed: {address}"
            x.fail(self.config.status, self.config.message or because, because=because)


def matcher(networks: Iterable[Network]) -> Callable[[Address], bool]:
    """Return a test for membership: sorted, disjoint ranges per IP version, looked up by bisection."""
    tables: dict[int, list[int]] = {4: [], 6: []}
    for version, edges in tables.items():
        ranges = sorted(
            (int(net.network_address), int(net.broadcast_address) + 1)
            for net in networks
            if net.version == version
        )
        for start, end in ranges:
            if edges and start <= edges[-1]:
                edges[-1] = max(edges[-1], end)
            else:
                edges += (start, end)

    def inside(address: Address) -> bool:
        # An odd number of edges at or below the address means it is between a start and an end.
        return bisect_right(tables[address.version], int(address)) % 2 == 1

    return inside
