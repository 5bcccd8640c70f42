"""Entries and the one order in which their plugins run, on the way in and on the way out.

The rules are Kong's (``kong/runloop/plugins_iterator.lua``): the highest priority first in every phase,
equal priorities by name descending, one configuration per plugin name and request, the most specific
winning. ``before``, ``after`` and named instances are plugmw's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal

import attrs

from plugmw.errors import OrderError

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange
    from plugmw.kernel.plugin import Plugin


@attrs.define(eq=False)
class Entry:
    """One configured plugin: which one, where it applies, and how it stands to the others."""

    plugin: Plugin
    #: Where it was configured, for messages: ``gateway.yaml: plugins[2]``.
    where: str = ""
    #: Names of the route, service and consumer it is limited to; None means any.
    route: str | None = None
    service: str | None = None
    consumer: str | None = None
    #: Overrides the plugin class's own priority.
    priority: float | None = None
    #: Names of plugins (or instances) that must run after, or before, this one.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    #: A name of its own lets one plugin run several times on a request.
    instance: str | None = None
    enabled: bool = True
    #: A failure of the plugin: ``closed`` answers 500, ``open`` goes on without it.
    on_error: Literal["closed", "open"] = "closed"
    #: Asked once per request, at the entry's first phase; False skips the entry.
    when: Callable[[Exchange], bool] | None = None
    #: Where it stands in the document, as keys and indexes.
    path: tuple[str | int, ...] = ()

    @property
    def name(self) -> str:
        return self.instance or str(self.plugin.name)

    @property
    def rank(self) -> float:
        return float(self.plugin.priority if self.priority is None else self.priority)

    @property
    def scope(self) -> tuple[str | None, str | None, str | None]:
        return self.route, self.service, self.consumer

    @property
    def is_global(self) -> bool:
        """Whether it applies to every route, service and consumer."""
        return self.scope == (None, None, None)


#: How many variants of a slot have a phase.
Share = Literal["all", "some", "none"]

#: How specific an entry is, by (route, service, consumer) given; the lowest wins.
SPECIFICITY: Final = {
    (True, True, True): 0,
    (True, False, True): 1,
    (False, True, True): 2,
    (True, True, False): 3,
    (False, False, True): 4,
    (True, False, False): 5,
    (False, True, False): 6,
    (False, False, False): 7,
}


def specificity(entry: Entry) -> int:
    """Return 0 (route, service and consumer given) to 7 (global)."""
    return SPECIFICITY[entry.route is not None, entry.service is not None, entry.consumer is not None]


@attrs.define(eq=False)
class Slot:
    """One plugin name in a chain: the entries that may fill it, the most specific first."""

    name: str
    entries: list[Entry]

    @property
    def plugin(self) -> Plugin:
        return self.entries[0].plugin

    def has(self, phase: str) -> bool:
        """Say whether any of the variants has a phase."""
        return self.share(phase) != "none"

    def share(self, phase: str) -> Share:
        """Say how many of the variants have a phase."""
        count = sum(hasattr(entry.plugin, phase) for entry in self.entries)
        return "none" if not count else "all" if count == len(self.entries) else "some"

    @property
    def direct(self) -> bool:
        """Whether the choice is made when the chain is compiled."""
        return len(self.entries) == 1 and self.entries[0].consumer is None and self.entries[0].when is None


def slots(entries: Iterable[Entry], route: str | None = None, service: str | None = None) -> list[Slot]:
    """Return the slots of a route's chain, in running order; without a route, of unrouted requests."""
    variants_of: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.enabled and entry.route in (None, route) and entry.service in (None, service):
            variants_of.setdefault(entry.name, []).append(entry)
    line = []
    for name, variants in variants_of.items():
        variants.sort(key=specificity)
        line.append(Slot(name, _reachable(variants)))
    return arrange(line)


def _reachable(variants: list[Entry]) -> list[Entry]:
    """Cut what stands behind an entry that always applies."""
    reachable = []
    for entry in variants:
        reachable.append(entry)
        if entry.consumer is None and entry.when is None:
            break
    return reachable


def arrange(slots: Sequence[Slot]) -> list[Slot]:
    """Sort by priority, then move what has ``before``/``after`` next to its neighbours.

    Names that are not in this chain are ignored here (the gateway refuses names that are nowhere).
    Raises :class:`OrderError` when the constraints form a cycle.
    """
    line = sorted(slots, key=lambda slot: slot.name, reverse=True)
    # Kong leaves the order of two plugins at priority 0 open; name descending keeps it the same everywhere.
    line.sort(key=lambda slot: slot.entries[0].rank, reverse=True)
    follows: dict[str, set[str]] = {slot.name: set() for slot in line}
    for slot in line:
        for entry in slot.entries:
            for name in entry.after:
                follows[slot.name].update(_called(name, slot, line))
            for name in entry.before:
                for other in _called(name, slot, line):
                    follows[other].add(slot.name)
    if not any(follows.values()):
        return line
    _refuse_cycle(follows)
    return _settle(line, follows)


def _called(name: str, by: Slot, line: Sequence[Slot]) -> Iterable[str]:
    """Return the slots that ``name`` means to another: an instance, or every instance of a plugin."""
    if any(slot.name == name for slot in line):
        return [name]
    return [slot.name for slot in line if slot is not by and slot.plugin.name == name]


def _refuse_cycle(follows: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            raise OrderError([*trail[trail.index(name) :], name])
        if name not in done:
            for other in sorted(follows[name]):
                visit(other, [*trail, name])
            done.add(name)

    for name in follows:
        visit(name, [])


def _settle(line: list[Slot], follows: dict[str, set[str]]) -> list[Slot]:
    """Move each constrained slot the shortest way that satisfies it; the graph has no cycle.

    Kahn's algorithm by priority alone gives another order in one of four random cases: what waits for a slot
    of low priority is overtaken by all that is between, where here it stands next to it.
    """
    names = [slot.name for slot in line]
    moved = [slot.name for slot in line if any(entry.before or entry.after for entry in slot.entries)]
    for _ in range(len(names) + 1):  # pragma: no branch (a bound in case two of them push each other)
        settled = True
        for name in moved:
            place = names.index(name)
            earliest = max((names.index(other) for other in follows[name]), default=-1)
            latest = min((names.index(o) for o in names if name in follows[o]), default=len(names))
            if earliest > place:
                names.insert(earliest, names.pop(place))
                settled = False
            elif latest < place:
                names.insert(latest, names.pop(place))
                settled = False
        if settled:
            break
    # The moves above keep neighbours together; this pass makes every constraint hold for certain.
    by_name = {slot.name: slot for slot in line}
    done: list[str] = []
    while names:
        name = next(n for n in names if follows[n] <= set(done))
        names.remove(name)
        done.append(name)
    return [by_name[name] for name in done]
