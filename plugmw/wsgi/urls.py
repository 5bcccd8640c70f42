"""Where an http or https URL leads."""

from __future__ import annotations

from typing import Final, TypeAlias
from urllib.parse import urlsplit

#: Ports of URLs that name none.
PORTS: Final = {"http": 80, "https": 443}
#: Scheme, host, port.
Origin: TypeAlias = tuple[str, str, int]


def origin(url: str) -> Origin:
    """Return scheme, host (IPv6 without brackets) and port of a URL; raises ``ValueError`` for what is none.

    The message does not have the URL in it: there may be secrets in its query.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.port == 0:
        raise ValueError(f"got a URL of {parts.scheme!r}, expected one of http or https with a host")
    return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]


def netloc(scheme: str, host: str, port: int) -> str:
    """Return the value of Host for an origin: a port of the scheme's own is left out."""
    name = bracketed(host)
    return name if port == PORTS[scheme] else f"{name}:{port}"


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
