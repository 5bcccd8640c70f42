"""What all authentication plugins share: who may be anonymous, how several combine, what the app is told.

    @config
    class Config:
        anonymous: str | None = field(None, help=ANONYMOUS_HELP)
        realm: str | None = field(None, REALM, help=REALM_HELP)
        card_header: HeaderName = field("X-Card", credential=True, help="Header with the number of the card.")

    class CardAuth(Authentication):
        name, priority, Config = "card-auth", 1006, Config

        def identify(self, exchange):
            credential = self.credential("card-auth", exchange.get_header(self.config.card_header) or "")
            if credential is None:
                raise Denied(headers=challenge("Card", self.config.realm))
            return self.owner(credential), credential

Log entries leave out what comes under the names in fields with ``credential=True``, as header or in the
query; names that are no field's stand in the class attribute ``credential_names``. A class with neither is
refused.

Several on one route: without ``anonymous`` each must succeed and the last identity stays; with
``anonymous`` on each, the first success wins. The rules are Kong's (``kong/plugins/key-auth/handler.lua``,
alike in its other five). Configuration classes need a field ``anonymous`` (see :data:`ANONYMOUS_HELP`);
``run_on_preflight`` is looked at if there is one.

Fails closed: only :class:`Denied` leads to the anonymous consumer. A store that cannot answer
(StoreError) or any other failure is an error of the request, 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, Protocol

from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer, Credential
from plugmw.kernel.plugin import Plugin
from plugmw.schema import matches
from plugmw.wsgi.answer import HeaderItems
from plugmw.wsgi.readings import methods

UNAUTHORIZED: Final = "Unauthorized"
ANONYMOUS_HELP: Final = "Id or username of the consumer for requests without valid credentials."
REALM_HELP: Final = "Realm named in the challenge of a 401."
PREFLIGHT_HELP: Final = "Whether OPTIONS requests need credentials too."
#: Check of a realm: it must be able to stand in a quoted string as it is (RFC 9110 section 5.6.4).
REALM: Final = matches(r"[ !#-\[\]-~\xa0-\xff]+", "text without quotes, backslashes and control characters")


class Denied(Exception):
    """The credentials do not do: the anonymous consumer stands in, or the client gets this answer.

    ``status`` 400 to 599; ``headers`` carry the challenge of a 401 (RFC 9110 section 11.6.1).
    """

    def __init__(self, message: str = UNAUTHORIZED, headers: HeaderItems = None, status: int = 401) -> None:
        self.message = message
        self.headers = headers
        self.status = status
        super().__init__(message)


class AuthenticationConfig(Protocol):
    """The field that configuration classes of authentication plugins need."""

    @property
    def anonymous(self) -> str | None:
        """Id or username of the consumer for requests without valid credentials."""


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    C = TypeVar("C", bound=AuthenticationConfig, default=Any)
else:
    from plugmw.kernel.plugin import C


class Authentication(Plugin[C]):
    """A plugin that finds out who is asking; subclasses give :meth:`identify`. Phases: access."""

    authenticates: ClassVar[bool] = True
    fail_closed = True

    def identify(self, x: Exchange, /) -> tuple[Consumer | None, Credential]:
        """Return who is asking and by what credential, or raise :class:`Denied`.

        None as consumer is for credentials that belong to no consumer of ours (a directory service).
        """
        raise NotImplementedError

    def refuse(self, x: Exchange, denied: Denied) -> NoReturn:
        """Answer a request that was denied; for plugins whose answers have another shape."""
        x.fail(denied.status, denied.message, denied.headers)

    def access(self, x: Exchange) -> None:
        config = self.config
        # Only what every app takes for one: no method that a header asks for beside it.
        if not getattr(config, "run_on_preflight", True) and methods(x.environ) == ("OPTIONS",):
            return
        if config.anonymous and x.credential is not None:
            return
        try:
            consumer, credential = self.identify(x)
        except Denied as denied:
            if not config.anonymous:
                self.refuse(x, denied)
            self._stand_in(x, config.anonymous)
        else:
            x.authenticate(consumer, credential)

    def _stand_in(self, x: Exchange, name: str) -> None:
        consumer = self.runtime.consumers.consumer(name)
        # A custom_id is another system's name and may be anything, so it does not count here.
        if consumer is None or name not in (consumer.id, consumer.username):
            problem = f"anonymous consumer {name} is configured but doesn't exist"
            self.logger.error("%s (request %s)", problem, x.request_id)
            x.fail(500, problem)
        x.authenticate(consumer, None, anonymous=True)

    # -- for identify -----------------------------------------------------------------------------

    def credential(self, kind: str, key: str) -> Credential | None:
        """Return the credential of ``kind`` that ``key`` opens; None if it is unknown or has expired."""
        found = self.runtime.consumers.credential(kind, key)
        if found is None or (found.expires is not None and found.expires <= self.runtime.clock()):
            return None
        return found

    def owner(self, credential: Credential) -> Consumer | None:
        """Return the consumer a credential belongs to, None if it is gone."""
        found = self.runtime.consumers.consumer(credential.consumer_id)
        return found if found is not None and found.id == credential.consumer_id else None


def challenge(scheme: str, realm: str | None) -> list[tuple[str, str]]:
    """Return the WWW-Authenticate header of a 401: ``Key`` or ``Key realm="shop"``."""
    value = scheme if realm is None else f'{scheme} realm="{realm}"'
    return [("WWW-Authenticate", value)]
