"""Authenticate requests by an API key in a header, the query string or the body.

    plugins:
      - name: key-auth
        config:
          key_names: [apikey]
          hide_credentials: true
    consumers:
      - username: alice
        keyauth_credentials:
          - key: correct-horse-battery-staple

Without a good key the client gets 401 with ``WWW-Authenticate: Key`` and "No API key found in request",
"Duplicate API key found" or "Unauthorized", in the format it accepts. The app gets X-Consumer-ID,
X-Consumer-Custom-ID, X-Consumer-Username and X-Credential-Identifier, never those a client sent.

Fails closed. Contract: Kong's key-auth (``kong/plugins/key-auth``), stricter where a header and the query
hold different keys: that is refused, because proxies and apps disagree about which of the two counts.
"""

from __future__ import annotations

from typing import Final

from plugmw.auth.authentication import (
    ANONYMOUS_HELP,
    PREFLIGHT_HELP,
    REALM,
    REALM_HELP,
    UNAUTHORIZED,
    Authentication,
    Denied,
    challenge,
)
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential
from plugmw.schema import config, each, field, matches
from plugmw.wsgi import forms
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.text import decode

NO_KEY: Final = "No API key found in request"
DUPLICATE: Final = "Duplicate API key found"
#: Characters; a longer key is unknown without a look-up.
MAX_KEY: Final = 4096

_NAME: Final = matches("[A-Za-z0-9_-]+", "names of letters, digits, _ and -")


@config
class Config:
    """Where keys are looked for; the first place that has one decides."""

    key_names: list[str] = field(
        ["apikey"], each(_NAME), credential=True, help="Names under which a key may come."
    )
    hide_credentials: bool = field(False, help="Whether the app gets the request without the key.")
    anonymous: str | None = field(None, help=ANONYMOUS_HELP)
    key_in_header: bool = field(True, help="Whether a request header may hold the key.")
    key_in_query: bool = field(True, help="Whether the query string may hold the key.")
    key_in_body: bool = field(False, help="Whether a form, JSON or multipart body may hold the key.")
    run_on_preflight: bool = field(True, help=PREFLIGHT_HELP)
    realm: str | None = field(None, REALM, help=REALM_HELP)


class KeyAuth(Authentication[Config]):
    """Phases: access."""

    name, priority, Config = "key-auth", 1003, Config

    def configure(self) -> None:
        self._challenge = challenge("Key", self.config.realm)
        self._keys = {name: cgi_key(name) for name in self.config.key_names}

    def identify(self, x: Exchange) -> tuple[Consumer, Credential]:
        name, values, in_header = self._find(x)
        if self.config.hide_credentials:
            self._hide(x, name)
        key = values[0]
        if not isinstance(key, str) or (len(values) > 1 and not in_header):
            raise self._denied(DUPLICATE)
        if not key:
            raise self._denied(NO_KEY)
        credential = self.credential("key-auth", key) if len(key) <= MAX_KEY else None
        consumer = self.owner(credential) if credential else None
        if credential is None or consumer is None:
            raise self._denied(DUPLICATE if in_header and is_joined(key) else UNAUTHORIZED)
        if len(values) > 1:
            raise self._denied(DUPLICATE)
        return consumer, credential

    def _denied(self, message: str) -> Denied:
        return Denied(message, self._challenge)

    def _find(self, x: Exchange) -> tuple[str, list[object], bool]:
        """Return the name that decides, its values, and whether the first one is a header's."""
        for name in self.config.key_names:
            values, in_header = self._values(x, name)
            # A query name without "=" or a JSON number is no key; a list is a repeated one.
            if len(values) > 1 or (values and isinstance(values[0], (str, list))):
                return name, values, in_header
        raise self._denied(NO_KEY)

    def _values(self, x: Exchange, name: str) -> tuple[list[object], bool]:
        """Return what the first place that has ``name`` holds, and whether that is the header.

        A key in the query that differs from the header's is listed behind it.
        """
        header = x.environ.get(self._keys[name]) if self.config.key_in_header else None
        text = _query(x) if self.config.key_in_query else ""
        query = forms.pair_values(text, name) if text else []
        if header is not None:
            key = decode(header, "surrogateescape")
            return [key, *(other for other in query if other and other != key)] if query else [key], True
        if query or not self.config.key_in_body:
            return list(query), False
        return forms.body_values(_content_type(x), _body(x), name), False

    def _hide(self, x: Exchange, name: str) -> None:
        """Take ``name`` out of wherever it is: also a second, unused key is nothing for the app."""
        x.remove_request_header(name)
        query = forms.without_pair(_query(x), name)
        if query != _query(x):
            forms.replace_query(x.environ, query)
        if self.config.key_in_body:
            data = _body(x)
            left = forms.body_without(_content_type(x), data, name)
            if left != data:
                x.replace_body(left)


def is_joined(value: str) -> bool:
    """Say whether a header value may be several fields: servers join repeated ones with commas."""
    return sum(1 for part in value.split(",") if part.strip()) > 1


def _query(x: Exchange) -> str:
    return str(x.environ.get("QUERY_STRING", ""))


def _content_type(x: Exchange) -> str:
    return str(x.environ.get("CONTENT_TYPE", ""))


def _body(x: Exchange) -> bytes:
    """Read the body if it is of a type that has names; others may be large and stay unread."""
    return x.read_body() if forms.is_form(_content_type(x)) else b""
