"""The exchange that is being worked on in this thread or greenlet, for dialects with global names.

Native plugins are given the exchange. Kong's ``kong.request`` and prestd's ``HTTPVars`` are global names
in their originals; here they are views on the exchange found through :func:`exchange`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

P = ParamSpec("P")
T = TypeVar("T")

#: (exchange, plugin, phase) in force. Threads and greenlets have a context each, so nothing leaks.
_current: ContextVar[tuple[Exchange | None, object, str]] = ContextVar(
    "plugmw.kernel.context", default=(None, None, "")
)


def exchange() -> Exchange | None:
    """Return the exchange in force, None outside a request."""
    return _current.get()[0]


def plugin() -> Any:
    """Return the plugin in force, None outside of :func:`running` and :func:`outside`."""
    return _current.get()[1]


def phase() -> str:
    """Return the phase in force, ``""`` if nothing is."""
    x, _, name = _current.get()
    return name if x is None else x.phase


def running(x: Exchange, owner: object, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call with ``x`` and ``owner`` in force."""
    token = _current.set((x, owner, ""))
    try:
        return call(*arguments, **options)
    finally:
        _current.reset(token)


def outside(name: str, owner: object, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call in a phase without a request (init_worker, configure, certificate), ``owner`` in force."""
    token = _current.set((None, owner, name))
    try:
        return call(*arguments, **options)
    finally:
        _current.reset(token)
