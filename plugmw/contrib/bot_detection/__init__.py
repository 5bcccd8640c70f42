"""Refuse clients that call themselves crawlers, link previews or HTTP libraries."""

from plugmw.contrib.bot_detection.plugin import BotDetection as BotDetection
