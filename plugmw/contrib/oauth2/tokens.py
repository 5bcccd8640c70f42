"""Authorization codes, access tokens and refresh tokens, in a store that all workers share.

Only digests of codes and tokens are kept: who reads the store cannot use what is in it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final, TypeVar

import attrs

from plugmw.stores import Store

#: Seconds for which a code can be exchanged.
CODE_TTL: Final = 300
#: Characters of codes and tokens, letters and digits: 190 bits.
LENGTH: Final = 32

_LETTERS: Final = string.ascii_letters + string.digits
T = TypeVar("T")


@attrs.frozen
class Grant:
    """What somebody may do: a client, perhaps for a user, within a scope and a service (None: all)."""

    client_id: str
    credential: str
    service: str | None
    scope: str | None
    userid: str | None

    def is_for(self, service: str, everywhere: bool) -> bool:
        """Say whether it is for a service; one for all is for those where tokens may be so."""
        return everywhere if self.service is None else self.service == service


@attrs.frozen
class Code:
    """An authorization code: the entry that made it, and the PKCE challenge it was made for."""

    grant: Grant
    instance: str
    challenge: str | None


@attrs.frozen
class Access:
    """An access token; ``expires_in`` 0 means never."""

    grant: Grant
    expires_in: float
    created: float


@attrs.frozen
class Refresh:
    """A refresh token: the key of its access token, and when it ends (None: never)."""

    grant: Grant
    access: str
    until: float | None


class Tokens:
    """Codes and tokens, found by their text. Every call may raise StoreError."""

    def __init__(self, store: Callable[[], Store], clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def new_code(self, code: Code) -> str:
        """Keep a code and return its text."""
        text = new_text()
        self._set(_key("c", text), code, CODE_TTL)
        return text

    def code(self, text: str) -> Code | None:
        """Return a code that can be exchanged."""
        return self._get(_key("c", text), Code)

    def take_code(self, text: str) -> bool:
        """Use up a code: of several callers at once only one is told True."""
        return self._take(_key("c", text))

    def issue(self, grant: Grant, expires_in: float, refresh_ttl: float | None) -> tuple[str, str | None]:
        """Return a new access token and a refresh token, which is None with a ``refresh_ttl`` of None.

        Both in seconds; 0 means for ever.
        """
        access = self._access(grant, expires_in)
        if refresh_ttl is None:
            return access, None
        text = new_text()
        until = self._clock() + refresh_ttl if refresh_ttl else None
        self._set(_key("r", text), Refresh(grant, _key("t", access), until), refresh_ttl or None)
        return access, text

    def access(self, text: str) -> Access | None:
        """Return an access token that has not expired."""
        token = self._get(_key("t", text), Access)
        if token is None or (token.expires_in and self._clock() - token.created > token.expires_in):
            return None
        return token

    def refresh(self, text: str) -> Refresh | None:
        """Return a refresh token that has not expired."""
        token = self._get(_key("r", text), Refresh)
        if token is None or (token.until is not None and token.until <= self._clock()):
            return None
        return token

    def take_refresh(self, text: str, refresh: Refresh) -> bool:
        """Use up a refresh token and end its access token, as :meth:`take_code`."""
        taken = self._take(_key("r", text))
        if taken:
            self._store().delete(refresh.access)
        return taken

    def renew(self, text: str, refresh: Refresh, expires_in: float) -> str:
        """Give a refresh token another access token and return that; the old ones end.

        Of several renewals at once the last one's lives. Each has a number, ends what the one before has
        written by now, and ends its own if there is a later one, which may have come too early for it.
        """
        store = self._store()
        ttl = None if refresh.until is None else max(refresh.until - self._clock(), 1)
        number = store.incr(_key("n", text), ttl=ttl)
        access = self._access(refresh.grant, expires_in)
        key = _key("t", access)
        # An access token that has expired needs no ending.
        store.set(_key(f"n{number}", text), key.encode(), expires_in + 1 if expires_in else ttl)
        before = store.get(_key(f"n{number - 1}", text))
        if before is not None:
            store.delete(before.decode())
            store.delete(_key(f"n{number - 1}", text))
        store.delete(refresh.access)
        if store.count(_key("n", text)) > number:
            store.delete(key)
        else:
            self._set(_key("r", text), attrs.evolve(refresh, access=key), ttl)
        return access

    def _access(self, grant: Grant, expires_in: float) -> str:
        text = new_text()
        # A second more than it lasts: whether it does is found out by its own times.
        self._set(
            _key("t", text), Access(grant, expires_in, self._clock()), expires_in + 1 if expires_in else None
        )
        return text

    def _take(self, key: str) -> bool:
        # Between get and delete another one may come. The mark outlives every such request, and a code.
        taken = self._store().add(f"{key}!", b"", ttl=CODE_TTL)
        if taken:
            self._store().delete(key)
        return taken

    def _set(self, key: str, value: Code | Access | Refresh, ttl: float | None) -> None:
        self._store().set(key, json.dumps(attrs.asdict(value)).encode(), ttl=ttl)

    def _get(self, key: str, kind: Callable[..., T]) -> T | None:
        data = self._store().get(key)
        if data is None:
            return None
        fields = json.loads(data)
        return kind(**{**fields, "grant": Grant(**fields["grant"])})


def new_text() -> str:
    """Return a text that cannot be guessed."""
    return "".join(secrets.choice(_LETTERS) for _ in range(LENGTH))


def _key(kind: str, text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return f"oauth2:{kind}:{urlsafe_b64encode(digest).decode()}"
