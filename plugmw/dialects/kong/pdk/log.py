"""``kong.log``: levels, inspection and the log entry (``kong/pdk/log.lua``)."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from plugmw import current, record
from plugmw.dialects.kong.pdk.phase import phases
from plugmw.exchange import Exchange

#: Kong's level names to logging's; notice is INFO's louder neighbour, crit and up are CRITICAL.
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": 25,
    "warn": logging.WARNING,
    "err": logging.ERROR,
    "crit": logging.CRITICAL,
    "alert": logging.CRITICAL,
    "emerg": logging.CRITICAL,
}


class Log:
    """Logging; allowed in every phase, outside of requests too."""

    def __init__(self) -> None:
        self.inspect = Inspect()
        self._format = "[kong] %file_src:%line_src [%namespace] %message"

    def __call__(self, *values: Any) -> None:
        """Log at notice level."""
        self._write("notice", values)

    def debug(self, *values: Any) -> None:
        """Log the values, joined, at debug level; the others likewise."""
        self._write("debug", values)

    def info(self, *values: Any) -> None:
        self._write("info", values)

    def notice(self, *values: Any) -> None:
        self._write("notice", values)

    def warn(self, *values: Any) -> None:
        self._write("warn", values)

    def err(self, *values: Any) -> None:
        self._write("err", values)

    def crit(self, *values: Any) -> None:
        self._write("crit", values)

    def alert(self, *values: Any) -> None:
        self._write("alert", values)

    def emerg(self, *values: Any) -> None:
        self._write("emerg", values)

    def deprecation(self, *values: Any) -> None:
        """Log at warning level that something is on its way out."""
        self._write("warn", ("deprecation: ", *values))

    def set_format(self, text: str) -> None:
        """Set the line's form: %file_src, %line_src, %func_name, %namespace, %message, %%."""
        self._format = text

    def _write(self, level: str, values: tuple[Any, ...]) -> None:
        logger = _logger()
        number = LEVELS[level]
        if not logger.isEnabledFor(number):
            return
        frame = sys._getframe(2)
        owner = current.plugin()
        message = "".join(value if isinstance(value, str) else str(value) for value in values)
        line = self._format
        for name, text in (
            ("%file_src", frame.f_code.co_filename.rpartition("/")[2]),
            ("%line_src", str(frame.f_lineno)),
            ("%func_name", frame.f_code.co_name),
            ("%namespace", getattr(owner, "name", "core")),
            ("%message", message),
        ):
            line = line.replace(name, text)
        logger.log(number, "%s", line)

    @phases("rewrite", "access", "response", "header_filter", "body_filter", "log")
    def set_serialize_value(self, x: Exchange, key: str, value: Any, options: Any = None) -> None:
        """Put a value into the log entry: dotted ``key`` (``\\.`` is a dot), mode set, add or replace."""
        mode = (options or {}).get("mode", "set")
        if mode not in ("set", "add", "replace"):
            raise ValueError("mode must be 'set', 'add' or 'replace'")
        if not isinstance(key, str):
            raise TypeError("key must be a string")
        record.check_value(value)
        record.changes_of(x).append((key, value, mode))

    @phases("log")
    def serialize(self, x: Exchange) -> dict[str, Any]:
        """Return the log entry of this exchange. Phases: log."""
        return record.entry(x)


class Inspect:
    """``kong.log.inspect``: values in full, switched on and off."""

    def __init__(self) -> None:
        self._on = True

    def __call__(self, *values: Any) -> None:
        if self._on:
            _logger().debug("%s", " ".join(repr(value) for value in values))

    def on(self) -> None:
        """Switch inspection on."""
        self._on = True

    def off(self) -> None:
        """Switch inspection off."""
        self._on = False


def _logger() -> Any:
    x = current.exchange()
    return x.runtime.logger if x is not None else logging.getLogger("plugmw.kong")
