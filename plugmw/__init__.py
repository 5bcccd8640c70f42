"""plugmw: plug API-gateway plugins into any WSGI app."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugmw.errors import ConfigError as ConfigError
    from plugmw.exchange import Exchange as Exchange
    from plugmw.order import Entry as Entry
    from plugmw.plugin import Plugin as Plugin
    from plugmw.schema import config as config
    from plugmw.schema import field as field

__version__ = "0.1.0"

# Imported when first used: `import plugmw` alone costs next to nothing.
_EXPORTS = {
    "ConfigError": "plugmw.errors",
    "Entry": "plugmw.order",
    "Exchange": "plugmw.exchange",
    "Gateway": "plugmw.gateway",
    "Plugin": "plugmw.plugin",
    "config": "plugmw.schema",
    "field": "plugmw.schema",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'plugmw' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
