"""plugmw: plug API-gateway plugins into any WSGI app."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugmw.contrib._functions import function_factory as function_factory
    from plugmw.dialects.inject_logger import InjectLogger as InjectLogger
    from plugmw.dialects.krakend.clients import ClientRegisterer as ClientRegisterer
    from plugmw.dialects.krakend.handlers import HandlerRegisterer as HandlerRegisterer
    from plugmw.errors import ConfigError as ConfigError
    from plugmw.gateway import Gateway as Gateway
    from plugmw.kernel.exchange import Exchange as Exchange
    from plugmw.kernel.order import Entry as Entry
    from plugmw.kernel.plugin import Plugin as Plugin
    from plugmw.mounts.flask import PlugMW as PlugMW
    from plugmw.mounts.standalone import Functions as Functions
    from plugmw.mounts.standalone import ResponseModifier as ResponseModifier
    from plugmw.mounts.wrap import wrap as wrap
    from plugmw.schema import config as config
    from plugmw.schema import field as field

__version__ = "0.1.0"

# Imported when first used: `import plugmw` alone costs next to nothing.
_EXPORTS = {
    "ClientRegisterer": "plugmw.dialects.krakend.clients",
    "ConfigError": "plugmw.errors",
    "Entry": "plugmw.kernel.order",
    "Exchange": "plugmw.kernel.exchange",
    "Functions": "plugmw.mounts.standalone",
    "Gateway": "plugmw.gateway",
    "HandlerRegisterer": "plugmw.dialects.krakend.handlers",
    "InjectLogger": "plugmw.dialects.inject_logger",
    "PlugMW": "plugmw.mounts.flask",
    "Plugin": "plugmw.kernel.plugin",
    "ResponseModifier": "plugmw.mounts.standalone",
    "config": "plugmw.schema",
    "field": "plugmw.schema",
    "function_factory": "plugmw.contrib._functions",
    "wrap": "plugmw.mounts.wrap",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'plugmw' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
