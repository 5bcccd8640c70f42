"""``kong.client``: who is asking (``kong/pdk/client.lua``)."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any, TypeAlias

from plugmw.dialects.kong.pdk.phase import KNOWN, REQUEST, of_type, phases, unsupported
from plugmw.errors import StoreError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential

#: A consumer or credential as a plugin writes it.
Table: TypeAlias = Mapping[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I).fullmatch


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

    @phases("rewrite", "access", "log")
    def get_full_client_certificate_chain(self, x: Exchange) -> str | None:
        """Return the client's certificate in PEM where the server tells it, or None.

        Servers tell it by SSL_CLIENT_CERT; of gunicorn's socket only the leaf is known.
        """
        pem = x.environ.get("SSL_CLIENT_CERT")
        if pem:
            return str(pem)
        peer = getattr(x.environ.get("gunicorn.socket"), "getpeercert", None)
        certificate = peer(True) if peer is not None else None
        return ssl.DER_cert_to_PEM_cert(certificate) if certificate else None


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

    @phases(*KNOWN)
    def get_consumer(self, x: Exchange) -> Consumer | None:
        """Return the authenticated consumer, or None."""
        return x.consumer

    @phases(*KNOWN)
    def get_credential(self, x: Exchange) -> Credential | None:
        """Return the credential that was used, or None."""
        return x.credential

    @phases(*KNOWN)
    def load_consumer(
        self, x: Exchange, consumer_id: str, search_by_username: bool = False
    ) -> tuple[Consumer | None, str | None]:
        """Look a consumer up: (consumer, None), or (None, None) when there is none.

        Raises for an id that is no UUID, unless ``search_by_username``.
        """
        of_type(consumer_id, str, "consumer_id", "a string")
        if not search_by_username and not _UUID(consumer_id):
            raise ValueError("cannot load a consumer with an id that is not a uuid")
        try:
            consumer = x.runtime.consumers.consumer(consumer_id)
        except StoreError as error:
            return None, str(error)
        # The directory looks at custom ids, too.
        if consumer is None:
            return None, None
        names = (consumer.id, consumer.username if search_by_username else None)
        return (consumer if consumer_id in names else None), None

    @phases("access")
    def authenticate(
        self, x: Exchange, consumer: Consumer | Table | None, credential: Credential | Table | None
    ) -> None:
        """Say who is asking; either may be None, not both. Phases: access."""
        for name, value, kind in (("consumer", consumer, Consumer), ("credential", credential, Credential)):
            of_type(value, (kind, Mapping, type(None)), name, "a table or nil")
        if consumer is None and credential is None:
            raise ValueError("either credential or consumer must be provided")
        x.authenticate(as_consumer(consumer), as_credential(credential, consumer))

    @phases(*KNOWN)
    def get_protocol(self, x: Exchange, allow_terminated: bool = False) -> tuple[str | None, str | None]:
        """Return (the only protocol of the route, else ``http`` or ``https`` by the connection, None).

        With ``allow_terminated`` as a trusted proxy terminated it; (None, error) for unrouted requests.
        """
        if x.route is None:
            return None, "No active route found"
        if len(x.route.protocols) == 1:
            return str(x.route.protocols[0]), None
        return (x.scheme if allow_terminated else str(x.environ["wsgi.url_scheme"])), None


def as_consumer(value: Consumer | Table | None) -> Consumer | None:
    """Take a Consumer or a mapping with ``id``."""
    if value is None or isinstance(value, Consumer):
        return value
    of_type(value.get("id"), str, "consumer.id", "a string")
    return Consumer(
        id=value["id"],
        username=value.get("username"),
        custom_id=value.get("custom_id"),
        tags=tuple(value.get("tags") or ()),
        groups=tuple(value.get("groups") or ()),
    )


def as_credential(value: Credential | Table | None, consumer: Consumer | Table | None) -> Credential | None:
    """Take a Credential or a mapping with ``id``."""
    if value is None or isinstance(value, Credential):
        return value
    owner = value.get("consumer_id") or getattr(as_consumer(consumer), "id", None) or ""
    return Credential(id=str(value.get("id", "")), consumer_id=str(owner), data=dict(value))
