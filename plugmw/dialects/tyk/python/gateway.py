"""What plugin code gets for ``from gateway import TykGateway``: the log, and data that workers share.

Works in hooks and wherever else a hook's thread comes; at import there is a log, but no store yet. The store
is the gateway's, each call with its deadline (a second or less); a store that fails is logged, and reads as
empty (``gateway/coprocess_api.go``).
"""

from __future__ import annotations

import logging
from typing import Any, Final

from plugmw.errors import StoreError
from plugmw.kernel import context
from plugmw.stores import Store

PREFIX: Final = "coprocess-data:"
_LEVELS: Final = {"debug": logging.DEBUG, "warning": logging.WARNING, "error": logging.ERROR}


class TykGateway:
    """The gateway, as plugins see it."""

    @staticmethod
    def log(message: str, level: str = "info") -> None:
        """Log at ``debug``, ``warning`` or ``error``; any other level is info."""
        _logger().log(_LEVELS.get(level, logging.INFO), "%s", message)

    @staticmethod
    def log_error(message: str) -> None:
        """Log an error."""
        _logger().log(logging.ERROR, "%s", message)

    @staticmethod
    def store_data(key: str, value: str | bytes, ttl: int) -> None:
        """Keep a value for ``ttl`` seconds, for ever if that is not above 0."""
        data = value.encode() if isinstance(value, str) else bytes(value)
        try:
            _store().set(PREFIX + key, data, ttl if ttl > 0 else None)
        except StoreError as error:
            _logger().error("could not set key: %s", error)

    @staticmethod
    def get_data(key: str) -> bytes:
        """Return a value, ``b""`` if there is none."""
        try:
            return _store().get(PREFIX + key) or b""
        except StoreError as error:
            _logger().error("could not get key: %s", error)
            return b""

    @staticmethod
    def trigger_event(name: str, payload: str) -> None:
        """Log an event; there are no event handlers."""
        _logger().info("event %s: %s", name, payload)


def _logger() -> Any:
    plugin = context.plugin()
    return logging.getLogger("plugmw") if plugin is None else plugin.logger


def _store() -> Store:
    runtime = getattr(context.plugin(), "runtime", None)
    if runtime is None:
        raise StoreError("store", "can only be used in a hook")
    store: Store = runtime.store
    return store
