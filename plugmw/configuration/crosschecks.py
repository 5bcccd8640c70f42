"""Checks across entries, routes and services: names that must exist, scopes, the order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plugmw.configuration.problems import Problems
from plugmw.errors import OrderError
from plugmw.kernel.identity import MemoryDirectory
from plugmw.kernel.order import Entry, slots
from plugmw.routing.router import Route
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
