"""Consumers and their credentials, looked up by digest and never by comparing secrets."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

#: The environ keys of identity headers; plugmw sets them, so a client's own never reach the app.
IDENTITY_KEYS: Final = frozenset(
    (
        "HTTP_X_CONSUMER_ID",
        "HTTP_X_CONSUMER_CUSTOM_ID",
        "HTTP_X_CONSUMER_USERNAME",
        "HTTP_X_CONSUMER_GROUPS",
        "HTTP_X_CREDENTIAL_IDENTIFIER",
        "HTTP_X_ANONYMOUS_CONSUMER",
        "HTTP_X_AUTHENTICATED_GROUPS",
        "HTTP_X_AUTHENTICATED_SCOPE",
        "HTTP_X_AUTHENTICATED_USERID",
    )
)


@attrs.frozen(kw_only=True)
class Consumer:
    """Somebody who uses the API; at least one of ``username`` and ``custom_id`` is set."""

    id: str
    username: str | None = None
    custom_id: str | None = None
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Credential:
    """One way in for a consumer; ``data`` holds what the plugin of its kind needs (secrets included).

    ``identifier`` is what the app sees in X-Credential-Identifier, the id if None: a user name, never a key.
    """

    id: str
    consumer_id: str
    identifier: str | None = None
    data: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    expires: float | None = None


class Directory(Protocol):
    """Where consumers and credentials come from. Lookups may block briefly; failures raise StoreError."""

    def consumer(self, name: str) -> Consumer | None:
        """Return the consumer with this id, username or custom id (looked at in that order)."""

    def credential(self, kind: str, key: str) -> Credential | None:
        """Return the credential of ``kind`` (``key-auth``) that ``key`` opens, expired ones included."""


def digest(kind: str, key: str) -> bytes:
    """Return the look-up digest of a key; secrets themselves are never dictionary keys."""
    return hashlib.sha256(f"{kind}\0{key}".encode("utf-8", "surrogatepass")).digest()


def stable_id(*parts: str) -> str:
    """Return a UUID that is the same in every worker for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "plugmw:" + "\0".join(parts)))


class MemoryDirectory:
    """Consumers from the configuration; immutable once built, so safe for threads."""

    def __init__(self, consumers: Iterable[Consumer] = ()) -> None:
        self._consumers: dict[str, Consumer] = {}
        #: By kind, then by digest of the key.
        self._credentials: dict[str, dict[bytes, Credential]] = {}
        listed = list(consumers)
        for names in ("custom_id", "username", "id"):
            for consumer in listed:
                name = getattr(consumer, names)
                if name:
                    self._consumers[name] = consumer

    def add(self, kind: str, key: str, credential: Credential) -> bool:
        """Add a credential under ``key``; False if another one has the key already."""
        of_kind = self._credentials.setdefault(kind, {})
        return of_kind.setdefault(digest(kind, key), credential) is credential

    def credentials(self, kind: str) -> Sequence[Credential]:
        """Return every credential of a kind, expired ones included. Directories need not have this."""
        return tuple(self._credentials.get(kind, {}).values())

    def listed(self) -> Sequence[Consumer]:
        """Return every consumer, once."""
        return tuple({consumer.id: consumer for consumer in self._consumers.values()}.values())

    def items(self) -> Sequence[tuple[str, bytes, Credential]]:
        """Return kind, digest of the key and credential of every credential."""
        kinds = self._credentials.items()
        return [(kind, key, found) for kind, of_kind in kinds for key, found in of_kind.items()]

    def consumer(self, name: str) -> Consumer | None:
        return self._consumers.get(name)

    def credential(self, kind: str, key: str) -> Credential | None:
        return self._credentials.get(kind, {}).get(digest(kind, key))
