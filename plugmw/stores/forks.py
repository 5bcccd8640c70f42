"""Objects that must renew something in a forked child.

A lock that another thread of the parent held during the fork stays locked in the child for ever: its holder
does not exist there. The hook runs in the child before any of its own code, so there is nothing to check in
each call and no second thread to race with.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something that renews its locks after a fork."""

    def after_fork(self) -> None:
        """Runs in the child, before its first own instruction. Must not raise."""


_watched: weakref.WeakSet[Forked] = weakref.WeakSet()


def watch(thing: Forked) -> None:
    """Call ``thing.after_fork()`` in every child forked from now on, for as long as it is referenced."""
    _watched.add(thing)


def _renew() -> None:
    for thing in list(_watched):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork either
    os.register_at_fork(after_in_child=_renew)
