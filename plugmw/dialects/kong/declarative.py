"""``kong.yml`` as a gateway document: services, routes, consumers, credentials and plugins.

Formats 1.1 to 3.0. Plugins may be nested under what they belong to or refer to it by name or id. What
has no counterpart under WSGI is reported with its place in the file: an error where leaving it out would
change who may pass or where a request goes, a warning otherwise; nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.documents.translated import Translated
from plugmw.errors import ConfigError

VERSIONS: Final = ("1.1", "2.1", "3.0")
#: Lists that consumers hold, or that stand at the top level with a ``consumer``.
CREDENTIALS: Final = (
    *("acls", "keyauth_credentials", "basicauth_credentials", "jwt_secrets", "hmacauth_credentials"),
    *("oauth2_credentials",),
)
_TOP: Final = {"services", "routes", "consumers", "plugins", "upstreams", "targets", *CREDENTIALS}
#: Left out with a warning, because nothing depends on it here.
_QUIET: Final = {
    "_transform": "credentials are always read as they are written",
    "_comment": "",
    "_info": "",
    "_ignore": "",
    "_workspace": "there are no workspaces",
    "vaults": "secrets come from ${NAME} or {env://NAME}",
    "certificates": "certificates are set in the gateway's own `certificates` or in gunicorn",
    "ca_certificates": "use the service's ca_file",
    "snis": "certificates are set in gunicorn",
}
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9.\-_~/%]*").fullmatch
_NAMED_GROUP: Final = re.compile(r"\(\?<(?=[A-Za-z_])")
#: Route fields with a counterpart in a native route, under the same name.
_ROUTE: Final = (
    *("hosts", "methods", "headers", "regex_priority", "strip_path", "preserve_host", "protocols"),
    *("https_redirect_status_code", "tags", "id"),
)
#: Plugin fields that are the entry's own, under our name.
_PLUGIN: Final = {"config": "config", "enabled": "enabled", "tags": "tags", "instance_name": "instance"}


def is_kong(data: Any) -> bool:
    """Say whether a document is a Kong declarative file."""
    return isinstance(data, Mapping) and "_format_version" in data


def translate(document: Document) -> Translated:
    """Return the gateway document for a Kong file, with what was wrong in ``errors`` and ``warnings``."""
    return _Translation(document).result()


class _Translation:
    """One file on its way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigError] = []
        self.places: dict[Place, Place] = {}
        self.made: dict[str, list[Any]] = {"services": [], "routes": [], "consumers": [], "plugins": []}
        #: kind -> name or id -> native name, for references.
        self.known: dict[str, dict[str, str]] = {"service": {}, "route": {}, "consumer": {}}

    def error(self, place: Place, problem: str, expected: str | None = None) -> None:
        self.errors.append(self.document.error(place, problem, expected))

    def warn(self, place: Place, problem: str) -> None:
        self.warnings.append(self.document.error(place, problem))

    def result(self) -> Translated:
        data = self.document.data
        version = str(data.get("_format_version"))
        if version not in VERSIONS:
            self.error(("_format_version",), f"got {version!r}", f"one of {', '.join(VERSIONS)}")
        self.modern = version == "3.0"
        self._top_level(data)
        for place, item in _items(data.get("services"), ("services",)):
            self._service(place, item)
        for place, item in _items(data.get("routes"), ("routes",)):
            self._route(place, item, None)
        for place, item in _items(data.get("consumers"), ("consumers",)):
            self._consumer(place, item)
        for name in CREDENTIALS:
            for place, item in _items(data.get(name), (name,)):
                self._credential(name, place, item)
        for place, item in _items(data.get("plugins"), ("plugins",)):
            self._plugin(place, item, {})
        self._resolve()
        for name in ("services", "routes", "consumers", "plugins"):
            if not isinstance(data.get(name, []), list):
                self.error((name,), f"got {type(data[name]).__name__}", "a list")
        translated = Translated(self.document, {**self.made, "unrouted": "404"}, self.places)
        translated.errors, translated.warnings = self.errors, self.warnings
        return translated

    def _add(self, kind: str, item: dict[str, Any], place: Place) -> Place:
        """Add an item to the native document; remember where it came from."""
        native: Place = (kind, len(self.made[kind]))
        self.made[kind].append(item)
        self.places[native] = place
        return native

    def _name(self, kind: str, place: Place, item: Mapping[str, Any]) -> str:
        """Return the native name of an item and make it known for references."""
        own = item.get("name") or item.get("username") or item.get("custom_id") or item.get("id")
        name = str(own) if own else str(self.document.error(place, "").path)
        for key in ("name", "id", "username", "custom_id"):
            if item.get(key):
                self.known[kind][str(item[key])] = name
        return name

    # -- services and routes ------------------------------------------------------------------------

    def _service(self, place: Place, item: dict[str, Any]) -> None:
        name = self._name("service", place, item)
        made: dict[str, Any] = {"name": name}
        url = item.get("url")
        if url is None and item.get("host"):
            protocol = item.get("protocol", "http")
            port = item.get("port", 443 if protocol == "https" else 80)
            url = f"{protocol}://{item['host']}:{port}{item.get('path') or ''}"
        if url is not None:
            made["url"] = url
        for key, value in item.items():
            if key in ("connect_timeout", "read_timeout", "write_timeout"):
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    self.error((*place, key), f"got {value!r}", "a number of milliseconds")
                else:
                    made[key] = value / 1000
            elif key == "tls_verify":
                made["verify"] = value
            elif key in ("retries", "tags", "id", "enabled"):
                made[key] = value
            elif key in ("client_certificate", "ca_certificates", "tls_verify_depth"):
                self.warn((*place, key), "is left out: set the service's ca_file natively")
            elif key not in ("name", "url", "protocol", "host", "port", "path", "routes", "plugins"):
                self.error((*place, key), f'unknown field "{key}"', "a field of a Kong service")
        native = self._add("services", made, place)
        verify: Place = (*native, "verify")
        self.places[verify] = (*place, "tls_verify")
        for inner, route in _items(item.get("routes"), (*place, "routes")):
            self._route(inner, route, name)
        for inner, plugin in _items(item.get("plugins"), (*place, "plugins")):
            self._plugin(inner, plugin, {"service": name})

    def _route(self, place: Place, item: dict[str, Any], service: str | None) -> None:
        name = self._name("route", place, item)
        made: dict[str, Any] = {"name": name, "strip_path": True}
        for key, value in item.items():
            if key in _ROUTE:
                made[key] = value
            elif key == "paths":
                made["paths"] = [self._path(path) for path in value] if isinstance(value, list) else value
            elif key == "service":
                made["service"] = value
            elif key in ("snis", "sources", "destinations"):
                self.error((*place, key), "cannot be matched under WSGI", "hosts, paths, methods or headers")
            elif key in ("path_handling", "request_buffering", "response_buffering"):
                if value not in ("v0", True):
                    self.warn((*place, key), "is left out: bodies are streamed, paths joined as v0 does")
            elif key not in ("name", "plugins"):
                self.error((*place, key), f'unknown field "{key}"', "a field of a Kong route")
        if service is not None:
            made["service"] = service
        self._add("routes", made, place)
        for inner, plugin in _items(item.get("plugins"), (*place, "plugins")):
            self._plugin(inner, plugin, {"route": name})

    def _path(self, path: Any) -> Any:
        """Return a path in the native spelling: regular expressions start with ``~``."""
        if not isinstance(path, str):
            return path
        if path.startswith("~"):
            return "~" + _NAMED_GROUP.sub("(?P<", path[1:])
        if not self.modern and not _PLAIN_PATH(path):
            return "~" + _NAMED_GROUP.sub("(?P<", path)
        return path

    # -- consumers and plugins ----------------------------------------------------------------------

    def _consumer(self, place: Place, item: dict[str, Any]) -> None:
        name = self._name("consumer", place, item)
        made = {key: value for key, value in item.items() if key != "plugins"}
        self._add("consumers", made, place)
        for inner, plugin in _items(item.get("plugins"), (*place, "plugins")):
            self._plugin(inner, plugin, {"consumer": name})

    def _credential(self, kind: str, place: Place, item: dict[str, Any]) -> None:
        """Move a credential that stands at the top level to its consumer."""
        wanted = self._reference("consumer", item.get("consumer"), (*place, "consumer"))
        for index, consumer in enumerate(self.made["consumers"]):
            if wanted in (consumer.get("username"), consumer.get("custom_id"), consumer.get("id")):
                kept = consumer.setdefault(kind, [])
                self.places["consumers", index, kind, len(kept)] = place
                kept.append({key: value for key, value in item.items() if key != "consumer"})
                return

    def _plugin(self, place: Place, item: dict[str, Any], owner: dict[str, str]) -> None:
        made: dict[str, Any] = {"name": item.get("name"), **owner}
        if made["name"] is None:
            self.error((*place, "name"), "missing", "the name of a plugin")
            return
        for key, value in item.items():
            if key in _PLUGIN:
                if value is not None:
                    made[_PLUGIN[key]] = value
            elif key in ("service", "route", "consumer"):
                if key in owner:
                    self.error((*place, key), f"given, but the plugin is nested under a {key} already")
                elif value is not None:
                    made[key] = value
            elif key == "ordering":
                made.update(self._ordering(place, value))
            elif key == "protocols":
                if isinstance(value, list) and not {"http", "https"} & set(map(str, value)):
                    self.error((*place, key), f"got {value!r}", "http or https among them")
            elif key == "consumer_group":
                self.error((*place, key), "consumer groups have no counterpart", "a consumer")
            elif key not in ("name", "id", "created_at", "updated_at"):
                self.error((*place, key), f'unknown field "{key}"', "a field of a Kong plugin")
        native = self._add("plugins", made, place)
        instance: Place = (*native, "instance")
        self.places[instance] = (*place, "instance_name")

    def _ordering(self, place: Place, value: Any) -> dict[str, Any]:
        """Take Kong Enterprise's ``ordering: {before: {access: [...]}}``."""
        made = {}
        for side in ("before", "after"):
            inner = value.get(side) if isinstance(value, Mapping) else None
            if isinstance(inner, Mapping) and isinstance(inner.get("access"), list):
                made[side] = inner["access"]
        if not made:
            self.error((*place, "ordering"), f"got {value!r}", "before or after, with a list under access")
        return made

    def _resolve(self) -> None:
        """Turn references by id, name or ``{id: ...}`` into native names."""
        for kind, keys in (("plugins", ("service", "route", "consumer")), ("routes", ("service",))):
            for index, item in enumerate(self.made[kind]):
                place = self.places[kind, index]
                for key in keys:
                    if key in item:
                        item[key] = self._reference(key, item[key], (*place, key))

    def _reference(self, kind: str, value: Any, place: Place) -> Any:
        wanted = value
        if isinstance(value, Mapping):
            wanted = value.get("name") or value.get("username") or value.get("id")
        found = self.known[kind].get(str(wanted))
        if found is None:
            self.error(place, f"no {kind} {wanted!r}", f"the name or id of a {kind} in this file")
        return found

    def _top_level(self, data: Mapping[str, Any]) -> None:
        for key in data:
            if key in _QUIET:
                if _QUIET[key]:
                    self.warn((key,), f"is left out: {_QUIET[key]}")
            elif key in ("upstreams", "targets"):
                self.error((key,), "load balancing has no counterpart", "one host and port in each service")
            elif key != "_format_version" and key not in _TOP:
                self.error((key,), f'unknown field "{key}"', f"one of {', '.join(sorted(_TOP))}")


def _items(value: Any, place: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield (place, item) of a list of mappings; other items are left to the checks of the native shape."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield (*place, index), item
