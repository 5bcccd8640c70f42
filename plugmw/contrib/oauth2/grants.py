"""The two endpoints of an OAuth 2.0 authorization server, without the HTTP round them.

    grants = Grants(config, tokens, find, instance, clients)
    status, body = grants.authorize(parameters, service)       # asked by the application that asks the user
    body = grants.token(parameters, header, service)           # asked by clients

Both raise :class:`~plugmw.contrib.oauth2.oauth.Refused`. The checks, their order and their words are those of
Kong's oauth2 (``kong/plugins/oauth2/access.lua``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import attrs

from plugmw.auth import client_secrets
from plugmw.contrib.oauth2 import oauth
from plugmw.contrib.oauth2.oauth import Parameters, Refused
from plugmw.contrib.oauth2.tokens import Code, Grant, Tokens, lifetime, new_text
from plugmw.kernel.identity import Credential

if TYPE_CHECKING:
    from plugmw.contrib.oauth2.plugin import Config

T = TypeVar("T")


class Grants:
    """Gives codes and tokens to clients.

    ``config`` is the configuration of the plugin, ``find`` returns a client by its id. ``instance`` names the
    entry, whose codes no other one exchanges. ``clients`` are all there are, None if nobody can list them.
    """

    def __init__(
        self,
        config: Config,
        tokens: Tokens,
        find: Callable[[str], Credential | None],
        instance: str,
        clients: Iterable[Credential] | None,
    ) -> None:
        self.config = config
        self._tokens = tokens
        self._find = find
        self._instance = instance
        # Clients that cannot be listed are taken to have digests of their secrets.
        secrets = [client_secrets.stored("")] if clients is None else map(_secret, clients)
        self._decoy = client_secrets.decoy(secrets)

    def authorize(self, parameters: Parameters, service: str) -> tuple[int, dict[str, object]]:
        """Return status and body: the address of the client, with a code, a token or what is wrong."""
        userid = self._user(parameters)
        kind, stated = parameters.get("response_type"), oauth.state(parameters)
        checks = _Checks()
        checks.run(self._check_response_type, kind)
        scope = checks.run(self._scope, parameters)
        client = self._known(parameters.get("client_id"))
        registered = client.data["redirect_uris"] if client else None
        if client is None or not registered:
            raise _bad_client()
        uri = checks.run(oauth.redirect_uri, parameters.get("redirect_uri"), registered) or registered[0]
        challenge = None
        if kind == "code":
            client_type = client.data["client_type"]
            needed = oauth.needs_challenge(self.config.pkce, client_type)
            challenge = checks.run(oauth.code_challenge, parameters, client_type, needed)
        if checks.wrong is not None:
            return 400, _back(uri, {**checks.wrong.body, **stated})
        grant = self._grant(service, client, scope, userid)
        if kind == "code":
            asked = parameters.text("redirect_uri")
            code = self._tokens.new_code(Code(self._family(grant), self._instance, challenge, asked))
            return 200, _back(uri, {"code": code, **stated})
        return 200, _back(uri, {**self._issue(grant, refreshable=False), **stated}, in_fragment=True)

    def token(self, parameters: Parameters, header: str, service: str) -> dict[str, object]:
        """Return the tokens that are asked for; ``header`` may have the client's Basic credentials."""
        kind = parameters.get("grant_type")
        client = self._client(parameters, header, kind)
        if kind == "authorization_code":
            return self._exchange(parameters, client, service)
        if kind == "refresh_token":
            return self._refresh(parameters, client, service)
        if kind == "client_credentials" and self.config.enable_client_credentials:
            userid = parameters.get("authenticated_userid")
            if userid is not None:
                self._check_provision_key(parameters)
            grant = self._grant(service, client, self._scope(parameters), oauth.userid(userid))
            return self._issue(grant, refreshable=False)
        if kind == "password" and self.config.enable_password_grant:
            userid = self._user(parameters)
            return self._issue(self._grant(service, client, self._scope(parameters), userid))
        raise Refused("unsupported_grant_type", "Invalid grant_type")

    def _exchange(self, parameters: Parameters, client: Credential, service: str) -> dict[str, object]:
        invalid = Refused("invalid_request", "Invalid code")
        text = parameters.text("code") or ""
        code = self._tokens.code(text)
        if code is None:
            self._tokens.end_used("c", text, client.id)
        if code is None or code.instance != self._instance or code.grant.credential != client.id:
            raise invalid
        if not code.grant.is_for(service, self.config.global_credentials):
            raise invalid
        needed = oauth.needs_challenge(self.config.pkce, client.data["client_type"])
        if needed or code.challenge is not None:
            oauth.check_verifier(parameters.get("code_verifier"), code.challenge)
        if not self.config.compat:
            self._check_as_asked(parameters, client, code)
        if not self._tokens.take_code(text, code.grant, lifetime(*self._lasting())):
            self._tokens.end_used("c", text, client.id)
            raise invalid
        return self._issue(code.grant)

    def _check_as_asked(self, parameters: Parameters, client: Credential, code: Code) -> None:
        """Refuse what is not as it was when the code was asked for.

        RFC 6749 section 4.1.3 for the address, RFC 9700 section 2.1.1 for a verifier of no challenge.
        """
        uri = parameters.get("redirect_uri")
        if uri != code.redirect_uri and not (
            code.redirect_uri is None and uri == client.data["redirect_uris"][0]
        ):
            raise Refused(
                "invalid_grant", "Invalid redirect_uri that is not the one of the authorization request"
            )
        if code.challenge is None and parameters.get("code_verifier") is not None:
            raise Refused("invalid_grant", "Invalid code_verifier of a code without code_challenge")

    def _refresh(self, parameters: Parameters, client: Credential, service: str) -> dict[str, object]:
        invalid = Refused("invalid_request", "Invalid refresh_token")
        text = parameters.text("refresh_token") or ""
        refresh = self._tokens.refresh(text)
        if refresh is None:
            self._tokens.end_used("r", text, client.id)
        if refresh is None or not refresh.grant.is_for(service, self.config.global_credentials):
            raise invalid
        if refresh.grant.credential != client.id:
            raise _bad_client()
        if not set((refresh.grant.scope or "").split()) <= set(self.config.scopes or ()):
            raise Refused("invalid_scope", "Scope mismatch")
        if self.config.reuse_refresh_token:
            lasts = self.config.token_expiration
            return _issued(self._tokens.renew(text, refresh, lasts), lasts, text)
        if not self._tokens.take_refresh(text, refresh):
            self._tokens.end_used("r", text, client.id)
            raise invalid
        return self._issue(refresh.grant)

    # -- what is checked, and what is given ------------------------------------------------------------------

    def _check_provision_key(self, parameters: Parameters) -> None:
        key = self.config.provision_key
        if key is None or not oauth.same(key, parameters.get("provision_key")):
            raise Refused("invalid_provision_key", "Invalid provision_key")

    def _user(self, parameters: Parameters) -> str:
        """Return the user whom the application names that may do so."""
        self._check_provision_key(parameters)
        userid = oauth.userid(parameters.get("authenticated_userid"))
        if userid is None:
            raise oauth.no_userid()
        return userid

    def _scope(self, parameters: Parameters) -> str | None:
        return oauth.scope(parameters.get("scope"), self.config.scopes, self.config.mandatory_scope)

    def _grant(self, service: str, client: Credential, scope: str | None, userid: str | None) -> Grant:
        here = None if self.config.global_credentials else service
        return Grant(client.data["client_id"], client.id, here, scope, userid)

    def _family(self, grant: Grant) -> Grant:
        """Return a grant whose tokens end together, where one of them can be seen to be used twice."""
        return grant if self.config.compat else attrs.evolve(grant, family=new_text())

    def _lasting(self, refreshable: bool = True) -> tuple[float, float | None]:
        """Return for how long access and refresh tokens last; None: there is no refresh token."""
        lasts = self.config.token_expiration
        return lasts, self.config.refresh_token_ttl if refreshable and lasts else None

    def _issue(self, grant: Grant, refreshable: bool = True) -> dict[str, object]:
        lasts, ttl = self._lasting(refreshable)
        if ttl is not None and grant.family is None:
            grant = self._family(grant)
        access, refresh = self._tokens.issue(grant, lasts, ttl)
        return _issued(access, lasts, refresh)

    def _check_response_type(self, kind: object) -> None:
        config = self.config
        if not (
            (kind == "code" and config.enable_authorization_code)
            or (kind == "token" and config.enable_implicit_grant)
        ):
            raise Refused("unsupported_response_type", "Invalid response_type")

    # -- clients -----------------------------------------------------------------------------------------

    def _known(self, client_id: object) -> Credential | None:
        return self._find(client_id) if isinstance(client_id, str) else None

    def _client(self, parameters: Parameters, header: str, kind: object) -> Credential:
        """Return the client that has proved who it is and may have tokens of this kind."""
        client_id, secret = parameters.get("client_id"), parameters.get("client_secret")
        pair = None
        if client_id is None or secret is None:
            pair = oauth.basic(header)
            client_id, secret = pair or (client_id, None)
        client = self._known(client_id)
        public = client is not None and client.data["client_type"] == "public"
        if public and not (secret is None or (isinstance(secret, str) and not secret.strip())):
            raise Refused("invalid_request", "client_secret is disallowed for public clients")
        proved = public or self._is_secret(client, secret)
        for_itself = kind == "client_credentials"
        # A public client has nothing to prove who it is by (RFC 6749 section 4.4).
        if client is None or not proved or (public and for_itself):
            raise _bad_client(by_header=pair is not None)
        if not for_itself:
            registered = client.data["redirect_uris"]
            if not registered:
                raise _bad_client(by_header=pair is not None)
            oauth.redirect_uri(parameters.get("redirect_uri"), registered)
        return client

    def _is_secret(self, client: Credential | None, claimed: object) -> bool:
        """Check a client's secret; without client it is wrong, after the same work."""
        stored = _secret(client) if client else ""
        secret = claimed if isinstance(claimed, str) else ""
        right = client_secrets.matches(stored or self._decoy, secret)
        if stored and client_secrets.rounds(stored) < client_secrets.rounds(self._decoy):
            client_secrets.matches(self._decoy, secret)
        return right


class _Checks:
    """Checks that are all made: of those that fail the last one counts."""

    wrong: Refused | None = None

    def run(self, check: Callable[..., T], *arguments: object) -> T | None:
        """Return what a check returns, None if it fails."""
        try:
            return check(*arguments)
        except Refused as refused:
            self.wrong = refused
            return None


def _bad_client(by_header: bool = False) -> Refused:
    wrong = "invalid_client", "Invalid client authentication"
    if by_header:
        return Refused(*wrong, 401, [("WWW-Authenticate", 'Basic realm="OAuth2.0"')])
    return Refused(*wrong)


def _secret(client: Credential) -> str:
    return str(client.data["client_secret"] or "")


def _issued(access: str, expires_in: float, refresh: str | None) -> dict[str, object]:
    every = {
        "access_token": access,
        "token_type": "bearer",
        "expires_in": expires_in or None,
        "refresh_token": refresh,
    }
    return {name: value for name, value in every.items() if value is not None}


def _back(uri: str, result: dict[str, object], in_fragment: bool = False) -> dict[str, object]:
    return {"redirect_uri": oauth.with_parameters(uri, result, in_fragment)}
