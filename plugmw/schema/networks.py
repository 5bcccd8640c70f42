"""Networks as they are written in configurations."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Return the network ``text`` names, host bits allowed; raises ``ValueError``."""
    network = ip_network(text.strip(), strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network
