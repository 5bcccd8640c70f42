"""The decorators of ``from tyk.decorators import *``.

The number of parameters decides what a hook is given, as in the original, whatever the decorator; there, only
``Hook`` works.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import getfullargspec
from typing import Any

__all__ = ("CustomKeyCheck", "Event", "Hook", "HandlerDecorator", "Post", "PostKeyAuth", "Pre")  # noqa: RUF022


class HandlerDecorator:
    """A function that is known by its name."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.name: str = f.__name__
        self.f = f
        #: How many parameters it names; ``*args`` does not count.
        self.arg_count = len(getfullargspec(f)[0])

    def __call__(self, *arguments: object, **named: object) -> Any:
        return self.f(*arguments, **named)


class Hook(HandlerDecorator):
    """A hook of any kind."""


class Pre(Hook):
    """A hook before authentication."""


class Post(Hook):
    """A hook before the upstream."""


class PostKeyAuth(Hook):
    """A hook after authentication."""


class CustomKeyCheck(Hook):
    """A hook that authenticates."""


class Event(HandlerDecorator):
    """A handler of events. Events are logged here, so it is never called."""
