"""Whom to believe about the client: one rule decides address, scheme and host for every plugin."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, TypeAlias

from plugmw.schema.networks import parse_network
from plugmw.wsgi.headers import cgi_key

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Address: TypeAlias = "IPv4Address | IPv6Address"

#: How a peer on a unix socket, which has no address, is named in the list of trusted peers.
UNIX: Final = "unix:"


def parse_address(text: str) -> Address | None:
    """Return the address in ``text`` (brackets, port and zone stripped, IPv4-mapped IPv6 as IPv4)."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Trusted:
    """The ``trusted`` setting: peers whose forwarding headers count.

    ``peers`` are networks and ``unix:``; ``hops`` instead counts proxies from the right. ``header`` names
    the field with the client's address; with ``recursive`` the rightmost address that is not itself
    trusted counts, without it the last one (nginx ``real_ip_recursive``).
    """

    def __init__(
        self,
        peers: Sequence[str] = (),
        hops: int = 0,
        header: str = "X-Forwarded-For",
        recursive: bool = True,
    ) -> None:
        self.unix = UNIX in peers
        self.networks = tuple(parse_network(peer) for peer in peers if peer != UNIX)
        self.hops = hops
        self.key = cgi_key(header)
        self.recursive = recursive
        self.nobody = not (self.unix or self.networks or hops)

    def includes(self, address: Address | None) -> bool:
        """Say whether ``address`` (None: a unix socket) is a trusted peer."""
        if address is None:
            return self.unix
        return any(address.version == net.version and address in net for net in self.networks)

    def trusts(self, environ: WSGIEnvironment) -> bool:
        """Say whether the peer that sent this request may speak for others."""
        if self.nobody:
            return False
        if self.hops:
            return True
        peer = environ.get("REMOTE_ADDR", "")
        address = parse_address(peer)
        return self.includes(address) if address or not peer else False

    def client(self, environ: WSGIEnvironment) -> Address | None:
        """Return the client's address, or None when it cannot be told."""
        peer = parse_address(environ.get("REMOTE_ADDR", ""))
        if self.nobody or not self.trusts(environ):
            return peer
        chain = [parse_address(part) for part in environ.get(self.key, "").split(",") if part.strip()]
        if not chain:
            return peer
        if self.hops:
            # Fewer addresses than proxies: somebody came round them and could have written anything.
            return chain[-self.hops] if len(chain) >= self.hops else peer
        if not self.recursive:
            return chain[-1]
        for address in reversed(chain):
            if address is None or not self.includes(address):
                return address
        return chain[0]

    def scheme(self, environ: WSGIEnvironment) -> str:
        """Return ``http`` or ``https`` as the client used it."""
        if not self.nobody and self.trusts(environ):
            scheme = str(environ.get("HTTP_X_FORWARDED_PROTO", "")).rpartition(",")[2].strip().lower()
            if scheme in ("http", "https"):
                return scheme
        return str(environ["wsgi.url_scheme"])

    def host(self, environ: WSGIEnvironment) -> str:
        """Return the host the client asked for, with its port if it gave one."""
        if not self.nobody and self.trusts(environ):
            forwarded = str(environ.get("HTTP_X_FORWARDED_HOST", "")).rpartition(",")[2].strip()
            if forwarded:
                return forwarded
        host = environ.get("HTTP_HOST")
        return str(host) if host else f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
