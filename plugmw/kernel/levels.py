"""Log at any level to a logger of any kind: an injected one need have no more than the five usual methods."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plugmw.kernel.runtime import Logger


def enabled(logger: Logger, level: int) -> bool:
    """Return whether a logger takes lines of a level: an injected one need not say."""
    asked = getattr(logger, "isEnabledFor", None)
    return asked is None or bool(asked(level))


def log(logger: Logger, level: int, text: str) -> None:
    """Log at a level; by the nearest usual method below it where an injected logger has no ``log``."""
    log_at = getattr(logger, "log", None)
    if log_at is not None:
        log_at(level, "%s", text)
    elif level >= logging.CRITICAL:
        logger.critical("%s", text)
    elif level >= logging.ERROR:
        logger.error("%s", text)
    elif level >= logging.WARNING:
        logger.warning("%s", text)
    elif level >= logging.INFO:
        logger.info("%s", text)
    else:
        logger.debug("%s", text)
