"""Run functions of your own before all other plugins.

    plugins:
      - name: pre-function
        config:
          packages: [shop.hooks]
          access: ["shop.hooks:add_key"]

A function gets the exchange and may do what a plugin may: change the request, answer with ``exchange.exit``,
change the response (:mod:`plugmw.contrib._functions`). Nothing comes before it, authentication included, so
it can supply credentials or answer before any check. The client sees what the functions make; if one raises,
500 "An unexpected error occurred".

Fails closed. Contract: Kong's pre-function (``kong/plugins/pre-function``), with functions of installed
modules in place of Lua texts.
"""

from __future__ import annotations

import math

from plugmw.contrib._functions import Config, Functions


class PreFunction(Functions):
    """Phases: rewrite, access, header_filter, body_filter, log; those that have functions."""

    name, priority, Config = "pre-function", math.inf, Config
