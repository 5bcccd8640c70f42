"""The endpoints of a ``krakend.json`` and their backends: checked, cleaned, with their defaults.

The rules are Lura's (``config/config.go``). What its router would pass over at run time, a method it does
not have or a path that is there already, is an error here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from plugmw.dialects.krakend.fields import BackendFields, EndpointFields, File
from plugmw.dialects.krakend.model import APP, Backend, Endpoint
from plugmw.dialects.krakend.namespaces import normalised
from plugmw.dialects.krakend.reading import Reading
from plugmw.documents.document import Place, render_place
from plugmw.schema.messages import suggest

#: Seconds (``DefaultTimeout`` of Lura).
TIMEOUT: Final = 2.0
NOOP: Final = "no-op"
_PARAMETER: Final = re.compile(r"\{([^{}]+)\}")
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")
#: What the router keeps for itself (``invalidPattern`` of Lura).
_RESERVED: Final = re.compile(r"/__(debug|echo|health)(/.*)?$")
_HOST: Final = re.compile(r"(https?://)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{2,5})?/?", re.ASCII)


class Definitions:
    """The endpoints of one file."""

    def __init__(self, reading: Reading, file: File, has_app: bool) -> None:
        self.reading = reading
        self.file = file
        self.has_app = has_app
        #: Where each method and path stands that there is.
        self.taken: dict[tuple[str, str], Place] = {}
        self.hosts = list(self._hosts(file.host, ("host",)))

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield the endpoints in the order of the file."""
        for place, item in self.reading.mappings(self.file.endpoints or None, ("endpoints",)):
            yield self._endpoint(item, place)

    def _endpoint(self, item: dict[str, object], place: Place) -> Endpoint:
        fields = self.reading.part(EndpointFields, item, place)
        path = "/" + fields.endpoint.removeprefix("/")
        parameters = self._path(fields.endpoint, path, (*place, "endpoint"))
        self._once(fields.method, path, place)
        self.reading.features(fields.extra_config, place, "endpoint")
        endpoint = Endpoint(
            endpoint=path,
            method=fields.method,
            output_encoding=_json(fields.output_encoding or self.file.output_encoding),
            timeout=fields.timeout or self.file.timeout or TIMEOUT,
            cache_ttl=fields.cache_ttl or self.file.cache_ttl,
            concurrent_calls=fields.concurrent_calls or 1,
            input_headers=[name.lower() for name in fields.input_headers],
            input_query_strings=fields.input_query_strings,
            extra_config=normalised(fields.extra_config),
            place=place,
        )
        for where, backend in self.reading.mappings(fields.backend or None, (*place, "backend")):
            endpoint.backend.append(self._backend(backend, where, endpoint, parameters))
        self._number(endpoint, bool(fields.backend))
        return endpoint

    def _path(self, written: str, path: str, place: Place) -> set[str]:
        """Check an endpoint's path; return the names of its parameters."""
        *segments, last = path.split("/")[1:]
        if not written:
            self.reading.error(place, "missing", "a path such as /users/{id}")
        elif "*" in "".join(segments) or ("*" in last and last != "*"):
            self.reading.error(place, f"got {written!r}", "a * only as the last segment")
        elif _RESERVED.search(path):
            self.reading.error(place, f"got {written!r}", "a path other than /__debug, /__echo and /__health")
        names = set()
        for segment in (*segments, last):
            parameter = _PARAMETER.fullmatch(segment)
            if parameter and _NAME.fullmatch(parameter[1]):
                names.add(parameter[1])
            elif "{" in segment:
                self.reading.error(place, f"got {segment!r}", "parameters that are whole segments, like {id}")
        return names

    def _once(self, method: str, path: str, place: Place) -> None:
        """Refuse a second endpoint for a method and path; names of parameters make no difference."""
        first = self.taken.setdefault((method, _PARAMETER.sub("{}", path)), place)
        if first != place:
            self.reading.error((*place, "endpoint"), f"{method} {path} is {render_place(first)} already")

    def _number(self, endpoint: Endpoint, has_backends: bool) -> None:
        """Check how many backends there are."""
        number = len(endpoint.backend)
        if not has_backends:
            self.reading.error((*endpoint.place, "backend"), "has 0 backends defined", "at least one")
        if endpoint.output_encoding == NOOP and number > 1:
            problem = f"can not use no-op with {number} backends"
            place: Place = (*endpoint.place, "output_encoding")
            self.reading.error(place, problem, "one backend, or another encoding")

    # -- backends ---------------------------------------------------------------------------------

    def _backend(
        self, item: dict[str, object], place: Place, endpoint: Endpoint, parameters: set[str]
    ) -> Backend:
        fields = self.reading.part(BackendFields, item, place)
        pattern = "/" + fields.url_pattern.removeprefix("/")
        self._parameters(pattern, parameters, (*place, "url_pattern"))
        self.reading.features(fields.extra_config, place, "backend")
        if fields.sd != "static":
            self.reading.error(
                (*place, "sd"), f"got {fields.sd!r}: nothing is discovered here", "static hosts"
            )
        own = list(self._hosts(fields.host, (*place, "host"), fields.disable_host_sanitize))
        if not (item.get("host") or self.reading.document.data.get("host")):
            wanted = f'hosts here or at the root; "{APP}" is the wrapped app'
            self.reading.error((*place, "host"), "missing", wanted)
        return Backend(
            url_pattern=pattern,
            host=own or self.hosts,
            method=fields.method or endpoint.method,
            encoding=NOOP if endpoint.output_encoding == NOOP else _json(fields.encoding),
            allow=fields.allow,
            deny=fields.deny,
            mapping=fields.mapping,
            group=fields.group,
            target=fields.target,
            is_collection=fields.is_collection,
            input_headers=[name.lower() for name in fields.input_headers],
            input_query_strings=fields.input_query_strings,
            extra_config=normalised(fields.extra_config),
            place=place,
        )

    def _parameters(self, pattern: str, known: set[str], place: Place) -> None:
        for name in sorted(set(_PARAMETER.findall(pattern)) - known):
            wanted = f"one of {', '.join(sorted(known))}" if known else "no parameters: the endpoint has none"
            if "." in name or name.startswith("resp"):  # claims of a token, replies of backends before
                wanted = "a parameter of the endpoint; others have no counterpart"
            self.reading.error(place, f"undefined output param '{name}'{suggest(name, known)}", wanted)

    def _hosts(self, items: list[str], place: Place, as_it_is: bool = False) -> Iterator[str]:
        """Yield hosts with a scheme and without a slash at the end."""
        for index, item in enumerate(items):
            if item == APP and self.has_app:
                yield item
            elif as_it_is and re.match(r"https?://[^/]", item):
                yield item.removesuffix("/")
            elif _HOST.fullmatch(item):
                yield (item if "://" in item else f"http://{item}").removesuffix("/")
            elif item == APP:
                self.reading.error((*place, index), f"got {item!r}, but there is no app", "a host")
            else:
                wanted = f'a host such as "http://users:8080", without a path, or "{APP}"'
                self.reading.error((*place, index), f"invalid host {item!r}", wanted)


def _json(encoding: str) -> str:
    """Return an encoding; ``fast-json`` is json, only faster."""
    return "json" if encoding == "fast-json" else encoding
