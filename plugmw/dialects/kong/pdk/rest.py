"""The smaller parts of the PDK: ctx, router, node, ip, table, plugin, vault, nginx, tracing, cluster."""

from __future__ import annotations

import os
import re
import resource
import socket
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from plugmw.dialects.kong.pdk.phase import KNOWN, REQUEST, phases, unsupported
from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import stable_id
from plugmw.kernel.plugin import Plugin
from plugmw.wsgi.proxies import parse_address

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_VAULT = re.compile(r"\{vault://([a-z0-9][a-z0-9-]*)/([^}?]+)(?:\?[^}]*)?\}")


class Ctx:
    """``kong.ctx``: dicts that live as long as the request; None outside one."""

    @property
    def shared(self) -> dict[Any, Any] | None:
        """One dict for all plugins of the request."""
        x = context.exchange()
        return None if x is None else x.ctx

    @property
    def plugin(self) -> dict[Any, Any] | None:
        """One dict per plugin name and request, from rewrite to log."""
        x = context.exchange()
        if x is None:
            return None
        private: dict[Any, Any] = x.state(Ctx).setdefault(context.plugin().name, {})
        return private


class Router:
    """``kong.router``. Phases: access, response, header_filter, body_filter, log."""

    @phases(*KNOWN)
    def get_route(self, x: Exchange) -> dict[str, Any] | None:
        """Return the matched route as a table, None for unrouted requests."""
        table: dict[str, Any] | None = x.route.described() if x.route is not None else None
        return table

    @phases(*KNOWN)
    def get_service(self, x: Exchange) -> dict[str, Any] | None:
        """Return the matched route's service as a table, or None."""
        return dict(x.service_facts) if x.service_facts else None


class Node:
    """``kong.node``."""

    def get_id(self) -> str:
        """Return a UUID of this host, the same in every worker."""
        return stable_id("node", socket.gethostname())

    def get_hostname(self) -> str:
        """Return the host's name."""
        return socket.gethostname()

    def get_memory_stats(self, unit: str = "b", scale: int = 2) -> dict[str, object]:
        """Return the peak memory of this worker in ``unit`` (b, k, m, g).

        There are no shared dicts; the two that Kong always has are in the answer, empty, because plugins of
        go-pdk end their server without them.
        """
        factors = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
        if unit.lower() not in factors:
            raise ValueError(f"invalid unit '{unit}' (expected 'b/B', 'k/K', 'm/M', or 'g/G')")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / factors[unit.lower()]
        return {
            "lua_shared_dicts": {
                name: {"allocated_slabs": 0, "capacity": 0} for name in ("kong", "kong_db_cache")
            },
            "workers_lua_vms": [{"pid": os.getpid(), "http_allocated_gc": round(peak, scale)}],
        }


class IP:
    """``kong.ip``."""

    @phases(*REQUEST)
    def is_trusted(self, x: Exchange, address: str) -> bool:
        """Say whether an address is in the ``trusted`` setting."""
        parsed = parse_address(address)
        return parsed is not None and x.runtime.trusted.includes(parsed)


class Table:
    """``kong.table``."""

    def new(self, narr: int = 0, nrec: int = 0) -> dict[Any, Any]:
        """Return an empty dict; the sizes are Lua's concern."""
        return {}

    def clear(self, table: dict[K, V] | list[V]) -> None:
        """Empty a dict or list."""
        table.clear()

    def merge(self, *tables: Mapping[K, V] | None) -> dict[K, V]:
        """Return one dict of several, later ones winning."""
        merged: dict[K, V] = {}
        for table in tables:
            merged.update(table or {})
        return merged


class PluginInfo:
    """``kong.plugin``."""

    def get_id(self) -> str | None:
        """Return a UUID of the entry in force, the same in every worker; None outside of plugins."""
        owner = context.plugin()
        if not isinstance(owner, Plugin):
            return None
        return stable_id("plugin", owner.name, *(part or "" for part in owner.scope))


class Vault:
    """``kong.vault``: references like ``{vault://env/NAME}``; only the env vault is built in."""

    def is_reference(self, text: object) -> bool:
        """Say whether ``text`` is a vault reference."""
        return isinstance(text, str) and _VAULT.fullmatch(text) is not None

    def parse_reference(self, text: str) -> tuple[dict[str, str | None] | None, str | None]:
        """Return ({"name", "resource", "key"}, None) or (None, error)."""
        match = _VAULT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            return None, "not a reference"
        resource_name, _, key = match[2].partition("/")
        return {"name": match[1], "resource": resource_name, "key": key or None}, None

    def get(self, text: str) -> tuple[str | None, str | None]:
        """Return (value, None) or (None, error)."""
        parsed, error = self.parse_reference(text)
        if parsed is None:
            return None, error
        if parsed["name"] != "env":
            return None, f"vault {parsed['name']} is not known; only env is built in"
        name = str(parsed["resource"]).upper().replace("-", "_")
        value = os.environ.get(name)
        return (value, None) if value is not None else (None, f"{name} is not set")

    def try_(self, callback: Callable[..., T], options: object = None) -> T:
        """Call ``callback``; secrets are read anew at each look-up, so one try is enough."""
        return callback(options)

    def update(self, options: dict[str, Any]) -> dict[str, Any]:
        """Resolve ``$refs`` of a configuration."""
        for name, reference in (options.get("$refs") or {}).items():
            value, error = self.get(reference)
            if error is None:
                options[name] = value
        return options

    def flush(self) -> None:
        """Keep nothing, so there is nothing to flush."""

    def warmup(self, options: object) -> None:
        """Keep nothing, so there is nothing to warm up."""


class Nginx:
    """``kong.nginx``."""

    get_statistics = unsupported(
        "kong.nginx.get_statistics", "the server is gunicorn; see its statsd setting"
    )

    def get_subsystem(self) -> str:
        """Return ``http``."""
        return "http"


class Tracing:
    """``kong.tracing``: spans for tracing plugins; here no spans are recorded."""

    start_span = unsupported("kong.tracing.start_span", "spans are made by the zipkin plugin")
    active_span = unsupported("kong.tracing.active_span", "spans are made by the zipkin plugin")
    set_active_span = unsupported("kong.tracing.set_active_span", "spans are made by the zipkin plugin")
    process_span = unsupported("kong.tracing.process_span", "spans are made by the zipkin plugin")
    set_should_sample = unsupported("kong.tracing.set_should_sample", "the zipkin plugin decides")


class Telemetry:
    """``kong.telemetry``."""

    def log(self, *arguments: object) -> tuple[None, str]:
        """Return (None, error), as Kong does without OpenTelemetry logs."""
        return None, "Telemetry logging is disabled"


class Cluster:
    """``kong.cluster``."""

    def get_id(self) -> tuple[None, str]:
        """Return (None, error): there is no cluster; Redis is the distributed part."""
        return None, "not a cluster"
