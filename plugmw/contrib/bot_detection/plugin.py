"""Refuse clients that call themselves crawlers, link previews or HTTP libraries.

    plugins:
      - name: bot-detection
        config:
          allow: ["^Googlebot/"]
          deny: [BadClient]

The first rule that is found anywhere in User-Agent decides: ``allow`` patterns, ``deny`` patterns, then the
list of :mod:`plugmw.contrib.bot_detection.crawlers`. A refused client gets 403 "Forbidden" in the format it
accepts. Clients without a User-Agent pass, as do those that match nothing. A courtesy filter: who wants to
pass writes another name.

Fails closed. Contract: Kong's bot-detection (``kong/plugins/bot-detection``).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from plugmw.contrib.bot_detection.crawlers import is_crawler
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import config, field
from plugmw.schema.patterns import Pattern, compiled, problem

#: Characters of User-Agent that are looked at; real ones have a few hundred at most.
LONGEST: Final = 4096
#: Verdicts kept: with the longest names that is 4 MB.
KEPT: Final = 1024


@config
class Config:
    """Patterns are searched anywhere in User-Agent, with their case."""

    allow: list[str] = field([], help="Regular expressions of clients let through; looked at first.")
    deny: list[str] = field([], help="Regular expressions of clients refused.")

    def check(self) -> Iterator[tuple[str, str]]:
        for name in ("allow", "deny"):
            for index, pattern in enumerate(getattr(self, name)):
                text = problem(pattern, "found")
                if text is not None:
                    yield f"{name}[{index}]", text


class BotDetection(Plugin[Config]):
    """Phases: access."""

    name, priority, Config = "bot-detection", 2500, Config
    fail_closed = True
    no_consumer = True

    def configure(self) -> None:
        self._allowed = [compiled(pattern, "found") for pattern in self.config.allow]
        self._denied = [compiled(pattern, "found") for pattern in self.config.deny]
        self._refuses = functools.lru_cache(KEPT)(self._judge)

    def access(self, x: Exchange) -> None:
        agent = x.environ.get("HTTP_USER_AGENT")
        if agent is not None and self._refuses(agent[:LONGEST].strip()):
            x.fail(403)

    def _judge(self, agent: str) -> bool:
        if any(_is_in(pattern, agent) for pattern in self._allowed):
            return False
        return any(_is_in(pattern, agent) for pattern in self._denied) or is_crawler(agent)


def _is_in(pattern: Pattern, agent: str) -> bool:
    return pattern.find(agent[: pattern.longest]) is not None
