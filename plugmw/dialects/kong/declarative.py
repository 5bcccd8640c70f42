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

from plugmw.dialects.kong.names import Names
from plugmw.documents import Document
from plugmw.documents.document import Origin, Place, places_of
from plugmw.documents.translated import Options, Translated
from plugmw.documents.translation import Translation, Unread

VERSIONS: Final = ("1.1", "2.1", "3.0")
#: Lists that consumers hold, or that stand at the top level with a ``consumer``.
CREDENTIALS: Final = (
    *("acls", "keyauth_credentials", "basicauth_credentials", "jwt_secrets", "hmacauth_credentials"),
    *("oauth2_credentials",),
)
_TOP: Final = ("services", "routes", "consumers", *CREDENTIALS, "plugins", "certificates", "snis")
_OWN: Final = ("_format_version", "_comment", "_info", "_ignore")
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
    "filter_chains": ("filters in WebAssembly have no counterpart", "plugins"),
    "partials": ("decK puts them into the plugins that name them", "configurations that are whole"),
}
#: What every entity may have and nothing depends on: stamps of Kong's own, comments, parts set aside.
_MEANINGLESS: Final = ("created_at", "updated_at", "ws_id", "_comment", "_ignore")
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9.\-_~/%]*").fullmatch
_NAMED_GROUP: Final = re.compile(r"\(\?<(?=[A-Za-z_])")
_VAULT: Final = re.compile(r"\{vault://([^/}]+)/([^}]*)\}").fullmatch
#: Route fields with a counterpart in a native route, under the same name.
_ROUTE: Final = (
    *("hosts", "methods", "headers", "regex_priority", "strip_path", "preserve_host", "protocols"),
    *("https_redirect_status_code", "tags", "id"),
)
_SERVICE: Final = ("retries", "tags", "id", "enabled")
_TIMEOUTS: Final = ("connect_timeout", "read_timeout", "write_timeout")
_FROM_FILE: Final = Unread("is left out: a gateway file has ca_file for services")
_UNMATCHED: Final = Unread("cannot be matched here", "hosts, paths, methods or headers", is_error=True)
_ONE_CERTIFICATE: Final = Unread("is left out: one certificate for a name")
#: Fields of entities that nothing reads, by kind of entity.
_UNREAD: Final[dict[str, dict[str, Unread]]] = {
    "service": dict.fromkeys(("client_certificate", "ca_certificates", "tls_verify_depth"), _FROM_FILE),
    "route": dict.fromkeys(("snis", "sources", "destinations", "expression", "priority"), _UNMATCHED),
    "plugin": {
        "consumer_group": Unread(*_FOREIGN["consumer_groups"], is_error=True),
        "condition": Unread("is in Kong's own language", "`when`, in a gateway file", is_error=True),
        "partials": Unread(*_FOREIGN["partials"], is_error=True),
        "_config": Unread("decK puts it into the plugin", "a configuration that is whole", is_error=True),
    },
    "certificate": {
        "cert_alt": _ONE_CERTIFICATE,
        "key_alt": _ONE_CERTIFICATE,
        "passphrase": Unread("keys with a passphrase cannot be read", "the key without one", is_error=True),
    },
}
_DECK: Final = Unread("is left out: decK alone looks at it")
_DECK_DEFAULTS: Final = {
    "defaults": Unread("decK puts them into the entities", "entities that are whole", is_error=True)
}
_OWNERS: Final = ("service", "route", "consumer")
_HANDLING: Final = ("path_handling", "request_buffering", "response_buffering")
#: Kong's own defaults, where ours are others.
_DEFAULTS: Final[dict[str, dict[str, object]]] = {"correlation-id": {"header_name": "Kong-Request-ID"}}
_PORTS: Final[dict[object, int]] = {"http": 80, "https": 443}


def is_kong(data: object) -> bool:
    """Say whether a document is a Kong declarative file."""
    return isinstance(data, Mapping) and "_format_version" in data


def translate(document: Document, options: Options | None = None) -> Translated:
    """Return the gateway document for a Kong file, with what was wrong in ``errors`` and ``warnings``."""
    return _Kong(document, options).result()


class _Kong(Translation):
    """One file."""

    def __init__(self, document: Document, options: Options | None = None) -> None:
        super().__init__(document, options)
        self.native = {kind: [] for kind in ("services", "routes", "consumers", "plugins", "certificates")}
        self.names = Names(self)
        self.modern = True

    def result(self) -> Translated:
        self._vaults()
        data = self.document.data
        version = str(data.get("_format_version"))
        if version not in VERSIONS:
            self.error(("_format_version",), f"got {version!r}", f"one of {', '.join(VERSIONS)}")
        self.modern = version not in ("1.1", "2.1")
        self._top_level(data)
        for name in _TOP:
            for place, item in self._entities(data, (), name):
                self._translate(name, place, item)
        self.names.resolve()
        self.native["unrouted"] = "404"
        if self.options.compat:
            self.native["identity_headers"] = "keep"
        return self.translated()

    def _translate(self, name: str, place: Place, item: dict[str, object]) -> None:
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

    def _entities(
        self, holder: Mapping[str, object], place: Place, name: str
    ) -> Iterator[tuple[Place, dict[str, object]]]:
        """Yield (place, entity) of a list of entities; a null in one is what is not given."""
        for inner, item in self.mappings(holder.get(name), (*place, name), _type_name):
            meaning = {key: value for key, value in item.items() if key not in _MEANINGLESS}
            yield inner, {key: value for key, value in meaning.items() if value is not None}

    def _fields(self, kind: str, place: Place, item: Mapping[str, object], *known: str) -> None:
        """Report the fields of an entity that nothing reads."""

        def rule(key: str) -> Unread:
            unknown = Unread(f'unknown field "{key}"', f"a field of a Kong {kind}", is_error=True)
            return _UNREAD.get(kind, {}).get(key, unknown)

        self.unread(item, ("id", "tags", *known), place, rule)

    # -- services and routes ------------------------------------------------------------------------

    def _service(self, place: Place, item: dict[str, object]) -> None:
        name = self.names.native("service", place, item)
        self.names.declare("service", place, item, name)
        service: dict[str, object] = {"name": name, **{key: item[key] for key in _SERVICE if key in item}}
        moved: dict[str, Place] = {"verify": (*place, "tls_verify")}
        if "url" in item:
            service["url"] = item["url"]
        elif "host" in item:
            service["url"], moved["url"] = self._url(place, item), (*place, "host")
        for key in _TIMEOUTS:
            value = item.get(key, 0)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                self.error((*place, key), f"got {value!r}", "a number of milliseconds")
            elif key in item:
                service[key] = value / 1000
        if "tls_verify" in item:
            service["verify"] = item["tls_verify"]
        location = ("name", "url", "protocol", "host", "port", "path", "tls_verify")
        self._fields("service", place, item, *_SERVICE, *_TIMEOUTS, *location, "routes", "plugins")
        self.add("services", service, place, **moved)
        for inner, route in self._entities(item, place, "routes"):
            self._route(inner, route, name)
        for inner, plugin in self._entities(item, place, "plugins"):
            self._plugin(inner, plugin, {"service": name})

    def _url(self, place: Place, item: Mapping[str, object]) -> str:
        protocol = item.get("protocol", "http")
        if protocol not in _PORTS:
            self.error((*place, "protocol"), f"got {protocol!r}", "http or https")
        port = item.get("port", _PORTS.get(protocol, 80))
        return f"{protocol}://{item['host']}:{port}{item.get('path', '')}"

    def _route(self, place: Place, item: dict[str, object], service: str | None) -> None:
        name = self.names.native("route", place, item)
        self.names.declare("route", place, item, name)
        route: dict[str, object] = {
            "strip_path": True,
            **{key: item[key] for key in _ROUTE if key in item},
            "name": name,
        }
        if "paths" in item:
            paths = item["paths"]
            route["paths"] = [self._path(path) for path in paths] if isinstance(paths, list) else paths
        for key in _HANDLING:
            if item.get(key) not in (None, "v0", True):
                self.warn((*place, key), "is left out: bodies are streamed, paths joined as v0 does")
        self._fields("route", place, item, "name", "paths", "service", "plugins", *_ROUTE, *_HANDLING)
        self._owned(route, "route", place, item, {"service": service} if service is not None else {})
        self.add("routes", route, place)
        for inner, plugin in self._entities(item, place, "plugins"):
            self._plugin(inner, plugin, {"route": name})

    def _owned(
        self,
        native: dict[str, object],
        kind: str,
        place: Place,
        item: Mapping[str, object],
        owner: Mapping[str, str],
        keys: tuple[str, ...] = ("service",),
    ) -> None:
        """Put in what an entity belongs to: what it is nested under, and what it refers to."""
        native.update(owner)
        for key in keys:
            if key in item and key in owner:
                self.error((*place, key), f"given, but the {kind} is nested under a {key} already")
            elif key in item:
                native[key] = item[key]
                self.names.refer(native, key, (*place, key))

    def _path(self, path: object) -> object:
        """Return a path in the native spelling: regular expressions start with ``~``, in Python's syntax."""
        if not isinstance(path, str):
            return path
        if path.startswith("~"):
            return _NAMED_GROUP.sub("(?P<", path)
        if not self.modern and not _PLAIN_PATH(path):
            return "~" + _NAMED_GROUP.sub("(?P<", path)
        return path

    # -- consumers and plugins ----------------------------------------------------------------------

    def _consumer(self, place: Place, item: dict[str, object]) -> None:
        name = self.names.native("consumer", place, item)
        self.names.declare("consumer", place, item, name)
        consumer = {key: value for key, value in item.items() if key != "plugins"}
        for kind in CREDENTIALS:
            if kind in consumer:
                consumer[kind] = []
                for inner, credential in self._entities(item, place, kind):
                    self._add_credential(len(self.native["consumers"]), consumer, kind, inner, credential)
        self.add("consumers", consumer, place)
        for inner, plugin in self._entities(item, place, "plugins"):
            self._plugin(inner, plugin, {"consumer": name})

    def _credential(self, kind: str, place: Place, item: dict[str, object]) -> None:
        """Move a credential that stands at the top level to its consumer."""
        wanted = self.names.target("consumer", item.get("consumer"), (*place, "consumer"))
        for index, consumer in enumerate(self.native["consumers"]):
            names = (consumer.get("username"), consumer.get("custom_id"), consumer.get("id"))
            if wanted is not None and wanted in [str(own) for own in names]:
                self._add_credential(index, consumer, kind, place, item)
                return

    def _add_credential(
        self, index: int, consumer: dict[str, Any], kind: str, place: Place, item: Mapping[str, object]
    ) -> None:
        self.names.declare(kind, place, item)
        credentials = consumer.setdefault(kind, [])
        self.places["consumers", index, kind, len(credentials)] = place
        credentials.append({key: value for key, value in item.items() if key != "consumer"})

    def _plugin(self, place: Place, item: dict[str, object], owner: dict[str, str]) -> None:
        name = item.get("name")
        if name is None:
            self.error((*place, "name"), "missing", "the name of a plugin")
            return
        self.names.declare("plugin", place, item)
        plugin: dict[str, object] = {key: item[key] for key in ("name", "enabled", "tags") if key in item}
        if "config" in item:
            plugin["config"] = _without_nulls(item["config"])
        if "ordering" in item:
            plugin.update(self._ordering(place, item["ordering"]))
        protocols = item.get("protocols", ["http"])
        if not isinstance(protocols, list) or not {"http", "https"} & set(map(str, protocols)):
            self.error((*place, "protocols"), f"got {protocols!r}", "http or https among them")
        elif "protocols" in item and not {"http", "https"} <= set(map(str, protocols)):
            self.warn((*place, "protocols"), "is left out: the plugin runs for http and https")
        read = ("name", "enabled", "config", "instance_name", "ordering", "protocols")
        self._fields("plugin", place, item, *read, *_OWNERS)
        self._owned(plugin, "plugin", place, item, owner, _OWNERS)
        config = plugin.get("config", {})
        if isinstance(name, str) and name in _DEFAULTS and isinstance(config, dict):
            plugin["config"] = {**_DEFAULTS[name], **config}
        self.add("plugins", plugin, place)

    def _ordering(self, place: Place, value: object) -> dict[str, object]:
        """Take Kong Enterprise's ``ordering: {before: {access: [...]}}``."""
        order: dict[str, object] = {}
        for side in ("before", "after"):
            inner = value.get(side) if isinstance(value, Mapping) else None
            if isinstance(inner, Mapping) and isinstance(inner.get("access"), list):
                order[side] = inner["access"]
        if not order:
            self.error((*place, "ordering"), f"got {value!r}", "before or after, with a list under access")
        return order

    # -- certificates -------------------------------------------------------------------------------

    def _certificate(self, place: Place, item: dict[str, object]) -> None:
        index = len(self.native["certificates"])
        self.names.declare("certificate", place, item, index)
        self._fields("certificate", place, item, "cert", "key", "snis")
        certificate: dict[str, object] = {"cert": item.get("cert"), "key": item.get("key"), "snis": []}
        self.add("certificates", certificate, place)
        for inner, sni in self._entities(item, place, "snis"):
            self._add_sni(index, inner, sni)

    def _sni(self, place: Place, item: dict[str, object]) -> None:
        index = self.names.target("certificate", item.get("certificate"), (*place, "certificate"))
        if isinstance(index, int):
            self._add_sni(index, place, item)

    def _add_sni(self, index: int, place: Place, item: Mapping[str, object]) -> None:
        self.names.declare("sni", place, item)
        self._fields("sni", place, item, "name", "certificate")
        names = self.native["certificates"][index]["snis"]
        self.places["certificates", index, "snis", len(names)] = (*place, "name")
        names.append(item.get("name"))

    # -- the whole ----------------------------------------------------------------------------------

    def _top_level(self, data: Mapping[str, object]) -> None:
        # What is there in vain is told even if it is empty.
        for key in data:
            if key in _QUIET:
                self.warn((key,), f"is left out: {_QUIET[key]}")
            elif key in _FOREIGN:
                self.error((key,), *_FOREIGN[key])
            elif key not in (*_TOP, *_OWN):
                self.error((key,), f'unknown field "{key}"', f"one of {', '.join(_TOP)}")
        info = data.get("_info")
        if isinstance(info, Mapping):
            self.unread(info, ("select_tags",), ("_info",), lambda key: _DECK_DEFAULTS.get(key, _DECK))

    def _vaults(self) -> None:
        """Put values of the environment for ``{vault://env/name}``; other vaults are errors."""
        for place, text in list(places_of(self.document.data)):
            reference = _VAULT(text) if isinstance(text, str) else None
            if reference is None:
                continue
            name = reference[2].upper().replace("-", "_")
            if reference[1] != "env" or "/" in name or "?" in name:
                self.error(place, f"no vault for {text!r}", "{vault://env/name}")
            elif name not in os.environ:
                self.error(place, f"${name} is not set", "a variable of the environment")
            else:
                value = os.environ[name]
                self.document.put(place, value, Origin(self.document.source, ((name, value),)))


def _without_nulls(value: object) -> object:
    """Leave out what a dump of Kong's writes as null: it is not set."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def _type_name(value: object) -> str:
    return type(value).__name__
