"""``kong.log``: levels, inspection and the log entry (``kong/pdk/log.lua``)."""

from __future__ import annotations

import logging
import pprint
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from plugmw.dialects.kong.pdk.phase import phases
from plugmw.kernel import context, levels
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Logger
from plugmw.telemetry import log_entry

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
_PREFIX: Final = "[kong] "
_FORMAT: Final = "%file_src:%line_src %message"
_NAMESPACED: Final = "%file_src:%line_src [%namespace] %message"
_MODIFIERS: Final = re.compile(r"(?<!%)%(file_src|line_src|func_name|namespace|message)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class Log:
    """Logging; allowed in every phase, outside of requests too. Control characters are escaped."""

    def __init__(self) -> None:
        self.inspect = Inspect()
        #: Formats that plugins have set, each for itself.
        self._formats: dict[str, str] = {}

    def __call__(self, *values: object) -> None:
        """Log at notice level."""
        self._write("notice", values)

    def debug(self, *values: object) -> None:
        """Log the values, joined, at debug level; the others likewise."""
        self._write("debug", values)

    def info(self, *values: object) -> None:
        self._write("info", values)

    def notice(self, *values: object) -> None:
        self._write("notice", values)

    def warn(self, *values: object) -> None:
        self._write("warn", values)

    def err(self, *values: object) -> None:
        self._write("err", values)

    def crit(self, *values: object) -> None:
        self._write("crit", values)

    def alert(self, *values: object) -> None:
        self._write("alert", values)

    def emerg(self, *values: object) -> None:
        self._write("emerg", values)

    def deprecation(self, *values: object) -> None:
        """Log at warning level that something is on its way out."""
        self._write("warn", ("deprecation: ", *values))

    def set_format(self, text: str | None = None) -> None:
        """Set the form of this plugin's lines; the default again without one.

        It may have %file_src, %line_src, %func_name, %namespace and %message in it; ``[kong]`` is put
        before it.
        """
        if text is not None and not isinstance(text, str):
            raise TypeError("format must be a string if specified")
        self._formats.pop(_namespace(), None)
        if text is not None:
            self._formats[_namespace()] = text

    def _write(self, level: str, values: tuple[object, ...]) -> None:
        logger = _logger()
        number = LEVELS[level]
        if not levels.enabled(logger, number):
            return
        frame = sys._getframe(2)
        name = _namespace()
        parts = {
            "file_src": frame.f_code.co_filename.rpartition("/")[2],
            "line_src": str(frame.f_lineno),
            "func_name": frame.f_code.co_name,
            "namespace": name,
            "message": one_line("".join(map(str, values))),
        }
        text = self._formats.get(name) or (_NAMESPACED if name else _FORMAT)
        levels.log(logger, number, _PREFIX + _MODIFIERS.sub(lambda match: parts[match[1]], text))

    @phases("rewrite", "access", "response", "header_filter", "body_filter", "log")
    def set_serialize_value(
        self, x: Exchange, key: str, value: object, options: Mapping[str, str] | None = None
    ) -> None:
        """Put a value into the log entry: dotted ``key`` (``\\.`` is a dot), mode set, add or replace.

        Values are checked here (JSON types only), keys when the entry is made.
        """
        mode = (options or {}).get("mode") or "set"
        if not isinstance(key, str):
            raise TypeError("key must be a string")
        if mode not in ("set", "add", "replace"):
            raise ValueError("mode must be 'set', 'add' or 'replace'")
        log_entry.check_value(value)
        log_entry.changes_of(x).append((key, value, mode))

    @phases("log")
    def serialize(self, x: Exchange) -> dict[str, Any]:
        """Return the log entry of this exchange. Phases: log."""
        return log_entry.entry(x)


class Inspect:
    """``kong.log.inspect``: values in full at notice level, switched on and off for the process."""

    def __init__(self) -> None:
        self._on = True

    def __call__(self, *values: object) -> None:
        if self._on:
            frame = sys._getframe(1)
            place = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_name}:{frame.f_lineno}"
            shown = " ".join(one_line(pprint.pformat(value, width=1000)) for value in values)
            levels.log(_logger(), LEVELS["notice"], f"{_PREFIX}{place} [{_namespace()}] {shown}")

    def on(self) -> None:
        """Switch inspection on."""
        self._on = True

    def off(self) -> None:
        """Switch inspection off."""
        self._on = False


def one_line(text: str) -> str:
    """Escape control characters: one call is one line, whatever a client has sent."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def _namespace() -> str:
    """Return the name of the plugin in force, ``""`` outside of plugins."""
    return str(getattr(context.plugin(), "name", ""))


def _logger() -> Logger:
    x = context.exchange()
    runtime = getattr(x if x is not None else context.plugin(), "runtime", None)
    logger: Logger = runtime.logger if runtime is not None else logging.getLogger("plugmw.kong")
    return logger
