"""The logger that KrakenD gives to its plugins, over a standard one.

    logger.debug("request:", path)        # or logger.Debug: any number of values, joined by one space
    handler.setFormatter(formatter())     # 2022/06/14 16:53:41 KRAKEND DEBUG: request: /hijack-me

The contract is Lura's (``logging/log.go``), with two differences. ``fatal`` logs at CRITICAL and raises
:class:`Fatal` where the original ends the process: a plugin may fail a request or its own loading, never
a worker that serves others. Control characters in a message are escaped: one call is one line.
"""

from __future__ import annotations

import logging
import re
from typing import NoReturn

from plugmw.errors import PlugmwError
from plugmw.kernel.runtime import Logger as StandardLogger

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class Fatal(PlugmwError):
    """A plugin called ``logger.fatal``; the message is what it said."""


class Logger:
    """``debug info warning error critical fatal``, each also with a capital letter.

    ``target`` is a ``logging.Logger`` or anything with its methods.
    """

    def __init__(self, target: StandardLogger) -> None:
        self.target = target

    def debug(self, *values: object) -> None:
        self.target.debug("%s", _Line(values))

    def info(self, *values: object) -> None:
        self.target.info("%s", _Line(values))

    def warning(self, *values: object) -> None:
        self.target.warning("%s", _Line(values))

    def error(self, *values: object) -> None:
        self.target.error("%s", _Line(values))

    def critical(self, *values: object) -> None:
        self.target.critical("%s", _Line(values))

    def fatal(self, *values: object) -> NoReturn:
        self.critical(*values)
        raise Fatal(str(_Line(values)))

    Debug, Info, Warning, Error, Critical, Fatal = debug, info, warning, error, critical, fatal


class _Line:
    """Values joined by a space when the record is formatted."""

    def __init__(self, values: tuple[object, ...]) -> None:
        self.values = values

    def __str__(self) -> str:
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", " ".join(map(str, self.values)))


def formatter(prefix: str = "KRAKEND") -> logging.Formatter:
    """Return a formatter of KrakenD's default line: ``YYYY/MM/DD hh:mm:ss KRAKEND LEVEL: text``."""
    return logging.Formatter(f"%(asctime)s {prefix} %(levelname)s: %(message)s", "%Y/%m/%d %H:%M:%S")
