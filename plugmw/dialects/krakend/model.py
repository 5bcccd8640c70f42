"""A ``krakend.json`` after it was checked: what the endpoints and their backends are made from.

Defaults are filled in, hosts are cleaned, aliases of namespaces take the place of the long names, and
durations are seconds. :mod:`~plugmw.dialects.krakend.configuration` makes these objects, and
:mod:`~plugmw.dialects.krakend.endpoints` runs them.
"""

from __future__ import annotations

from typing import Final

import attrs

from plugmw import __version__
from plugmw.documents.document import Place

#: The host that stands for the wrapped app: it is asked without a socket.
APP: Final = "app:"
VERSION: Final = f"Version {__version__}"


@attrs.frozen(kw_only=True)
class Backend:
    """One call to a service, and which parts of its response are used."""

    #: Starts with ``/``; ``{id}`` and so on are parameters of the endpoint.
    url_pattern: str
    #: With scheme, without a ``/`` at the end; several: one is picked for each call. Or ``APP``.
    host: list[str] = attrs.field(factory=list)
    method: str = "GET"
    encoding: str = "json"
    allow: list[str] = attrs.field(factory=list)
    deny: list[str] = attrs.field(factory=list)
    mapping: dict[str, str] = attrs.field(factory=dict)
    group: str = ""
    target: str = ""
    is_collection: bool = False
    #: Narrow down what the endpoint lets through; empty: no narrowing.
    input_headers: list[str] = attrs.field(factory=list)
    input_query_strings: list[str] = attrs.field(factory=list)
    extra_config: dict[str, object] = attrs.field(factory=dict)
    #: Where it stands in the file, for messages.
    place: Place = ()


@attrs.frozen(kw_only=True)
class Endpoint:
    """One path and method, and the backends that answer it."""

    #: As in the file, with a leading ``/``: ``/users/{id}``.
    endpoint: str
    method: str = "GET"
    output_encoding: str = "json"
    #: Seconds for the whole of it.
    timeout: float = 2.0
    #: ``max-age`` of Cache-Control in seconds; 0: no header.
    cache_ttl: float = 0.0
    #: How many times each backend is asked at once; the first good reply counts.
    concurrent_calls: int = 1
    #: Lower case, or ``*``.
    input_headers: list[str] = attrs.field(factory=list)
    input_query_strings: list[str] = attrs.field(factory=list)
    backend: list[Backend] = attrs.field(factory=list)
    extra_config: dict[str, object] = attrs.field(factory=dict)
    place: Place = ()


@attrs.frozen(kw_only=True)
class Router:
    """The namespace ``router`` of the file's root, as far as it means anything here."""

    return_error_msg: bool = False
    disable_health: bool = False
    health_path: str = "/__health"
    disable_redirect_trailing_slash: bool = False
    disable_redirect_fixed_path: bool = False
    disable_handle_method_not_allowed: bool = False
    auto_options: bool = False
    #: Bodies for 404 and 405, by status.
    error_body: dict[int, object] = attrs.field(factory=dict)
    max_payload: int = 0
    hide_version_header: bool = False

    @property
    def version(self) -> str:
        """What ``X-Krakend`` says."""
        return "Version undefined" if self.hide_version_header else VERSION


@attrs.frozen(kw_only=True)
class Service:
    """The whole file."""

    name: str = ""
    endpoints: list[Endpoint] = attrs.field(factory=list)
    router: Router = attrs.field(factory=Router)
    debug_endpoint: bool = False
    echo_endpoint: bool = False
    #: The plugins' folder, None if the file has no ``plugin``.
    folder: str | None = None
    pattern: str = ""
    extra_config: dict[str, object] = attrs.field(factory=dict)
