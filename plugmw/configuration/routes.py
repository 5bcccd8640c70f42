"""The routes and services of a document."""

from __future__ import annotations

from collections.abc import Mapping

from plugmw.configuration.problems import Problems
from plugmw.configuration.settings import RouteConfig, ServiceConfig
from plugmw.routing.router import Route
from plugmw.schema import as_dict, read
from plugmw.schema.messages import suggest
from plugmw.schema.reading import Text
from plugmw.upstream.services import Service


def read_services(configs: list[ServiceConfig], problems: Problems) -> dict[str, Service]:
    """Return the services by name."""
    services: dict[str, Service] = {}
    for index, config in enumerate(configs):
        if config.name in services:
            problems.error(("services", index, "name"), f"got {config.name!r} a second time", "a unique name")
        services[config.name] = Service(**as_dict(config))
    return services


def read_routes(
    items: list[object], services: Mapping[str, Service], text: Text, problems: Problems
) -> list[Route]:
    """Return the good ones of the listed routes."""
    routes: dict[str, Route] = {}
    for index, item in enumerate(items):
        config, wrong = read(RouteConfig, item, ("routes", index), text)
        problems.extend(wrong)
        if config is None:
            continue
        if config.name in routes:
            problems.error(("routes", index, "name"), f"got {config.name!r} a second time", "a unique name")
        if config.service is not None and services and config.service not in services:
            problem = f'no service "{config.service}"{suggest(config.service, services)}'
            problems.error(("routes", index, "service"), problem)
        routes[config.name] = Route(**as_dict(config))
    return list(routes.values())
