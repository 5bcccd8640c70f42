"""The rules of OAuth 2.0 (RFC 6749, 6750, 7636) in the shapes and words of Kong's oauth2. All pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from plugmw.auth.authentication import Denied
from plugmw.wsgi import forms
from plugmw.wsgi.headers import basic_credentials

#: Answers of the endpoints must not be kept by anybody (RFC 6749 section 5.1).
NO_STORE: Final = [("Cache-Control", "no-store"), ("Pragma", "no-cache")]
WRONG_REDIRECT: Final = (
    "Invalid redirect_uri that does not match with any redirect_uri created with the application"
)

_ENDPOINT: Final = re.compile(r"/oauth2/(token|authorize)/?\Z").search
_URLSAFE: Final = str.maketrans("+/", "-_")


class Refused(Denied):
    """A request that is answered with an error of RFC 6749 section 5.2."""

    def __init__(
        self, error: str, description: str, status: int = 400, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(description, list(headers), status)
        self.error = error

    @property
    def body(self) -> dict[str, str]:
        """What the client is told."""
        return {"error": self.error, "error_description": self.message}


def challenged(realm: str | None, error: str, description: str) -> list[tuple[str, str]]:
    """Return the challenge that says what is wrong (RFC 6750 section 3)."""
    quoted = "" if realm is None else f'realm="{realm}", '
    return [("WWW-Authenticate", f'Bearer {quoted}error="{error}", error_description="{description}"')]


def endpoint(path: str) -> str | None:
    """Return ``token`` or ``authorize`` for the paths of the endpoints, None for all others."""
    match = _ENDPOINT(path)
    return match[1] if match else None


def same(secret: str, claimed: object) -> bool:
    """Compare secrets in a time that does not depend on where they differ, or in length."""
    digests = (
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        for text in (secret, claimed if isinstance(claimed, str) else "")
    )
    return hmac.compare_digest(*digests) and isinstance(claimed, str)


class Parameters:
    """The parameters of a request: of its query, and of its body, which goes before."""

    def __init__(self, query: str, content_type: str, body: bytes) -> None:
        self._query = query
        self._content_type = content_type
        self._body = body

    def get(self, name: str) -> object:
        """Return a value, None if there is none; a list if there are several, bytes for text that is none."""
        values = forms.body_values(self._content_type, self._body, name)
        values = values or list(forms.pair_values(self._query, name))
        if len(values) != 1:
            return values or None
        value = values[0]
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            return value.encode("utf-8", "surrogatepass")
        return value

    def text(self, name: str) -> str | None:
        """Return a value that is text, None for any other."""
        value = self.get(name)
        return value if isinstance(value, str) else None


def state(parameters: Parameters) -> dict[str, str]:
    """Return what every answer repeats: the client's ``state``, if it is text."""
    text = parameters.text("state")
    return {} if text is None else {"state": text}


def basic(value: str) -> tuple[str, str] | None:
    """Read client id and secret from an Authorization header (RFC 6749 section 2.3.1)."""
    data = basic_credentials(value)
    if data is None:
        return None
    client_id, _, secret = data.decode("utf-8", "surrogateescape").partition(":")
    return client_id, secret


def bearer(value: str) -> str | None:
    """Read the token from ``Bearer x`` or ``Token x``, None for any other value."""
    parts = value.split()
    return parts[1] if len(parts) == 2 and parts[0].lower() in ("bearer", "token") else None


def scope(asked: object, known: Sequence[str] | None, mandatory: bool) -> str | None:
    """Return the scope that is granted, or raise :class:`Refused`."""
    listed: list[str] = []
    if known and asked is not None:
        if not isinstance(asked, str):
            raise Refused("invalid_scope", "scope must be a string")
        listed = asked.split()
        unknown = next((one for one in listed if one not in known), None)
        if unknown is not None:
            raise Refused("invalid_scope", f'"{unknown}" is an invalid scope')
    if mandatory and not listed:
        raise Refused("invalid_scope", "You must specify a scope")
    return " ".join(listed) or None


def userid(name: object) -> str | None:
    """Return who the user is, None for nobody; :class:`Refused` for what no header could say."""
    if name is None or (isinstance(name, str) and not name.strip()):
        return None
    if not isinstance(name, str) or not name.isprintable():
        raise no_userid()
    return name


def no_userid() -> Refused:
    """Return the error of a user who is needed and not named."""
    return Refused("invalid_authenticated_userid", "Missing authenticated_userid parameter")


def redirect_uri(asked: object, registered: Sequence[str]) -> str:
    """Return the address to go back to: one that is registered, the first unless another is asked for."""
    if asked is None:
        return registered[0]
    if asked not in registered:
        raise Refused("invalid_request", WRONG_REDIRECT)
    return str(asked)


def with_parameters(uri: str, result: Mapping[str, object], in_fragment: bool) -> str:
    """Add parameters to an address without fragment, in place of those of the same names."""
    pairs = {name: str(value) for name, value in result.items()}
    if in_fragment:
        return f"{uri}#{forms.write_pairs(sorted(pairs.items()))}"
    place, _, query = uri.partition("?")
    others = [pair for pair in forms.read_pairs(query) if pair[0] not in pairs]
    every = sorted([*others, *pairs.items()], key=lambda pair: pair[0])
    return f"{place}?{forms.write_pairs(every)}"


# -- PKCE (RFC 7636) ---------------------------------------------------------------------------------------


def needs_challenge(mode: str, client_type: str) -> bool:
    """Say whether a client must use PKCE."""
    return mode == "strict" or (mode == "lax" and client_type == "public")


def code_challenge(parameters: Parameters, client_type: str, needed: bool) -> str | None:
    """Return the challenge of an authorization request, unpadded and safe for URLs."""
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    if challenge is None and method is not None:
        raise Refused("invalid_request", "code_challenge is required when code_method is present")
    if method not in (None, "S256", "s256"):
        raise Refused("invalid_request", "code_challenge_method is not supported, must be S256")
    if challenge is None and not needed:
        return None
    # One that cannot be read is none, and not the same as a request without one.
    if not isinstance(challenge, str) or not challenge:
        raise Refused("invalid_request", f"code_challenge is required for {client_type} clients")
    return challenge.translate(_URLSAFE).rstrip("=")


def check_verifier(verifier: object, challenge: str | None) -> None:
    """Raise :class:`Refused` unless the verifier is what the challenge was made of."""
    if verifier is None:
        problem = "code_verifier is required for PKCE authorization requests"
    elif not isinstance(verifier, str):
        problem = "code_verifier is not a string"
    elif not 43 <= len(verifier) <= 128:
        problem = "code_verifier must be between 43 and 128 characters"
    else:
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        if challenge is None or not same(challenge, digest):
            raise Refused("invalid_grant", "Invalid code")
        return
    raise Refused("invalid_request", problem)
