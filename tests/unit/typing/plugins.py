"""Plugins as their authors write them; checked by mypy, never run. See configurations.py."""

from __future__ import annotations

from plugmw import Exchange, Plugin
from plugmw.auth.authentication import Authentication, Denied
from plugmw.kernel.identity import Consumer, Credential
from plugmw.schema import above, config, field


@config
class Config:
    minute: float = field(5, above(0), help="Requests per minute.")


class Typed(Plugin[Config]):
    name, priority, Config = "typed", 500, Config

    def configure(self) -> None:
        self.fail_closed = self.config.minute < 1
        self.limit = self.config.minutes  # type: ignore[attr-defined]

    def access(self, exchange: Exchange) -> None:
        seconds: str = self.config.minute  # type: ignore[assignment]
        exchange.set_header("X-Limit", seconds)


class Untyped(Plugin):
    """Without a parameter the configuration is Any, in strict mode too."""

    name, priority, Config = "untyped", 500, Config

    def access(self, exchange: Exchange) -> None:
        exchange.set_header("X-Limit", str(self.config.minutes))


@config
class CardConfig:
    card_header: str = field("X-Card", help="Where the card is.")
    anonymous: str | None = field(None, help="Who stands in.")


class CardAuth(Authentication[CardConfig]):
    name, priority, Config = "card-auth", 1006, CardConfig

    def identify(self, exchange: Exchange) -> tuple[Consumer | None, Credential]:
        credential = self.credential("card-auth", exchange.get_header(self.config.card_header) or "")
        if credential is None:
            raise Denied
        return self.owner(credential), credential


class WithoutAnonymous(Authentication[Config]):  # type: ignore[type-var]
    name = "without-anonymous"


limit: float = Typed(minute=3).config.minute
loaded: Typed = Typed.load(Config(minute=3))
