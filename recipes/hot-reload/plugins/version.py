"""Tells in a header which version of the plugin answered."""

from plugmw import Plugin

VERSION = "1"


class Version(Plugin):
    name, priority = "version", 500

    def header_filter(self, exchange):
        exchange.set_header("X-Version", VERSION)
