"""Checks across entries, routes and services: names that must exist, scopes, orders, guards that are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from plugmw.auth.consumers import CREDENTIALS
from plugmw.configuration.problems import Problems
from plugmw.errors import OrderError
from plugmw.kernel.identity import MemoryDirectory
from plugmw.kernel.order import Entry, slots
from plugmw.routing.router import Route, never_taken
from plugmw.schema.messages import Path, suggest


def check_references(
    entries: Sequence[Entry],
    routes: Sequence[Route],
    known_services: Iterable[str],
    consumers: MemoryDirectory | None,
    problems: Problems,
) -> None:
    """Refuse entries that name what does not exist; ``consumers`` is the list, if there is only the list."""
    routed = [route.name for route in routes]
    services = sorted({name for name in (*known_services, *(route.service for route in routes)) if name})
    known = {entry.name for entry in entries} | {entry.plugin.name for entry in entries}
    for entry in entries:
        path = entry.path
        if entry.route is not None and entry.route not in routed:
            problems.error((*path, "route"), f'no route "{entry.route}"{suggest(entry.route, routed)}')
        if entry.service is not None and entry.service not in services:
            hint = suggest(entry.service, services)
            problems.error((*path, "service"), f'no service "{entry.service}"{hint}')
        if entry.consumer is not None:
            if entry.plugin.no_consumer:
                problems.error((*path, "consumer"), f"{entry.plugin.name} cannot be limited to a consumer")
            elif consumers is not None and consumers.consumer(entry.consumer) is None:
                problems.error((*path, "consumer"), f'no consumer "{entry.consumer}"', "one of consumers")
        for side in ("before", "after"):
            for name in getattr(entry, side):
                if name not in known:
                    problems.error((*path, side), f'no entry "{name}"{suggest(name, known)}')
        if hasattr(entry.plugin, "rewrite") and not entry.is_global:
            problems.warn(path, "runs in rewrite, before routing: in that phase a scoped entry is not called")


def check_scopes(entries: Iterable[Entry], problems: Problems) -> None:
    """Refuse two entries of one name for the same scope."""
    seen: dict[tuple[str | None, ...], Path] = {}
    for entry in entries:
        if not entry.enabled or entry.when is not None:
            continue
        first = seen.setdefault((entry.name, *entry.scope), entry.path)
        if first != entry.path:
            problem = f"{entry.name} is configured for the same scope at {problems.where(first)}"
            problems.error(entry.path, problem, "another scope, or an `instance` name of its own")


def check_orders(entries: Sequence[Entry], routes: Sequence[Route], problems: Problems) -> None:
    """Arrange every chain that there will be; report a cycle once."""
    reported: set[str] = set()
    for route in (None, *routes):
        try:
            slots(entries, *((route.name, route.service) if route else (None, None)))
        except OrderError as error:
            if str(error) not in reported:
                reported.add(str(error))
                problems.error(("plugins",), str(error))


#: The plugins that know only whom a consumer's credentials of their name open.
_KINDS: Final = frozenset(kind for kind, *_ in CREDENTIALS.values())


def check_guards(
    entries: Sequence[Entry], routes: Sequence[Route], consumers: MemoryDirectory | None, problems: Problems
) -> None:
    """Warn of what can never guard as it is meant; ``consumers`` is the list, if there is only the list."""
    for place, path, other in never_taken(routes):
        where: Path = ("routes", place) if path is None else ("routes", place, "paths", path)
        problems.warn(where, f"takes no request: {other.name} has the same conditions and comes first")
    # Once for all: it arranges every chain there will be.
    has_acl = any(entry.enabled and entry.plugin.name == "acl" for entry in entries)
    asked = _asked_of_somebody(entries, routes) if has_acl else set()
    for entry in entries:
        if not entry.enabled:
            continue
        anonymous = getattr(entry.plugin.config, "anonymous", None) if entry.plugin.authenticates else None
        if consumers is not None:
            _check_consumers(entry, anonymous, consumers, problems)
        if entry.plugin.name == "acl" and id(entry) not in asked:
            problem = (
                "no entry that authenticates runs before it, so it knows nobody, unless code names groups"
            )
            problems.warn(entry.path, problem)


def _check_consumers(
    entry: Entry, anonymous: str | None, consumers: MemoryDirectory, problems: Problems
) -> None:
    """Warn of an entry that nobody listed can pass, or that takes strangers for somebody who is not."""
    name = entry.plugin.name
    if anonymous:
        consumer = consumers.consumer(anonymous)
        if consumer is None or anonymous not in (consumer.id, consumer.username):
            where = (*entry.path, "config", "anonymous")
            problems.warn(
                where, f'no consumer "{anonymous}", so requests without credentials are answered 500'
            )
    elif name in _KINDS and not consumers.credentials(name):
        problems.warn(entry.path, f"no consumer has a credential for {name}, so every request is refused")


def _asked_of_somebody(entries: Sequence[Entry], routes: Sequence[Route]) -> set[int]:
    """Return the ids of the entries before which, in a chain of theirs, somebody is authenticated."""
    asked: set[int] = set()
    for route in (None, *routes):
        known = False
        for slot in slots(entries, *((route.name, route.service) if route else (None, None))):
            if known:
                asked.update(map(id, slot.entries))
            known = known or any(one.plugin.authenticates for one in slot.entries)
    return asked
