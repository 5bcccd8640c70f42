"""Tyk's contracts: hooks, response and analytics plugins, API definitions, and what plugins import."""

from plugmw.dialects.tyk import context as ctx
from plugmw.dialects.tyk.session import SessionState as SessionState

__all__ = ["SessionState", "ctx"]
