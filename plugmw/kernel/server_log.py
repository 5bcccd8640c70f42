"""The server's log: under gunicorn the lines of ``plugmw`` go where gunicorn's own go, in its form and level.

A library leaves logging to the application. An application that has not configured any would see of plugmw
nothing below a warning, and warnings without time and process; so gunicorn's handlers (``--error-logfile``,
``--log-level``, ``info`` by default) are lent to the logger ``plugmw`` for as long as it has no others.
"""

from __future__ import annotations

import logging
from typing import Final

#: gunicorn's logger for all but the access log (``gunicorn.glogging``).
GUNICORN: Final = "gunicorn.error"


def adopt() -> None:
    """Lend the logger ``plugmw`` the handlers of the server; safe to call again.

    Called when a gateway is built, so that what is wrong then has a time and a process; the level waits for
    :func:`adopt_level`, when the application has had its time to configure logging.
    """
    ours = logging.getLogger("plugmw")
    if logging.getLogger(GUNICORN).handlers and not any(isinstance(each, _Lent) for each in ours.handlers):
        ours.addHandler(_Lent())


def adopt_level() -> None:
    """Take the level of the server's log too, if nobody has configured logging."""
    ours = logging.getLogger("plugmw")
    lent = any(isinstance(each, _Lent) for each in ours.handlers)
    if lent and ours.level == logging.NOTSET and not _configured():
        ours.setLevel(logging.getLogger(GUNICORN).getEffectiveLevel())


class _Lent(logging.Handler):
    """Hands records on to gunicorn's handlers, as they are at that time, until logging is configured."""

    def handle(self, record: logging.LogRecord) -> bool:
        if _configured():
            return False
        for handler in logging.getLogger(GUNICORN).handlers:
            if record.levelno >= handler.level:
                handler.handle(record)
        return True


def _configured() -> bool:
    """Whether the application has given ``plugmw``, or all loggers, handlers."""
    ours = logging.getLogger("plugmw")
    handlers = [*ours.handlers, *(logging.getLogger().handlers if ours.propagate else ())]
    return any(not isinstance(each, _Lent) for each in handlers)
