"""Be an OAuth 2.0 authorization server, and let requests pass that have one of its access tokens.

    plugins:
      - name: oauth2
        config:
          scopes: [email, profile]
          enable_authorization_code: true
          provision_key: "{env://PROVISION_KEY}"
    consumers:
      - username: shop
        oauth2_credentials:
          - name: Shop
            client_id: shop
            client_secret: "{env://SHOP_SECRET}"
            redirect_uris: [https://shop.example/back]

``POST .../oauth2/authorize`` is for the application that asks the user; with ``provision_key`` and
``authenticated_userid`` it is told where to send the user. ``POST .../oauth2/token`` is for clients, who get
tokens for a code, a refresh token or their own credentials. Both need HTTPS and answer
``{"error": ..., "error_description": ...}`` with 400.

Every other path needs ``Authorization: Bearer <token>``, or the client gets 401 with ``WWW-Authenticate:
Bearer`` and an answer of that shape. The app gets X-Consumer-ID, X-Consumer-Custom-ID, X-Consumer-Username,
X-Credential-Identifier (the client id), X-Authenticated-Scope and X-Authenticated-UserId, never those a
client sent.

Fails closed: without the gateway's store, where codes and tokens are, no request passes. Contract: Kong's
oauth2 (``kong/plugins/oauth2``); codes can be used once also by requests at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, Literal, NoReturn

from plugmw.auth.authentication import ANONYMOUS_HELP, REALM, REALM_HELP, Authentication, challenge
from plugmw.contrib.oauth2 import oauth
from plugmw.contrib.oauth2.grants import Grants
from plugmw.contrib.oauth2.oauth import Parameters, Refused
from plugmw.contrib.oauth2.tokens import Tokens
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential
from plugmw.schema import Finding, at_least, between, config, each, field, matches
from plugmw.schema.fields import HeaderName
from plugmw.wsgi import forms, keys
from plugmw.wsgi.answer import header_items
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.text import encode

#: Bytes; an endpoint needs no longer body.
LARGEST: Final = 64 * 1024
BAD_TOKEN: Final = "The access token is invalid or has expired"  # noqa: S105
GLOBAL_TOKEN: Final = (
    "The access token is global, but the current plugin is configured without 'global_credentials'"  # noqa: S105
)

#: Parameters with the token (RFC 6750) and with what tokens are given for.
_SECRETS: Final = (
    "access_token",
    *("client_secret", "code", "code_verifier", "provision_key", "refresh_token"),
)
#: Methods whose bodies have parameters.
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_SCOPE: Final = matches(r"[!#-\[\]-~]+", "scopes without blanks, quotes and backslashes")
_GRANTS: Final = (
    *("enable_authorization_code", "enable_implicit_grant"),
    *("enable_client_credentials", "enable_password_grant"),
)


@config
class Config:
    """What can be granted, and how."""

    scopes: list[str] | None = field(None, each(_SCOPE), help="Scopes that clients may ask for.")
    mandatory_scope: bool = field(False, help="Whether a client must ask for a scope.")
    provision_key: str | None = field(
        None, secret=True, help="Secret of the application that asks users; without it no user can be named."
    )
    token_expiration: float = field(
        7200,
        at_least(0),
        help="Seconds for which an access token lasts; 0 is for ever, without refresh token.",
    )
    enable_authorization_code: bool = field(False, help="Whether users may be given codes.")
    enable_implicit_grant: bool = field(False, help="Whether users may be given tokens in addresses.")
    enable_client_credentials: bool = field(False, help="Whether clients get tokens for themselves.")
    enable_password_grant: bool = field(
        False, help="Whether the application that asks users may get tokens for them."
    )
    hide_credentials: bool = field(False, help="Whether the app gets the request without the token.")
    accept_http_if_already_terminated: bool = field(
        False, help="Whether `X-Forwarded-Proto: https` of a trusted peer counts as HTTPS."
    )
    global_credentials: bool = field(
        False, help="Whether tokens are for every service that has this plugin with this setting."
    )
    reuse_refresh_token: bool = field(False, help="Whether a refresh token stays the same when it is used.")
    anonymous: str | None = field(None, help=ANONYMOUS_HELP)
    realm: str | None = field(None, REALM, help=REALM_HELP)
    auth_header_name: HeaderName = field(
        "authorization",
        credential=True,
        help="Header with the token, or with a client's Basic credentials.",
    )
    refresh_token_ttl: float = field(
        1209600, between(0, 100000000), help="Seconds for which a refresh token lasts; 0 is for ever."
    )
    pkce: Literal["none", "lax", "strict"] = field(
        "lax", help="Who must use PKCE for codes: nobody, public clients, or every client."
    )

    compat: bool = field(
        False,
        help="As Kong: tokens of routes without a service are for all of them, a code is good with another "
        "`redirect_uri` than it was asked with, and one that is used twice ends nothing.",
    )

    def check(self) -> Iterator[Finding]:
        if self.mandatory_scope and not self.scopes:
            yield "scopes", "required field missing, for mandatory_scope"
        if not any(getattr(self, name) for name in _GRANTS):
            yield f"at least one of these fields must be true: {', '.join(_GRANTS)}"


class OAuth2(Authentication[Config]):
    """Phases: access."""

    name, priority, Config = "oauth2", 1004, Config
    credential_names = _SECRETS

    def configure(self) -> None:
        runtime, realm = self.runtime, self.config.realm
        self._missing = challenge("Bearer", realm)
        self._key = cgi_key(self.config.auth_header_name)
        self._tokens = Tokens(lambda: runtime.store, runtime.clock)
        listed = getattr(runtime.consumers, "credentials", None)
        clients = None if listed is None else listed("oauth2")
        find = partial(self.credential, "oauth2")
        self._grants = Grants(self.config, self._tokens, find, repr(self.scope), clients)

    def access(self, x: Exchange) -> None:
        endpoint = oauth.endpoint(x.path)
        if endpoint is not None:
            self._answer(x, endpoint)
        for key in (keys.OAUTH2, "HTTP_X_AUTHENTICATED_SCOPE", "HTTP_X_AUTHENTICATED_USERID"):
            x.environ.pop(key, None)
        super().access(x)
        grant = x.environ.get(keys.OAUTH2)
        if grant is not None:
            for name, value in (("SCOPE", grant.scope), ("USERID", grant.userid)):
                if value is not None:
                    x.environ[f"HTTP_X_AUTHENTICATED_{name}"] = encode(value, "surrogateescape")

    # -- requests with a token ---------------------------------------------------------------------------

    def identify(self, x: Exchange) -> tuple[Consumer, Credential]:
        text = self._text(x)
        if not isinstance(text, str):
            raise Refused("invalid_request", "The access token is missing", 401, self._missing)
        token = self._tokens.access(text)
        if token is None:
            raise self._bad(BAD_TOKEN)
        grant = token.grant
        if grant.service is None and not self.config.global_credentials:
            raise self._bad(GLOBAL_TOKEN)
        credential = self.credential("oauth2", grant.client_id)
        consumer = self.owner(credential) if credential else None
        if credential is None or credential.id != grant.credential or consumer is None:
            raise self._bad(BAD_TOKEN)
        if not grant.is_for(self._service(x), self.config.global_credentials):
            raise self._bad(BAD_TOKEN)
        x.environ[keys.OAUTH2] = grant
        return consumer, credential

    def refuse(self, x: Exchange, denied: Any) -> NoReturn:
        x.exit(denied.status, denied.body, denied.headers)

    def _service(self, x: Exchange) -> str:
        """Return what tokens are for: the service, else this entry, by a text that is no service's name."""
        return x.service or ("" if self.config.compat else f"\0{self.scope!r}")

    def _bad(self, description: str) -> Refused:
        headers = oauth.challenged(self.config.realm, "invalid_token", description)
        return Refused("invalid_token", description, 401, headers)

    def _text(self, x: Exchange) -> object:
        """Return the token of a request, None if there is none; hide it if told so."""
        header = x.environ.get(self._key)
        text = _parameters(x).get("access_token") if header is None else oauth.bearer(header) or header
        if self.config.hide_credentials:
            if text != header:
                x.environ.pop(self._key, None)
            _hide(x, in_body=header is None)
        return text

    # -- the endpoints -----------------------------------------------------------------------------------

    def _answer(self, x: Exchange, endpoint: str) -> NoReturn:
        if x.method != "POST":
            kind = "token" if endpoint == "token" else "authorization"
            wrong = Refused(
                "invalid_method", f"The HTTP method {x.method} is invalid for the {kind} endpoint"
            )
            headers = oauth.challenged(self.config.realm, wrong.error, wrong.message)
            x.exit(405, wrong.body, [*headers, ("Allow", "POST")])
        parameters = _parameters(x, LARGEST)
        stated, service = oauth.state(parameters), self._service(x)
        try:
            self._check_https(x)
            if endpoint == "token":
                header = x.environ.get(self._key, "")
                status, body = 200, {**self._grants.token(parameters, header, service), **stated}
            else:
                status, body = self._grants.authorize(parameters, service)
        except Refused as refused:
            headers = [*oauth.NO_STORE, *header_items(refused.headers)]
            x.exit(refused.status, {**refused.body, **stated}, headers)
        x.exit(status, body, oauth.NO_STORE)

    def _check_https(self, x: Exchange) -> None:
        if x.environ["wsgi.url_scheme"] == "https":
            return
        scheme = x.get_header("X-Forwarded-Proto") or ""
        if self.config.accept_http_if_already_terminated and self.runtime.trusted.trusts(x.environ):
            if "," in scheme:
                raise Refused("access_denied", "Only one X-Forwarded-Proto header allowed")
            if scheme.strip().lower() == "https":
                return
        raise Refused("access_denied", "You must use HTTPS")


def _parameters(x: Exchange, limit: int | None = None) -> Parameters:
    """Read the parameters; the bodies of other types than forms, and of other methods, stay unread."""
    kind = str(x.environ.get("CONTENT_TYPE", ""))
    readable = x.method in _WITH_BODY and forms.is_form(kind)
    return Parameters(x.environ.get("QUERY_STRING", ""), kind, x.read_body(limit) if readable else b"")


def _hide(x: Exchange, in_body: bool) -> None:
    """Take the token out of the query, and out of the body if it was looked for in there."""
    before = x.environ.get("QUERY_STRING", "")
    query = forms.without_pair(before, "access_token")
    if query != before:
        forms.replace_query(x.environ, query)
    kind = str(x.environ.get("CONTENT_TYPE", ""))
    if in_body and x.method in _WITH_BODY and forms.media_type(kind)[0] in (forms.FORM, forms.JSON):
        body = x.read_body()
        left = forms.body_without(kind, body, "access_token")
        if left != body:
            x.replace_body(left)
