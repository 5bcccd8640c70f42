"""The fields of a ``krakend.json``: the file itself, its endpoints, their backends, and two namespaces.

Names, types and defaults are KrakenD's (``config/config.go`` of Lura). What is not here is not read, and told
(:mod:`~plugmw.dialects.krakend.linting`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from plugmw.dialects.krakend.namespaces import LONG, ROUTER
from plugmw.documents.shapes import Holds
from plugmw.schema import Kind, at_least, config, field
from plugmw.schema.messages import suggest

ENDPOINT_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
METHODS: Final = (*ENDPOINT_METHODS, "HEAD", "OPTIONS")
OUTPUTS: Final = ("json", "fast-json", "json-collection", "string", "no-op", "negotiate", "xml", "yaml")
ENCODINGS: Final = ("json", "safejson", "fast-json", "xml", "rss", "string", "no-op", "yaml")

_UNITS: Final = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|μs|ns|h|m|s)", re.ASCII)
_PARTS: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII).fullmatch
#: Seconds; Go counts nanoseconds in 64 bits.
_LONGEST: Final = 2**63 / 1e9


def seconds(text: object) -> float:
    """Read a duration as Go writes it (``1h30m``, ``300ms``, ``0``); ValueError for anything else."""
    if not isinstance(text, str):
        raise ValueError
    # As a whole first: of many digits without a unit, each might begin a part.
    if text != "0" and not _PARTS(text):
        raise ValueError
    duration = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if duration >= _LONGEST:
        raise ValueError
    return duration


def _word(words: tuple[str, ...], fold: Callable[[str], str] = str) -> Kind:
    """Make the kind of a field that takes one of some words; a misspelt one gets a suggestion."""

    def parse(text: object) -> str:
        word = fold(text) if isinstance(text, str) else text
        if word not in words:
            raise ValueError(f"one of {', '.join(words)}{suggest(word, words)}")
        return str(word)

    return Kind(parse, f"one of {', '.join(words)}", {"type": "string", "enum": list(words)})


Duration = Annotated[float, Kind(seconds, 'a duration like "2s", "300ms" or "1h30m"', {"type": "string"})]
Method = Annotated[str, _word(METHODS, str.upper)]
EndpointMethod = Annotated[str, _word(ENDPOINT_METHODS, str.upper)]
Output = Annotated[str, _word(OUTPUTS)]
Encoding = Annotated[str, _word(ENCODINGS, str.lower)]


@config
class BackendHttpFields:
    """The namespace ``backend/http``."""

    return_error_details: str = field("", empty=True, help="The name under which errors are shown.")
    return_error_code: bool = field(False, help="Whether the status of an error is the endpoint's.")


@config
class Plugins:
    """``plugin``."""

    folder: str = field("", empty=True, help="The folder of plugin files.")
    pattern: str = field("", empty=True, help="Which files of the folder: a text in their names.")


@config
class BackendFields:
    """One of an endpoint's ``backend``."""

    url_pattern: str = field("", empty=True, help="The path at the backend.")
    host: list[str] = field([], help="Where it is.")
    method: Method | None = field(None, help="The method; the endpoint's by default.")
    encoding: Encoding = field("json", help="How the backend writes its replies.")
    allow: list[str] = field([], help="What is kept of a reply.")
    deny: list[str] = field([], help="What is not kept of a reply.")
    mapping: dict[str, str] = field({}, help="New names.")
    group: str = field("", empty=True, help="Under which name the reply is put.")
    target: str = field("", empty=True, help="Which part of the reply is taken.")
    is_collection: bool = field(False, help="Whether the reply is a list.")
    input_headers: list[str] = field([], help="Which of the endpoint's headers.")
    input_query_strings: list[str] = field([], help="Which of the endpoint's queries.")
    disable_host_sanitize: bool = field(False, help="Whether hosts are taken as they are.")
    sd: str = field("static", help="How hosts are found.")
    extra_config: dict[str, object] = field({}, help="Namespaces of the backend.")


@config
class EndpointFields:
    """One of ``endpoints``; its ``backend`` are read one by one."""

    endpoint: str = field("", empty=True, help="The path, with {parameters}.")
    method: EndpointMethod = field("GET", help="The method.")
    output_encoding: Output | None = field(None, help="How replies are written.")
    timeout: Duration = field(0.0, help="For the whole of it.")
    cache_ttl: Duration = field(0.0, help="Told in Cache-Control.")
    concurrent_calls: int = field(1, at_least(0), help="How many times each backend is asked at once.")
    input_headers: list[str] = field([], help="Headers that go to the backends.")
    input_query_strings: list[str] = field([], help="Queries that go to the backends.")
    extra_config: dict[str, object] = field({}, help="Namespaces of the endpoint.")
    backend: Annotated[object, Holds(list[BackendFields])] = field(None, help="The backends.")


@config
class RouterFields:
    """The namespace ``router``."""

    return_error_msg: bool = field(False, help="Whether texts of errors are sent.")
    disable_health: bool = field(False, help="Whether there is no health endpoint.")
    health_path: str = field("/__health", help="Where it is.")
    disable_redirect_trailing_slash: bool = field(False, help="Whether /x/ is not redirected to /x.")
    disable_redirect_fixed_path: bool = field(False, help="Whether /X is not redirected to /x.")
    disable_handle_method_not_allowed: bool = field(False, help="Whether there is 404 instead of 405.")
    auto_options: bool = field(False, help="Whether OPTIONS is answered.")
    error_body: dict[str, object] = field({}, help="Bodies of 404 and 405.")
    hide_version_header: bool = field(False, help="Whether X-Krakend tells no version.")
    max_payload: int = field(0, at_least(0), help="Bytes of a request's body; 0: no limit.")
    trusted_proxies: list[str] = field([], help="Whose X-Forwarded-For is believed.")


#: Namespaces whose fields are read in any case; their own names are exact.
NAMESPACES: Final = dict.fromkeys((ROUTER, *LONG[ROUTER]), RouterFields)


@config
class File:
    """The root; ``endpoints`` are read one by one."""

    version: object = field(0, help="3.")
    name: str = field("", empty=True, help="What the gateway is called.")
    host: list[str] = field([], help="Hosts of backends that have none of their own.")
    timeout: Duration = field(0.0, help="For endpoints that have none of their own.")
    cache_ttl: Duration = field(0.0, help="For endpoints that have none of their own.")
    output_encoding: Output = field("json", help="For endpoints that have none of their own.")
    plugin: Annotated[dict[str, object] | None, Holds(Plugins)] = field(
        None, help="Folder and pattern of the plugins."
    )
    extra_config: Annotated[dict[str, object], Holds(NAMESPACES)] = field(
        {}, help="Namespaces of the whole service."
    )
    debug_endpoint: bool = field(False, help="Whether /__debug answers.")
    echo_endpoint: bool = field(False, help="Whether /__echo answers.")
    allow_insecure_connections: bool = field(False, help="Whether certificates are not verified.")
    async_agent: object = field(None, help="Consumers of queues.")
    tls: dict[str, object] | None = field(None, help="TLS of the server.")
    client_tls: dict[str, object] | None = field(None, help="TLS towards backends.")
    port: int = field(8080, at_least(1), help="The port of the server.")
    endpoints: Annotated[object, Holds(list[EndpointFields])] = field(None, help="The endpoints.")


@config
class Switches:
    """The namespace ``plugmw``."""

    strict: bool | None = field(None, help="Whether what KrakenD only logs is an error; unless `compat`.")
    compat: bool = field(False, help="Whether KrakenD's behaviour is kept where plugmw's differs.")
