"""``kong.client``: who is asking (``kong/pdk/client.lua``)."""

from __future__ import annotations

import re
from typing import Any

from plugmw.dialects.kong.pdk.phase import REQUEST, of_type, phases, unsupported
from plugmw.exchange import Exchange
from plugmw.identity import Consumer, Credential

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I).fullmatch
_KNOWN = ("access", "response", "header_filter", "body_filter", "log")


class ClientTLS:
    """``kong.client.tls``."""

    request_client_certificate = unsupported(
        "kong.client.tls.request_client_certificate", "gunicorn's cert_reqs setting asks for certificates"
    )
    disable_session_reuse = unsupported(
        "kong.client.tls.disable_session_reuse", "sessions belong to the server's ssl_context"
    )
    set_client_verify = unsupported(
        "kong.client.tls.set_client_verify",
        "the server has verified the certificate before the app is called",
    )

    @phases(*REQUEST)
    def get_full_client_certificate_chain(self, x: Exchange) -> str | None:
        """Return the client's certificate in PEM where the server offers it (SSL_CLIENT_CERT), or None."""
        found = x.environ.get("SSL_CLIENT_CERT") or x.environ.get("gunicorn.peercert")
        return str(found) if found else None


class Client:
    """The peer and the consumer."""

    def __init__(self) -> None:
        self.tls = ClientTLS()

    @phases(*REQUEST)
    def get_ip(self, x: Exchange) -> str:
        """Return the address of the socket's peer."""
        return str(x.environ.get("REMOTE_ADDR", ""))

    @phases(*REQUEST)
    def get_forwarded_ip(self, x: Exchange) -> str:
        """Return the client's address under the ``trusted`` setting."""
        return str(x.client_ip or "")

    @phases(*REQUEST)
    def get_port(self, x: Exchange) -> int | None:
        """Return the peer's port, None where the server does not tell it."""
        port = str(x.environ.get("REMOTE_PORT", ""))
        return int(port) if port.isdigit() else None

    @phases(*REQUEST)
    def get_forwarded_port(self, x: Exchange) -> int | None:
        """Return the peer's port; forwarding headers do not carry the client's."""
        port = str(x.environ.get("REMOTE_PORT", ""))
        return int(port) if port.isdigit() else None

    @phases(*_KNOWN)
    def get_consumer(self, x: Exchange) -> Consumer | None:
        """Return the authenticated consumer, or None."""
        return x.consumer

    @phases(*_KNOWN)
    def get_credential(self, x: Exchange) -> Credential | None:
        """Return the credential that was used, or None."""
        return x.credential

    @phases(*_KNOWN)
    def load_consumer(
        self, x: Exchange, consumer_id: str, search_by_username: bool = False
    ) -> tuple[Consumer | None, str | None]:
        """Look a consumer up: (consumer, None), or (None, None) when there is none.

        Raises for an id that is no UUID, unless ``search_by_username``.
        """
        of_type(consumer_id, str, "consumer_id", "a string")
        found = x.runtime.consumers.consumer(consumer_id)
        if not search_by_username and not _UUID(consumer_id):
            raise ValueError("cannot load a consumer with an id that is not a uuid")
        if found is not None and not search_by_username and found.id != consumer_id:
            found = None
        return found, None

    @phases("access")
    def authenticate(self, x: Exchange, consumer: Any, credential: Any) -> None:
        """Say who is asking; either may be None, not both. Phases: access."""
        if consumer is None and credential is None:
            raise ValueError("either credential or consumer must be provided")
        x.authenticate(as_consumer(consumer), as_credential(credential, consumer))

    @phases(*_KNOWN)
    def get_protocol(self, x: Exchange, allow_terminated: bool = False) -> tuple[str | None, str | None]:
        """Return ``http`` or ``https``: of the connection, or as a trusted proxy terminated it."""
        return (x.scheme if allow_terminated else str(x.environ["wsgi.url_scheme"])), None


def as_consumer(value: Any) -> Consumer | None:
    """Take a Consumer or a mapping with ``id``."""
    if value is None or isinstance(value, Consumer):
        return value
    names = ("id", "username", "custom_id")
    data = {name: value.get(name) for name in names}
    return Consumer(**data, tags=tuple(value.get("tags") or ()))


def as_credential(value: Any, consumer: Any) -> Credential | None:
    """Take a Credential or a mapping with ``id``."""
    if value is None or isinstance(value, Credential):
        return value
    owner = value.get("consumer_id") or getattr(as_consumer(consumer), "id", None) or ""
    return Credential(id=str(value.get("id", "")), consumer_id=str(owner), data=dict(value))
