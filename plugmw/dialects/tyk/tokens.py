"""Tyk's own token authentication, and what a session may do.

A token comes in a header (``auth.auth_header_name``), and in a query parameter or a cookie where the
definition allows it. Its session is one of ``sessions`` in the definition's ``plugmw`` section, or that of
the consumer with this key (``keyauth_credentials``). Without a token the client gets 401 ``Authorization
field missing``, with an unknown one 403 ``Access to this API has been disallowed``.

:class:`SessionRules` is what every request of an API that is not keyless has to pass after post_key_auth: the
session is there, in force, has a right to the API and to what is asked of it, and is within its limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from plugmw.dialects.tyk.api import Api
from plugmw.dialects.tyk.errors import DISALLOWED, error_answer
from plugmw.dialects.tyk.hooks import NO_SESSION
from plugmw.dialects.tyk.rights import Matching, limit_in_force, may_go
from plugmw.dialects.tyk.session import SessionState, session_of, set_session
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import digest
from plugmw.kernel.plugin import Plugin
from plugmw.schema import Nothing, config, field
from plugmw.wsgi import forms, keys

MISSING: Final = "Authorization field missing"
ELSEWHERE: Final = "Access to this resource has been disallowed"
EXPIRED: Final = "Key has expired, please renew"
INACTIVE: Final = "Key is inactive, please renew"
#: Seconds until a quota is renewed that has no time for it: ten years.
_NEVER: Final = 315_360_000
#: Of headers with a scheme, the scheme Tyk cuts off.
_BEARER: Final = "bearer "


@config
class TokenConfig:
    """Where the token is, as a definition's ``auth`` says."""

    auth_header_name: str = field("Authorization", credential=True, help="Header that has the token.")
    disable_header: bool = field(False, help="Whether the header does not count.")
    use_param: bool = field(False, help="Whether the token may be a query parameter.")
    param_name: str = field(
        "", empty=True, credential=True, help="Its name; that of the header if not given."
    )
    use_cookie: bool = field(False, help="Whether the token may be a cookie.")
    cookie_name: str = field(
        "", empty=True, credential=True, help="Its name; that of the header if not given."
    )
    strip_auth_data: bool = field(False, help="Whether the upstream gets the request without the token.")


class TokenAuth(Plugin[TokenConfig]):
    """Built-in authentication by token. Phases: access."""

    name: ClassVar[str] = "tyk-token"
    authenticates: ClassVar[bool] = True
    fail_closed = True
    Config: ClassVar[type] = TokenConfig

    def __init__(
        self, api: Api, sessions: Mapping[str, SessionState], compat: bool = False, **config: object
    ) -> None:
        super().__init__(**config)
        self.api = api
        self.compat = compat
        self._sessions = {digest("tyk", key): session for key, session in sessions.items()}

    def access(self, x: Exchange) -> None:
        x.environ[keys.TYK_API] = self.api
        token = self._find(x)
        if not token:
            raise error_answer(x, 401, MISSING, self.compat)
        if not self._known(x, token):
            self.logger.info("unknown token (request %s)", x.request_id)
            raise error_answer(x, 403, DISALLOWED, self.compat)
        x.environ[keys.TYK_TOKEN] = token
        if self.config.strip_auth_data:
            self._strip(x)

    def _known(self, x: Exchange, token: str) -> bool:
        session = self._sessions.get(digest("tyk", token))
        if session is not None:
            session = session.copy()
            session.key_id = session.key_id or token
            set_session(x, session)
            return True
        credential = self.runtime.consumers.credential("key-auth", token)
        if credential is None or (credential.expires or float("inf")) <= self.runtime.clock():
            return False
        consumer = self.runtime.consumers.consumer(credential.consumer_id)
        if consumer is None or consumer.id != credential.consumer_id:
            return False
        x.environ[keys.TYK_SESSION] = SessionState(
            alias=consumer.username or consumer.custom_id or "",
            org_id=self.api.org_id,
            tags=list(consumer.tags),
            key_id=token,
        )
        x.authenticate(consumer, credential)
        return True

    def _find(self, x: Exchange) -> str:
        """Return the token, ``""`` if there is none; several are refused, where Tyk takes the last."""
        tokens = list(dict.fromkeys(token for token in self._tokens(x) if token))
        if len(tokens) > 1 and not self.compat:
            raise error_answer(x, 403, DISALLOWED, self.compat)
        return tokens[-1] if tokens else ""

    def _tokens(self, x: Exchange) -> Iterator[str]:
        config = self.config
        if not config.disable_header:
            yield _bare(x.get_header(config.auth_header_name) or "")
        if config.use_param:
            for value in forms.pair_values(x.environ.get("QUERY_STRING", ""), self._parameter):
                yield _bare(value if isinstance(value, str) else "")
        if config.use_cookie:
            yield from map(_bare, _cookies(x, self._cookie_name))

    @property
    def _parameter(self) -> str:
        return str(self.config.param_name or self.config.auth_header_name)

    @property
    def _cookie_name(self) -> str:
        return str(self.config.cookie_name or self.config.auth_header_name)

    def _strip(self, x: Exchange) -> None:
        x.remove_request_header(self.config.auth_header_name)
        if self.config.use_param:
            left = forms.without_pair(x.environ.get("QUERY_STRING", ""), self._parameter)
            forms.replace_query(x.environ, left)
        if self.config.use_cookie:
            _drop_cookie(x, self._cookie_name)


def _bare(token: str) -> str:
    return token[len(_BEARER) :].strip() if token.lower().startswith(_BEARER) else token


def _pieces(x: Exchange) -> Iterator[tuple[str, str]]:
    """Yield every cookie with its name."""
    for piece in (x.get_header("Cookie") or "").split(";"):
        if piece.strip():
            yield piece.partition("=")[0].strip(), piece.strip()


def _cookies(x: Exchange, name: str) -> Iterator[str]:
    for key, piece in _pieces(x):
        if key == name:
            yield piece.partition("=")[2].strip().strip('"')


def _drop_cookie(x: Exchange, name: str) -> None:
    left = "; ".join(piece for key, piece in _pieces(x) if key != name)
    x.remove_request_header("Cookie")
    if left:
        x.set_request_header("Cookie", left)


class SessionRules(Plugin[Nothing]):
    """What a session may do: nothing if it is missing, inactive, expired or for others. Phases: access."""

    name: ClassVar[str] = "tyk-session"
    fail_closed = True

    def __init__(
        self,
        api: Api,
        rate: bool = True,
        quota: bool = True,
        compat: bool = False,
        *,
        version: str | None = None,
        matching: Matching | None = None,
    ) -> None:
        super().__init__()
        self.api = api
        self.rate = rate
        self.quota = quota
        self.compat = compat
        #: The version that is served, None if the API is not versioned.
        self.served = version
        self.matching = matching or Matching()

    def access(self, x: Exchange) -> None:
        session = session_of(x)
        problem = self._problem(x, session)
        if problem is not None:
            raise error_answer(x, *problem, self.compat)

    def _problem(self, x: Exchange, session: SessionState | None) -> tuple[int, str] | None:
        if session is None:
            return 400, NO_SESSION
        if session.is_inactive:
            return 403, INACTIVE
        now = self.runtime.clock()
        if 0 < session.expires <= now:
            return 401, EXPIRED
        return self._disallowed(x, session) or self._over(x, session)

    def _disallowed(self, x: Exchange, session: SessionState) -> tuple[int, str] | None:
        """Say what of its rights a session lacks; without any it may do everything."""
        if not session.access_rights:
            return None
        access = session.access_rights.get(self.api.api_id)
        if access is None or (self.served is not None and self.served not in access.versions):
            return 403, DISALLOWED
        return None if may_go(x, access, self.matching) else (403, ELSEWHERE)

    def _over(self, x: Exchange, session: SessionState) -> tuple[int, str] | None:
        """Count the request against rate and quota of the session's consumer."""
        who = x.consumer.id if x.consumer is not None else ""
        counted = limit_in_force(x, session, self.api.api_id, self.matching)
        limit, scope = counted.limit, f"\0{counted.scope}" if counted.scope else ""
        if self.rate and limit.rate > 0 and limit.per > 0:
            endpoint = f"\0{counted.endpoint}" if counted.endpoint else ""
            key = f"tyk-rate\0{who}{scope}{endpoint}"
            if not self.runtime.store.take([(key, max(1, int(limit.rate)), limit.per)])[0]:
                return 429, "Rate limit exceeded"
        if self.quota and limit.quota_max > 0:
            key, renewal = f"tyk-quota\0{who}{scope}", max(0, limit.quota_renewal_rate) or _NEVER
            if not self.runtime.store.take([(key, limit.quota_max, float(renewal))])[0]:
                return 403, "Quota exceeded"
        return None
