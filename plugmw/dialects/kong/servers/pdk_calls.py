"""The PDK calls that a plugin server makes, each checked against the table."""

from __future__ import annotations

from plugmw.dialects.kong.servers.converters import text
from plugmw.dialects.kong.servers.pdk_table import LOGS, METHODS
from plugmw.dialects.kong.servers.wire import Failed


class Calls:
    """The PDK calls of one event; to be used with the exchange in force (:mod:`plugmw.kernel.context`)."""

    __slots__ = ("effect",)

    def __init__(self) -> None:
        #: Whether a call was made that a second try would make again.
        self.effect = False

    def ask(self, name: str, values: list[object]) -> object:
        """Make one call; raises :class:`Failed`, or the Exit of ``kong.response.exit`` and ``error``."""
        method = METHODS.get(name)
        if method is None:
            self._log(name, values)
            return None
        converters = method.arguments
        while values and values[-1] is None:
            values.pop()
        if len(values) > len(converters):
            raise Failed(f"{name}: got {len(values)} arguments, expected at most {len(converters)}")
        if len(values) < method.needed:
            values += [None] * (method.needed - len(values))
        if method.effect:
            self.effect = True
        try:
            arguments = [None if one is None else convert(one) for convert, one in zip(converters, values)]
            result = method.call(*arguments)
            if method.fallible:
                if result[1] is not None and result[0] is None:
                    raise Failed(str(result[1]), expected=True)
                result = result[0]
            return method.result(result) if result is not None else None
        except Failed:
            raise
        except Exception as error:
            raise Failed(str(error) or type(error).__name__) from error

    def _log(self, name: str, values: list[object]) -> None:
        log = LOGS.get(name)
        if log is None:
            raise Failed(f"{name[:200]} is not a function that plugin servers may call")
        log(*(text(one) if isinstance(one, (str, bytes)) else one for one in values))
