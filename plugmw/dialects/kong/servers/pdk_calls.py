"""The PDK calls that a plugin server makes, each checked against the table."""

from __future__ import annotations

from typing import Any

from plugmw.dialects.kong.servers.converters import text
from plugmw.dialects.kong.servers.pdk_table import LOGS, METHODS
from plugmw.dialects.kong.servers.wire import Failed


class Calls:
    """The PDK calls of one event; to be used with the exchange in force (:mod:`plugmw.kernel.context`)."""

    __slots__ = ("effect",)

    def __init__(self) -> None:
        #: Whether a call was made that a second try would make again.
        self.effect = False

    def ask(self, name: str, given: list[Any]) -> Any:
        """Make one call; raises :class:`Failed`, or the Exit of ``kong.response.exit`` and ``error``."""
        method = METHODS.get(name)
        if method is None:
            return self._log(name, given)
        converters = method.arguments
        while given and given[-1] is None:
            given.pop()
        if len(given) > len(converters):
            raise Failed(f"{name}: got {len(given)} arguments, expected at most {len(converters)}")
        if len(given) < method.needed:
            given += [None] * (method.needed - len(given))
        if method.effect:
            self.effect = True
        try:
            taken = [None if one is None else convert(one) for convert, one in zip(converters, given)]
            found = method.call(*taken)
            if method.fallible:
                if found[1] is not None and found[0] is None:
                    raise Failed(str(found[1]), expected=True)
                found = found[0]
            return method.result(found) if found is not None else None
        except Failed:
            raise
        except Exception as error:
            raise Failed(str(error) or type(error).__name__) from error

    def _log(self, name: str, given: list[Any]) -> None:
        log = LOGS.get(name)
        if log is None:
            raise Failed(f"{name[:200]} is not a function that plugin servers may call")
        log(*(text(one) if isinstance(one, (str, bytes)) else one for one in given))
