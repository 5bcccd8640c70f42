"""Authenticate requests by a user name and a password (HTTP Basic, RFC 7617).

    plugins:
      - name: basic-auth
        config:
          realm: shop
          hide_credentials: true
    consumers:
      - username: alice
        basicauth_credentials:
          - username: alice
            password: "scrypt:32768:8:1$..."     # python -c "import werkzeug.security as s; ..."

Without a good pair the client gets 401 with ``WWW-Authenticate: Basic realm="shop"`` and "Unauthorized",
whatever is wrong with it, in the format it accepts. The app gets X-Consumer-ID, X-Consumer-Custom-ID,
X-Consumer-Username and X-Credential-Identifier (the user name), never those a client sent.

Fails closed. Contract: Kong's basic-auth (``kong/plugins/basic-auth``), with hashes that are slow to guess.
An unknown user is as much work as a wrong password, so that answers do not tell by their time who exists.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import Final

from plugmw.auth import passwords
from plugmw.auth.authentication import ANONYMOUS_HELP, REALM, REALM_HELP, Authentication, Denied, challenge
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential
from plugmw.schema import config, field
from plugmw.wsgi.headers import basic_credentials
from plugmw.wsgi.text import utf8_or_latin1

#: Bytes; a longer password is wrong without being hashed.
LONGEST: Final = 1024
#: Seconds for which a password that was right need not be hashed again, and how many are remembered.
REMEMBERED: Final = 60.0
MOST: Final = 10_000
#: What says who is asking, in the order in which it is looked at.
HEADERS: Final = ("Proxy-Authorization", "Authorization")

_SCHEME: Final = re.compile(r"[ \t]*basic", re.IGNORECASE).match


@config
class Config:
    """What the client is told, and the app is not."""

    anonymous: str | None = field(None, help=ANONYMOUS_HELP)
    hide_credentials: bool = field(False, help="Whether the app gets the request without the password.")
    realm: str = field("service", REALM, help=REALM_HELP)


class BasicAuth(Authentication[Config]):
    """Phases: access."""

    name, priority, Config = "basic-auth", 1001, Config
    credential_names = ("authorization", "proxy-authorization")

    def configure(self) -> None:
        self._challenge = challenge("Basic", self.config.realm)
        listed = getattr(self.runtime.consumers, "credentials", None)
        # Directories that cannot list their credentials are taken to have slow hashes.
        known = [passwords.USUAL] if listed is None else [c.data["password"] for c in listed("basic-auth")]
        self._decoy = passwords.decoy(known)
        self._secret = os.urandom(32)
        #: Digests of the pairs that were right, and until when they are remembered.
        self._right: dict[bytes, float] = {}

    def identify(self, x: Exchange) -> tuple[Consumer, Credential]:
        values = [x.get_header(name) for name in HEADERS]
        if self.config.hide_credentials:
            self._hide(x)
        credential, password = None, None
        for pair in filter(None, (read(value) for value in values if value is not None)):
            credential, password = self.credential("basic-auth", pair[0]), pair[1]
            if credential is not None:
                break
        consumer = None
        if password is not None and self._is_right(credential, password) and credential is not None:
            consumer = self.owner(credential)
        if credential is None or consumer is None:
            raise Denied(headers=self._challenge)
        return consumer, credential

    def _hide(self, x: Exchange) -> None:
        """Remove both headers: also one that was not looked at is nothing for the app."""
        for name in HEADERS:
            if _SCHEME(x.get_header(name) or ""):
                x.remove_request_header(name)

    def _is_right(self, credential: Credential | None, password: str) -> bool:
        """Check a password; without credential it is wrong, after the same work."""
        if len(password.encode()) > LONGEST:
            return False
        hashed = self._decoy if credential is None else credential.data["password"]
        seen = hmac.digest(self._secret, f"{hashed}\0{password}".encode(), hashlib.sha256)
        now = self.runtime.clock()
        if self._right.get(seen, now) > now:
            return True
        if not passwords.matches(hashed, password):
            if passwords.cost(hashed) < passwords.cost(self._decoy):
                passwords.matches(self._decoy, password)
            return False
        if len(self._right) >= MOST:
            self._right.clear()
        self._right[seen] = now + REMEMBERED
        return True


def read(value: str) -> tuple[str, str] | None:
    """Return user name and password of a header, None if it has none: text as UTF-8, else as Latin-1."""
    data = basic_credentials(value)
    if data is None:
        return None
    user, colon, password = utf8_or_latin1(data).partition(":")
    return (user, password) if user and colon else None
