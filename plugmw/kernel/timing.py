"""The time that each plugin takes in each phase, for whoever asks for it.

A plugin asks by an attribute ``takes_times``, a function ``(plugin, phase, seconds)``, set in ``configure``
at the latest. Chains without such a plugin are written without any of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from plugmw.kernel import phases

if TYPE_CHECKING:
    from plugmw.kernel.order import Entry
    from plugmw.kernel.response import RespondingExchange

P = ParamSpec("P")
T = TypeVar("T")
Taker: TypeAlias = Callable[[str, str, float], object]


class Timing:
    """Calls phases of plugins and tells how long they took, however they end."""

    def __init__(self, take: Taker) -> None:
        self._take = take

    @classmethod
    def asked_by(cls, entries: Iterable[Entry]) -> Timing | None:
        """Return what the first of these entries asks for, None if none does."""
        takers = (getattr(entry.plugin, "takes_times", None) for entry in entries if entry.enabled)
        return next((cls(take) for take in takers if take is not None), None)

    def __call__(
        self, plugin: Any, phase: str, method: Callable[P, T], *arguments: P.args, **options: P.kwargs
    ) -> T:
        """Call a phase of a plugin."""
        begun = time.perf_counter()
        try:
            return method(*arguments, **options)
        finally:
            self._take(plugin.name, phase, time.perf_counter() - begun)

    def method(self, plugin: Any, phase: str) -> Callable[..., Any]:
        """Return a phase of a plugin so that its calls are timed."""
        return partial(self, plugin, phase, getattr(plugin, phase))

    def body_filter(self, plugin: Any) -> TimedFilter:
        """Return a plugin as a body filter whose calls are timed."""
        return TimedFilter(self, plugin)


class TimedFilter:
    """A body filter whose calls are timed; ``plugin`` is the plugin itself."""

    def __init__(self, timing: Timing, plugin: Any) -> None:
        self.plugin = plugin
        self._timing = timing

    @property
    def keeps_length(self) -> bool:
        return bool(self.plugin.keeps_length)

    def body_filter(self, x: RespondingExchange, chunk: bytes, eof: bool, /) -> bytes:
        out: bytes = self._timing(self.plugin, phases.BODY_FILTER, self.plugin.body_filter, x, chunk, eof)
        return out


def plugin_of(member: object) -> object:
    """Return the plugin behind a body filter that may be timed."""
    return member.plugin if isinstance(member, TimedFilter) else member
