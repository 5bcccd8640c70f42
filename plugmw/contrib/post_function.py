"""Run functions of your own after all other plugins.

    plugins:
      - name: post-function
        config:
          packages: [shop.hooks]
          header_filter: ["shop.hooks:sign"]

As pre-function, at the other end: in access a function sees the final request and is not called when another
plugin has answered; in header_filter and body_filter it sees what all others have done, refusals and errors
included. To exit in access is to answer instead of the app. If a function raises, the client gets 500 "An
unexpected error occurred"; once bytes have gone out, the connection is broken off.

Fails closed. Contract: Kong's post-function (``kong/plugins/post-function``), with functions of installed
modules in place of Lua texts.
"""

from __future__ import annotations

from plugmw.contrib._functions import Config, Functions


class PostFunction(Functions):
    """Phases: rewrite, access, header_filter, body_filter, log; those that have functions."""

    name, priority, Config = "post-function", -1000, Config
