"""Threads of plugmw's own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextvars import Context


class Daemon(threading.Thread):
    """A daemon thread with nothing of the context of whoever starts it.

    Where threads take over the context (``-X thread_inherit_context``, the default of a Python without a
    global lock) a thread that a request has started would keep that request's exchange for as long as it
    lives, and take it for its own.
    """

    def __init__(self, name: str, run: Callable[[], object]) -> None:
        apart = Context().run
        if sys.version_info >= (3, 14):
            super().__init__(target=apart, args=(run,), name=name, daemon=True, context=Context())
        else:
            super().__init__(target=apart, args=(run,), name=name, daemon=True)
