"""Phase checks of the PDK: which functions may be called when (``kong/pdk/private/phases.lua``)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, Final, NoReturn, ParamSpec, TypeVar

from plugmw.errors import PhaseError
from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")

#: The phases that Kong's documentation sums up as "request".
REQUEST: Final = ("rewrite", "access", "response", "header_filter", "body_filter", "log")
BEFORE_APP: Final = ("rewrite", "access")
#: From authentication on.
KNOWN: Final = ("access", "response", "header_filter", "body_filter", "log")
ANSWERED: Final = ("response", "header_filter", "body_filter", "log")
HEADERS: Final = ("rewrite", "access", "response", "header_filter")


class Unsupported(RuntimeError):
    """A PDK function that has no meaning under WSGI; the text says why and what to use instead."""


def phases(
    *allowed: str,
) -> Callable[[Callable[Concatenate[S, Exchange, P], R]], Callable[Concatenate[S, P], R]]:
    """Allow a function in these phases only; elsewhere :class:`PhaseError` names both.

    The decorated function is given the exchange in force before its own arguments.
    """

    def decorate(
        function: Callable[Concatenate[S, Exchange, P], R],
    ) -> Callable[Concatenate[S, P], R]:
        name = function.__name__

        @functools.wraps(function)
        def call(self: S, /, *arguments: P.args, **named: P.kwargs) -> R:
            x = context.exchange()
            if x is None or x.phase not in allowed:
                raise PhaseError(name, context.phase() or "init_worker", allowed)
            return function(self, x, *arguments, **named)

        return call

    return decorate


def unsupported(name: str, reason: str) -> Callable[..., NoReturn]:
    """Return a function that raises :class:`Unsupported` with ``reason``."""

    def call(*arguments: object, **named: object) -> NoReturn:
        raise Unsupported(f"{name} has no meaning under WSGI: {reason}")

    call.__doc__ = f"Not available: {reason}."
    call.__name__ = name.rpartition(".")[2]
    return call


def of_type(value: object, kinds: type | tuple[type, ...], name: str, expected: str) -> None:
    """Raise ``TypeError`` in Kong's wording unless ``value`` is of ``kinds`` (a bool is no number)."""
    listed = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, listed) or (isinstance(value, bool) and bool not in listed):
        raise TypeError(f"{name} must be {expected}")
