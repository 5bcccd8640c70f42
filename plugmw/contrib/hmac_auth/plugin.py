"""Authenticate requests by a signature over chosen headers, made with a secret that is never sent.

    plugins:
      - name: hmac-auth
        config:
          algorithms: [hmac-sha256]
          enforce_headers: [date, "@request-target"]
    consumers:
      - username: alice
        hmacauth_credentials:
          - username: alice
            secret: "{env://ALICE_SECRET}"

    Authorization: hmac username="alice", algorithm="hmac-sha256", headers="date @request-target",
        signature="<Base64 of the HMAC of 'date: <value>', a line feed and '@request-target: get /path?a=1'>"

Without a good signature the client gets 401 with ``WWW-Authenticate: hmac`` and one of the messages below,
in the format it accepts. The app gets X-Consumer-ID, X-Consumer-Custom-ID, X-Consumer-Username and
X-Credential-Identifier (the user name), never those a client sent.

Fails closed. Contract: Kong's hmac-auth (``kong/plugins/hmac-auth``). A request that somebody has recorded
is good for ``clock_skew`` seconds, and for ever if the date is not signed; ``strict`` ends both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from typing import Final, Literal

import attrs

from plugmw.auth.authentication import ANONYMOUS_HELP, REALM, REALM_HELP, Authentication, Denied, challenge
from plugmw.contrib.hmac_auth.signing import http_time, signature, signing_text
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential
from plugmw.schema import above, config, field
from plugmw.wsgi.text import decode

NO_DATE: Final = (
    "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"
)
UNVERIFIABLE: Final = "HMAC signature cannot be verified"
DIFFERENT: Final = "HMAC signature does not match"
DATES: Final = ("x-date", "date")
TARGETS: Final = ("@request-target", "request-line")

Algorithm = Literal["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"]
ALGORITHMS: Final = ("hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512")

_SIGNED_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+|@request-target").fullmatch
_HMAC: Final = re.compile(
    r'[Hh]mac[ \t]*username="([^"]+)",[ \t]*algorithm="([^"]+)",[ \t]*headers="([^"]+)",[ \t]*'
    r'signature="([^"]+)"'
).search
_SCHEME: Final = re.compile(r'[ \t]*"?hmac\b', re.IGNORECASE).match


@config
class Config:
    """What a signature must be like."""

    hide_credentials: bool = field(False, help="Whether the app gets the request without the signature.")
    clock_skew: float = field(
        300, above(0), help="Seconds by which the date of a request may differ from now, both ways."
    )
    anonymous: str | None = field(None, help=ANONYMOUS_HELP)
    validate_request_body: bool = field(
        False, help="Whether a request with a body needs a Digest header that is true."
    )
    enforce_headers: list[str] = field([], help="Names that must be among the signed ones, as written here.")
    algorithms: list[Algorithm] = field(list(ALGORITHMS), help="Algorithms that a signature may have.")
    realm: str | None = field(None, REALM, help=REALM_HELP)
    strict: bool = field(
        False, help="Whether date, target and the digest of a body must be signed, and count only once."
    )


@attrs.frozen
class Signed:
    """What an Authorization header says."""

    user: str
    algorithm: str
    names: list[str]
    signature: str = attrs.field(repr=False)


class HMACAuth(Authentication[Config]):
    """Phases: access."""

    name, priority, Config = "hmac-auth", 1000, Config
    credential_names = ("authorization", "proxy-authorization")

    def configure(self) -> None:
        self._challenge = challenge("hmac", self.config.realm)
        self._decoy = os.urandom(32)
        #: The dates of which one must be near: enforced ones, for another can be added to what was recorded.
        self._dated = set(DATES) & {name.lower() for name in self.config.enforce_headers} or set(DATES)
        if "hmac-sha1" in self.config.algorithms:
            self.logger.warning("hmac-sha1 is among the algorithms, as in Kong; list stronger ones only")

    def identify(self, x: Exchange) -> tuple[Consumer, Credential]:
        proxy, own = x.get_header("Proxy-Authorization"), x.get_header("Authorization")
        if proxy is None and own is None:
            raise Denied(headers=self._challenge)
        dates = self._dates(x)
        signed = self._read(x, proxy, own)
        credential, digest = self._verify(x, signed)
        if (self.config.validate_request_body or self.config.strict) and not has_true_digest(x):
            raise self._denied(DIFFERENT)
        consumer = self.owner(credential)
        if consumer is None:
            raise self._denied(UNVERIFIABLE)
        if self.config.strict:
            self._only_once(x, signed, digest, dates)
        return consumer, credential

    def _denied(self, message: str) -> Denied:
        return Denied(message, self._challenge)

    def _dates(self, x: Exchange) -> dict[str, int]:
        """Return the dates of the request that are near enough to now; one that counts must be there."""
        times = {name: http_time(x.get_header(name) or "") for name in DATES}
        now, skew = self.runtime.clock(), self.config.clock_skew
        near = {name: time for name, time in times.items() if time is not None and abs(now - time) <= skew}
        if self._dated.isdisjoint(near):
            raise self._denied(NO_DATE)
        return near

    def _read(self, x: Exchange, proxy: str | None, own: str | None) -> Signed:
        """Read Proxy-Authorization, else Authorization; hide the one that counts."""
        signed = read(proxy or "")
        if signed is None:
            name, value, signed = "Authorization", own or "", read(own or "")
        else:
            name, value = "Proxy-Authorization", proxy or ""
        if self.config.hide_credentials and _SCHEME(value):
            x.remove_request_header(name)
        if signed is None or signed.algorithm not in self.config.algorithms:
            raise self._denied(UNVERIFIABLE)
        if not set(self.config.enforce_headers).issubset(signed.names):
            raise self._denied(UNVERIFIABLE)
        return signed

    def _verify(self, x: Exchange, signed: Signed) -> tuple[Credential, bytes]:
        """Return the user's credential and the signature; an unknown user is as much work."""
        credential = self.credential("hmac-auth", signed.user)
        stored = credential.data["secret"] if credential else None
        # With an empty secret everybody could sign.
        secret = stored.encode() if stored else self._decoy
        expected = signature(secret, signed.algorithm, signing_text(x.environ, signed.names))
        digest = decoded(signed.signature)
        same = hmac.compare_digest(expected, digest)
        if credential is None:
            raise self._denied(UNVERIFIABLE)
        if not same:
            raise self._denied(DIFFERENT)
        return credential, digest

    def _only_once(self, x: Exchange, signed: Signed, digest: bytes, dates: dict[str, int]) -> None:
        """Refuse what can be sent again: with another date, target or body, or as it is."""
        names = {name.lower() for name in signed.names}
        times = [dates.get(name) for name in DATES if name in names and x.get_header(name) is not None]
        if not times or None in times or set(TARGETS).isdisjoint(signed.names):
            raise self._denied(UNVERIFIABLE)
        if "digest" not in names and x.read_body():
            raise self._denied(UNVERIFIABLE)
        # Of no use any more once its dates have left the window.
        left = max(time for time in times if time is not None) + self.config.clock_skew - self.runtime.clock()
        seen = hashlib.sha256(signed.user.encode("utf-8", "surrogatepass") + b"\0" + digest).hexdigest()
        if not self.runtime.store.add(f"hmac-auth:{seen}", b"", ttl=left + 1):
            raise self._denied(UNVERIFIABLE)


# -- what is sent ------------------------------------------------------------------------------------------


def read(value: str) -> Signed | None:
    """Read an Authorization header, None unless it has all four fields in their order, each once.

    What stands round them is skipped, as in Kong, whose specs have a quote in front. A comma there means
    that a server has joined two headers, of which nobody can say which one counts.
    """
    found = _HMAC(value)
    if found is None or "," in value[: found.start()] + value[found.end() :]:
        return None
    user, algorithm, names, text = found.groups()
    listed = names.split(" ")
    if not user.strip() or not all(map(_SIGNED_NAME, listed)):
        return None
    return Signed(decode(user, "surrogateescape"), algorithm, listed, text)


def decoded(text: str) -> bytes:
    """Decode Base64; what is none is the signature of nothing."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def has_true_digest(x: Exchange) -> bool:
    """Check the Digest header against the body that the app will read; without one there must be no body."""
    given, body = x.get_header("Digest"), x.read_body()
    if given is None:
        return not body
    true = "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()
    return hmac.compare_digest(given.encode("latin-1"), true.encode())
