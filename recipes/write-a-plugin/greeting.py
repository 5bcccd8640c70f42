"""A plugin: greet in a response header."""

from plugmw import Exchange, Plugin, config, field


@config
class Config:
    greeting: str = field("hello", help="What X-Greeting says.")


class Greeting(Plugin):
    name, priority, Config = "greeting", 500, Config

    def header_filter(self, exchange: Exchange) -> None:
        exchange.set_header("X-Greeting", self.config.greeting)
