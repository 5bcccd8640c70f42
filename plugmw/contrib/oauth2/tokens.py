"""Authorization codes, access tokens and refresh tokens, in a store that all workers share.

Only digests of codes and tokens are kept: who reads the store cannot use what is in it.

What comes of one code, or of one refresh token, is a family. A code or a refresh token that is used a second
time has been stolen by one of the two, and ends its family (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2).
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final, Literal, TypeVar

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
    family: str | None = None

    def is_for(self, service: str, everywhere: bool) -> bool:
        """Say whether it is for a service; one for all is for those where tokens may be so."""
        return everywhere if self.service is None else self.service == service


@attrs.frozen
class Code:
    """An authorization code: the entry that made it, the PKCE challenge and the address it was asked with."""

    grant: Grant
    instance: str
    challenge: str | None
    redirect_uri: str | None = None


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

    def take_code(self, text: str, grant: Grant, lasts: float | None = CODE_TTL) -> bool:
        """Use up a code: of several callers at once only one is told True.

        For ``lasts`` seconds (None: for ever) it is known as used, see :meth:`end_used`.
        """
        return self._take(_key("c", text), grant, lasts)

    def end_used(self, kind: Literal["c", "r"], text: str, credential: str) -> None:
        """End the family of a code (``c``) or refresh token (``r``) of a client that was used before."""
        data = self._store().get(f"{_key(kind, text)}!")
        used = json.loads(data) if data else {}
        family = used.get("family")
        if family is None or used["credential"] != credential:
            return
        key = _key("f", family)
        # In this order: who issues tokens writes them, then their keys, and then looks for the mark.
        self._store().set(f"{key}!", b"", ttl=CODE_TTL)
        for one in json.loads(self._store().get(key) or b"[]"):
            self._store().delete(one)

    def issue(self, grant: Grant, expires_in: float, refresh_ttl: float | None) -> tuple[str, str | None]:
        """Return a new access token and a refresh token, which is None with a ``refresh_ttl`` of None.

        Both in seconds; 0 means for ever.
        """
        access = self._access(grant, expires_in)
        text = None if refresh_ttl is None else new_text()
        if text is not None:
            until = self._clock() + refresh_ttl if refresh_ttl else None
            self._set(_key("r", text), Refresh(grant, _key("t", access), until), refresh_ttl or None)
        tokens = [_key("t", access)] if text is None else [_key("t", access), _key("r", text)]
        self._note(grant, tokens, lifetime(expires_in, refresh_ttl))
        return access, text

    def _note(self, grant: Grant, tokens: list[str], ttl: float | None) -> None:
        """Keep which tokens a family has; end them if it has ended in the meantime."""
        if grant.family is None:
            return
        key = _key("f", grant.family)
        self._store().set(key, json.dumps(tokens).encode(), ttl=ttl)
        if self._store().get(f"{key}!") is not None:
            for one in tokens:
                self._store().delete(one)

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
        lasts = None if refresh.until is None else max(refresh.until - self._clock(), 1)
        taken = self._take(_key("r", text), refresh.grant, lasts)
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
        self._note(refresh.grant, [key, _key("r", text)], lifetime(expires_in, ttl or 0))
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

    def _take(self, key: str, grant: Grant, lasts: float | None) -> bool:
        # Between get and delete another one may come. The mark outlives every such request, and a code.
        mark = json.dumps({"family": grant.family, "credential": grant.credential}).encode()
        taken = self._store().add(f"{key}!", mark, ttl=None if lasts is None else max(lasts, CODE_TTL))
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


def lifetime(expires_in: float, refresh_ttl: float | None) -> float | None:
    """Return for how many seconds tokens can be used, the longest of them; None is for ever."""
    lasts = [expires_in] if refresh_ttl is None else [expires_in, refresh_ttl]
    return max(lasts) if all(lasts) else None


def new_text() -> str:
    """Return a text that cannot be guessed."""
    return "".join(secrets.choice(_LETTERS) for _ in range(LENGTH))


def _key(kind: str, text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return f"oauth2:{kind}:{urlsafe_b64encode(digest).decode()}"
