"""Authenticate requests by a signed JSON Web Token (RFC 7519) whose issuer names a credential.

    plugins:
      - name: jwt
        config:
          claims_to_verify: [exp]
    consumers:
      - username: alice
        jwt_secrets:
          - key: https://alice.example            # the token's "iss"
            algorithm: RS256
            rsa_public_key: "{file:///etc/shop/alice.pem}"

Without a good token the client gets 401 with ``WWW-Authenticate: Bearer`` and JSON that says what is wrong:
``{"message": "Invalid signature"}``, or ``{"exp": "token expired"}`` for claims. The app gets X-Consumer-ID,
X-Consumer-Custom-ID, X-Consumer-Username and X-Credential-Identifier (the credential's key), never those a
client sent, and the token itself.

Fails closed. Contract: Kong's jwt (``kong/plugins/jwt``), which looks at no claim unless told so. The
algorithm is the credential's; a token only has to name the same one. Needs ``pip install 'plugmw[jwt]'``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Final, Literal, NoReturn

from plugmw.auth.authentication import (
    ANONYMOUS_HELP,
    PREFLIGHT_HELP,
    REALM,
    REALM_HELP,
    Authentication,
    Denied,
    challenge,
)
from plugmw.auth.public_keys import ALGORITHMS
from plugmw.contrib.jwt.tokens import Token, read, verifier, wrong_claims
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential
from plugmw.schema import between, config, field
from plugmw.schema.fields import HeaderName
from plugmw.wsgi import forms, keys
from plugmw.wsgi.answer import HeaderItems
from plugmw.wsgi.headers import cookie_values

#: Key of the request's context under which the token of an authenticated request is left.
TOKEN: Final = "authenticated_jwt_token"  # noqa: S105
#: Header fields that would change what a signature means, or that say where its key comes from.
REFUSED: Final = frozenset(("crit", "jwk", "jku", "x5u"))
#: Keys kept ready.
KEYS: Final = 1024

_BEARER: Final = re.compile(r"[Bb]earer[ \t]+(.+)").fullmatch
_MISSING: Final = object()


@config
class Config:
    """Where tokens are looked for, and what they must say."""

    uri_param_names: list[str] = field(
        ["jwt"], credential=True, help="Query parameters that may hold the token."
    )
    cookie_names: list[str] = field([], credential=True, help="Cookies that may hold the token.")
    header_names: list[HeaderName] = field(
        ["authorization"], credential=True, help="Headers that may hold the token, after `Bearer`."
    )
    key_claim_name: str = field(
        "iss", help="Claim, or field of the token's header, that names the credential."
    )
    secret_is_base64: bool = field(False, help="Whether secrets of the HS algorithms are written in Base64.")
    claims_to_verify: list[Literal["exp", "nbf"]] | None = field(
        None, help="Claims that must be there and hold."
    )
    maximum_expiration: float = field(
        0, between(0, 31536000), help="Seconds from now after which `exp` is too far away; 0 is never."
    )
    anonymous: str | None = field(None, help=ANONYMOUS_HELP)
    run_on_preflight: bool = field(True, help=PREFLIGHT_HELP)
    realm: str | None = field(None, REALM, help=REALM_HELP)

    def check(self) -> Iterator[tuple[str, str]]:
        if self.maximum_expiration and "exp" not in (self.claims_to_verify or ()):
            yield "claims_to_verify", "expected to contain: exp, for maximum_expiration"


class WrongClaims(Denied):
    """Claims that do not hold, with what is wrong with each."""

    def __init__(self, claims: dict[str, str], headers: HeaderItems) -> None:
        super().__init__(headers=headers)
        self.claims = claims


class JWT(Authentication[Config]):
    """Phases: access."""

    name, priority, Config = "jwt", 1005, Config

    def configure(self) -> None:
        realm = self.config.realm
        self._missing = challenge("Bearer", realm)
        quoted = f'realm="{realm}", ' if realm is not None else ""
        self._invalid = [("WWW-Authenticate", f'Bearer {quoted}error="invalid_token"')]
        self._verifier = lru_cache(KEYS)(partial(verifier, is_base64=self.config.secret_is_base64))

    def identify(self, x: Exchange) -> tuple[Consumer, Credential]:
        text = self._find(x)
        token = self._read(text)
        key = self._key(token)
        name = self.config.key_claim_name
        credential = self.credential("jwt", key)
        if credential is None:
            raise self._denied(f"No credentials found for given '{name}'")
        self._verify(token, credential)
        consumer = self.owner(credential)
        if consumer is None:
            raise Denied(f"Could not find consumer for '{name}={key}'")
        x.ctx[keys.CTX_JWT] = text
        return consumer, credential

    def refuse(self, x: Exchange, denied: Denied) -> NoReturn:
        told = denied.claims if isinstance(denied, WrongClaims) else {"message": denied.message}
        x.exit(denied.status, told, denied.headers)

    def _denied(self, message: str) -> Denied:
        return Denied(message, self._invalid)

    def _find(self, x: Exchange) -> str:
        """Return the one token in all places."""
        query, cookies = x.environ.get("QUERY_STRING", ""), x.environ.get("HTTP_COOKIE", "")
        found: list[str | None] = []
        for name in self.config.uri_param_names:
            found += forms.pair_values(query, name)
        for name in self.config.cookie_names:
            found += cookie_values(cookies, name)
        for name in self.config.header_names:
            found += header_tokens(x.get_header(name) or "")
        tokens = set(filter(None, found))
        if not tokens:
            raise Denied(headers=self._missing)
        if len(tokens) > 1:
            raise self._denied("Multiple tokens provided")
        return str(tokens.pop())

    def _read(self, text: str) -> Token:
        try:
            token = read(text)
        except ValueError:
            raise self._denied("Bad token; invalid JSON") from None
        if token.header.get("alg") not in ALGORITHMS:
            raise self._denied("Bad token; invalid alg")
        if REFUSED & token.header.keys():
            raise self._denied("Bad token; invalid header")
        return token

    def _key(self, token: Token) -> str:
        """Return what names the credential."""
        name = self.config.key_claim_name
        key = token.claims.get(name, token.header.get(name, _MISSING))
        if key is _MISSING:
            raise self._denied(f"No mandatory '{name}' in claims")
        if not isinstance(key, str) or not key:
            raise self._denied(f"Invalid '{name}' in claims")
        return key

    def _verify(self, token: Token, credential: Credential) -> None:
        data, config = credential.data, self.config
        if token.header["alg"] != data["algorithm"]:
            raise self._denied("Invalid algorithm")
        is_signature = self._verifier(data["algorithm"], data.get("secret"), data.get("rsa_public_key"))
        if is_signature is None:
            raise self._denied("Invalid key/secret")
        if not is_signature(token.signed, token.signature):
            raise self._denied("Invalid signature")
        now = int(self.runtime.clock())
        wrong = wrong_claims(token.claims, config.claims_to_verify or (), now, config.maximum_expiration)
        if wrong:
            raise WrongClaims(wrong, self._invalid)


# -- finding -----------------------------------------------------------------------------------------------


def header_tokens(value: str) -> list[str]:
    """Return the tokens after ``Bearer`` in a header.

    Servers join repeated headers with commas, which no token has. What stands beside a token then is
    returned too, so that it counts as another one: nobody can say which of the two was meant.
    """
    fields = [text for text in (piece.strip() for piece in value.split(",")) if text]
    tokens = [found[1] if found else None for found in map(_BEARER, fields)]
    return [token or text for token, text in zip(tokens, fields)] if any(tokens) else []
