"""``kong.yml`` as a gateway document: services, routes, consumers, credentials, plugins, certificates.

Formats 1.1 to 3.0. Plugins may be nested under what they belong to or refer to it by name or id. What
has no counterpart under WSGI is reported with its place in the file: an error where leaving it out would
change who may pass or where a request goes, a warning otherwise; nothing is dropped in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from plugmw.documents import Document
from plugmw.documents.document import Origin, Place, places_of
from plugmw.documents.translated import Translated
from plugmw.errors import ConfigError

VERSIONS: Final = ("1.1", "2.1", "3.0")
#: Lists that consumers hold, or that stand at the top level with a ``consumer``.
CREDENTIALS: Final = (
    *("acls", "keyauth_credentials", "basicauth_credentials", "jwt_secrets", "hmacauth_credentials"),
    *("oauth2_credentials",),
)
_TOP: Final = ("services", "routes", "consumers", *CREDENTIALS, "plugins", "certificates", "snis")
#: Left out with a warning, because nothing depends on it here.
_QUIET: Final = {
    "_transform": "credentials are always read as they are written",
    "_workspace": "there are no workspaces",
    "vaults": "only references to the environment, {vault://env/name}, are resolved",
    "ca_certificates": "the CA of a service is its ca_file, in a gateway file",
}
#: What cannot be carried over, and what to do instead.
_FOREIGN: Final = {
    "upstreams": ("load balancing has no counterpart", "a host and port in each service"),
    "targets": ("load balancing has no counterpart", "a host and port in each service"),
    "consumer_groups": ("consumer groups have no counterpart", "consumers, with acls as their groups"),
}
#: Written by Kong itself; nothing depends on them.
_STAMPS: Final = frozenset(("id", "created_at", "updated_at", "ws_id"))
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9.\-_~/%]*").fullmatch
_NAMED_GROUP: Final = re.compile(r"\(\?<(?=[A-Za-z_])")
_VAULT: Final = re.compile(r"\{vault://([^/}]+)/([^}]*)\}").fullmatch
#: Route fields with a counterpart in a native route, under the same name.
_ROUTE: Final = (
    *("hosts", "methods", "headers", "regex_priority", "strip_path", "preserve_host", "protocols"),
    *("https_redirect_status_code", "tags", "id"),
)
#: Kong's own defaults, where ours are others.
_DEFAULTS: Final[dict[str, dict[str, Any]]] = {"correlation-id": {"header_name": "Kong-Request-ID"}}
_PORTS: Final = {"http": 80, "https": 443}


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
        self.made: dict[str, list[Any]] = {
            "services": [],
            "routes": [],
            "consumers": [],
            "plugins": [],
            "certificates": [],
        }
        #: kind -> name or id -> native name, for references; certificates are known by their index.
        self.known: dict[str, dict[str, Any]] = {
            "service": {},
            "route": {},
            "consumer": {},
            "certificate": {},
        }
        self.modern = True

    def error(self, place: Place, problem: str, expected: str | None = None) -> None:
        self.errors.append(self.document.error(place, problem, expected))

    def warn(self, place: Place, problem: str) -> None:
        self.warnings.append(self.document.error(place, problem))

    def result(self) -> Translated:
        self._vaults()
        data = self.document.data
        version = str(data.get("_format_version"))
        if version not in VERSIONS:
            self.error(("_format_version",), f"got {version!r}", f"one of {', '.join(VERSIONS)}")
        self.modern = version not in ("1.1", "2.1")
        self._top_level(data)
        for name in _TOP:
            for place, item in self._items(data, (), name):
                self._take(name, place, item)
        self._resolve()
        made = {**self.made, "unrouted": "404"}
        translated = Translated(self.document, made, self.places)
        translated.errors, translated.warnings = self.errors, self.warnings
        return translated

    def _take(self, name: str, place: Place, item: dict[str, Any]) -> None:
        if name == "services":
            self._service(place, item)
        elif name == "routes":
            self._route(place, item, None)
        elif name == "consumers":
            self._consumer(place, item)
        elif name == "plugins":
            self._plugin(place, item, {})
        elif name == "certificates":
            self._certificate(place, item)
        elif name == "snis":
            self._sni(place, item)
        else:
            self._credential(name, place, item)

    def _items(
        self, holder: Mapping[str, Any], place: Place, name: str
    ) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield (place, item) of a list of mappings; anything else is an error."""
        value = holder.get(name)
        if value is None:
            return
        if not isinstance(value, list):
            self.error((*place, name), f"got {type(value).__name__}", "a list")
            return
        for index, item in enumerate(value):
            if isinstance(item, dict):
                # A null is what is not given.
                yield (*place, name, index), {key: inner for key, inner in item.items() if inner is not None}
            else:
                self.error((*place, name, index), f"got {item!r}", "a mapping")

    def _add(self, kind: str, item: dict[str, Any], place: Place, **moved: Place) -> None:
        """Add an item to the native document; remember where it, and fields with other names, came from."""
        native: Place = (kind, len(self.made[kind]))
        self.made[kind].append(item)
        self.places[native] = place
        for name, origin in moved.items():
            inner: Place = (*native, name)
            self.places[inner] = origin

    def _name(self, kind: str, place: Place, item: Mapping[str, Any]) -> str:
        """Return the native name of an item and make it known for references."""
        own = item.get("name") or item.get("username") or item.get("custom_id") or item.get("id")
        name = str(own) if own else str(self.document.error(place, "").path)
        for key in ("name", "id", "username", "custom_id"):
            if item.get(key):
                self.known[kind][str(item[key])] = name
        return name

    def _unknown(self, kind: str, place: Place, key: str) -> None:
        if key not in _STAMPS:
            self.error((*place, key), f'unknown field "{key}"', f"a field of a Kong {kind}")

    # -- services and routes ------------------------------------------------------------------------

    def _service(self, place: Place, item: dict[str, Any]) -> None:
        name = self._name("service", place, item)
        made: dict[str, Any] = {"name": name}
        moved: dict[str, Place] = {"verify": (*place, "tls_verify")}
        if "url" in item:
            made["url"] = item["url"]
        elif "host" in item:
            made["url"], moved["url"] = self._url(place, item), (*place, "host")
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
                self.warn((*place, key), "is left out: a gateway file has ca_file for services")
            elif key not in ("name", "url", "protocol", "host", "port", "path", "routes", "plugins"):
                self._unknown("service", place, key)
        self._add("services", made, place, **moved)
        for inner, route in self._items(item, place, "routes"):
            self._route(inner, route, name)
        for inner, plugin in self._items(item, place, "plugins"):
            self._plugin(inner, plugin, {"service": name})

    def _url(self, place: Place, item: Mapping[str, Any]) -> str:
        protocol = item.get("protocol", "http")
        if protocol not in _PORTS:
            self.error((*place, "protocol"), f"got {protocol!r}", "http or https")
        port = item.get("port", _PORTS.get(protocol, 80))
        return f"{protocol}://{item['host']}:{port}{item.get('path', '')}"

    def _route(self, place: Place, item: dict[str, Any], service: str | None) -> None:
        name = self._name("route", place, item)
        made: dict[str, Any] = {"name": name, "strip_path": True}
        for key, value in item.items():
            if key in _ROUTE:
                made[key] = value
            elif key == "paths":
                made["paths"] = [self._path(path) for path in value] if isinstance(value, list) else value
            elif key == "service":
                if service is not None:
                    self.error((*place, key), "given, but the route is nested under a service already")
                made["service"] = value
            elif key in ("snis", "sources", "destinations", "expression", "priority"):
                self.error((*place, key), "cannot be matched here", "hosts, paths, methods or headers")
            elif key in ("path_handling", "request_buffering", "response_buffering"):
                if value not in ("v0", True):
                    self.warn((*place, key), "is left out: bodies are streamed, paths joined as v0 does")
            elif key not in ("name", "plugins"):
                self._unknown("route", place, key)
        if service is not None:
            made["service"] = service
        self._add("routes", made, place)
        for inner, plugin in self._items(item, place, "plugins"):
            self._plugin(inner, plugin, {"route": name})

    def _path(self, path: Any) -> Any:
        """Return a path in the native spelling: regular expressions start with ``~``, in Python's syntax."""
        if not isinstance(path, str):
            return path
        if path.startswith("~"):
            return _NAMED_GROUP.sub("(?P<", path)
        if not self.modern and not _PLAIN_PATH(path):
            return "~" + _NAMED_GROUP.sub("(?P<", path)
        return path

    # -- consumers and plugins ----------------------------------------------------------------------

    def _consumer(self, place: Place, item: dict[str, Any]) -> None:
        name = self._name("consumer", place, item)
        made = {key: value for key, value in item.items() if key not in (_STAMPS - {"id"}) | {"plugins"}}
        for kind in CREDENTIALS:
            if kind in made:
                made[kind] = [self._stripped(credential) for _, credential in self._items(item, place, kind)]
        self._add("consumers", made, place)
        for inner, plugin in self._items(item, place, "plugins"):
            self._plugin(inner, plugin, {"consumer": name})

    def _credential(self, kind: str, place: Place, item: dict[str, Any]) -> None:
        """Move a credential that stands at the top level to its consumer."""
        wanted = self._reference("consumer", item.get("consumer"), (*place, "consumer"))
        for index, consumer in enumerate(self.made["consumers"]):
            names = (consumer.get("username"), consumer.get("custom_id"), consumer.get("id"))
            if wanted is not None and wanted in map(str, names):
                kept = consumer.setdefault(kind, [])
                self.places["consumers", index, kind, len(kept)] = place
                kept.append(self._stripped(item))
                return

    @staticmethod
    def _stripped(credential: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in credential.items() if k not in ("consumer", "updated_at", "ws_id")}

    def _plugin(self, place: Place, item: dict[str, Any], owner: dict[str, str]) -> None:
        name = item.get("name")
        if name is None:
            self.error((*place, "name"), "missing", "the name of a plugin")
            return
        made: dict[str, Any] = {"name": name, **owner}
        for key, value in item.items():
            if key == "config":
                made[key] = _without_nulls(value)
            elif key in ("enabled", "tags"):
                made[key] = value
            elif key == "instance_name":
                self._instance(value, (*place, key))
            elif key in ("service", "route", "consumer"):
                if key in owner:
                    self.error((*place, key), f"given, but the plugin is nested under a {key} already")
                made[key] = value
            elif key == "ordering":
                made.update(self._ordering(place, value))
            elif key == "protocols":
                if not isinstance(value, list) or not {"http", "https"} & set(map(str, value)):
                    self.error((*place, key), f"got {value!r}", "http or https among them")
            elif key == "consumer_group":
                self.error((*place, key), *_FOREIGN["consumer_groups"])
            elif key == "condition":
                self.error((*place, key), "is in Kong's own language", "`when`, in a gateway file")
            elif key != "name":
                self._unknown("plugin", place, key)
        config = made.get("config", {})
        if isinstance(name, str) and name in _DEFAULTS and isinstance(config, dict):
            made["config"] = {**_DEFAULTS[name], **config}
        self._add("plugins", made, place)

    def _instance(self, value: Any, place: Place) -> None:
        """Check the label of a plugin: in Kong it is unique, and nothing else depends on it."""
        first = self.known.setdefault("instance", {}).setdefault(str(value), place)
        if first != place:
            where = self.document.error(first, "").path
            self.error(place, f"got {value!r}, which {where} has already", "a unique name")

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

    # -- certificates -------------------------------------------------------------------------------

    def _certificate(self, place: Place, item: dict[str, Any]) -> None:
        made: dict[str, Any] = {"cert": item.get("cert"), "key": item.get("key"), "snis": []}
        index = len(self.made["certificates"])
        if "id" in item:
            self.known["certificate"][str(item["id"])] = index
        for key in item:
            if key in ("cert_alt", "key_alt"):
                self.warn((*place, key), "is left out: one certificate for a name")
            elif key not in ("cert", "key", "snis", "tags", "passphrase"):
                self._unknown("certificate", place, key)
        if "passphrase" in item:
            self.error((*place, "passphrase"), "keys with a passphrase cannot be read", "the key without one")
        self._add("certificates", made, place)
        for inner, sni in self._items(item, place, "snis"):
            self._add_sni(index, inner, sni)

    def _sni(self, place: Place, item: dict[str, Any]) -> None:
        index = self._reference("certificate", item.get("certificate"), (*place, "certificate"))
        if index is not None:
            self._add_sni(index, place, item)

    def _add_sni(self, index: int, place: Place, item: Mapping[str, Any]) -> None:
        names = self.made["certificates"][index]["snis"]
        self.places["certificates", index, "snis", len(names)] = (*place, "name")
        names.append(item.get("name"))

    # -- the whole ----------------------------------------------------------------------------------

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
                self.warn((key,), f"is left out: {_QUIET[key]}")
            elif key in _FOREIGN:
                self.error((key,), *_FOREIGN[key])
            elif key not in _TOP and key not in ("_format_version", "_comment", "_info", "_ignore"):
                self.error((key,), f'unknown field "{key}"', f"one of {', '.join(_TOP)}")

    def _vaults(self) -> None:
        """Put values of the environment for ``{vault://env/name}``; other vaults are errors."""
        for place, text in list(places_of(self.document.data)):
            found = _VAULT(text) if isinstance(text, str) else None
            if found is None:
                continue
            name = found[2].upper().replace("-", "_")
            if found[1] != "env" or "/" in name or "?" in name:
                self.error(place, f"no vault for {text!r}", "{vault://env/name}")
            elif name not in os.environ:
                self.error(place, f"${name} is not set", "a variable of the environment")
            else:
                value = os.environ[name]
                self.document.put(place, value, Origin(self.document.source, ((name, value),)))


def _without_nulls(value: Any) -> Any:
    """Leave out what a dump of Kong's writes as null: it is not set."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value
