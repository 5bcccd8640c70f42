"""The exchange that is being worked on in this thread or greenlet, for dialects with global names.

Native plugins are given the exchange. Kong's ``kong.request`` and prestd's ``HTTPVars`` are global names
in their originals; here they are views on the exchange found through :func:`exchange`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from plugmw.exchange import Exchange

T = TypeVar("T")

#: (exchange, plugin) in force; None outside of phase methods that are called through :func:`running`.
_current: ContextVar[tuple[Exchange, Any] | None] = ContextVar("plugmw.current", default=None)


def exchange() -> Exchange | None:
    """Return the exchange in force, None outside a request."""
    found = _current.get()
    return found[0] if found else None


def plugin() -> Any:
    """Return the plugin in force, None outside a request."""
    found = _current.get()
    return found[1] if found else None


def running(x: Exchange, owner: Any, call: Callable[..., T], *arguments: Any) -> T:
    """Call with ``x`` and ``owner`` in force."""
    token = _current.set((x, owner))
    try:
        return call(*arguments)
    finally:
        _current.reset(token)
