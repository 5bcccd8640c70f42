"""Tyk's classic API definitions as a gateway document.

    gateway = Gateway.from_tyk(app, "api.json")            # or a folder of them, a mapping, a list
    gateway = Gateway.from_tyk(None, "apps", strict=True)

Each API is a route (``listen_path``, ``domain``), a service (``target_url``; without one the wrapped app) and
entries that are limited to the route. The section ``plugmw`` of a definition is not Tyk's: ``plugins`` and
``consumers`` as in a gateway file (plugins are limited to the API unless they say otherwise), ``sessions``
with their tokens, ``tyk_conf``, ``version``, ``strict`` and ``compat``, and any other setting of a gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from plugmw.dialects.tyk import not_carried_over
from plugmw.dialects.tyk.api import Api
from plugmw.dialects.tyk.documents import Definitions
from plugmw.dialects.tyk.documents import load_definitions as load_definitions
from plugmw.dialects.tyk.lookup import Lookup
from plugmw.dialects.tyk.middleware import Middleware
from plugmw.dialects.tyk.reading import Reader, Tyk
from plugmw.dialects.tyk.session import SessionState
from plugmw.dialects.tyk.settings import TykConf, conf_document, settings
from plugmw.dialects.tyk.spelling import plain
from plugmw.documents import Document
from plugmw.documents.document import Place, parse_place, render_place
from plugmw.documents.translated import Options, Translated
from plugmw.errors import ConfigError, ConfigErrors

#: Own keys of the ``plugmw`` section; the rest is a gateway's.
_OWN: Final = ("plugins", "consumers", "sessions", "tyk_conf", "version", "strict", "compat")
_VARIABLE: Final = re.compile(r"\{(\w+)(?::([^{}]*))?\}")


def translate(document: Document, options: Options) -> Translated:
    """Return the gateway document for API definitions, with what was wrong in ``errors`` and ``warnings``."""
    definitions = document if isinstance(document, Definitions) else Definitions([document])
    into = Tyk(definitions, options)
    if not definitions.documents:
        into.error((), "no API definition", "at least one")
    for index, one in enumerate(definitions.documents):
        _Definition(into, index, one).translate()
    if not options.has_app:
        into.native.setdefault("unrouted", "404")
    return into.translated()


class _Definition(Reader):
    """One definition."""

    def translate(self) -> None:
        if "x-tyk-api-gateway" in self.data or "openapi" in self.data:
            self.into.error(self.place, "is an OpenAPI definition", "a classic API definition")
            return
        if self.value(bool, "active", default=True) is False:
            return
        own = self.mapping("plugmw")
        self._check()
        route = self._route()
        api = Api(self.data, self.folder, route, str(own.get("version") or ""))
        if route:
            self._networks(route)
            self._cors(route)
            lookup = self.into.lookups.setdefault(api.version, Lookup(api.version))
            Middleware(self, api, self._conf(own), lookup, self._sessions()).add()
        self._own(own, route)

    def _check(self) -> None:
        """Report what is not carried over."""
        found = [*not_carried_over.errors(self.data)]
        if not self.keyless:
            found += not_carried_over.authentication(self.data)
        for steps, problem, expected in found:
            self.error(steps, problem, expected)
        for steps, problem, expected in not_carried_over.warnings(self.data):
            self.warn(steps, problem, expected)

    def _route(self) -> str:
        """Add route and service; return their name, ``""`` if there is no good listen_path."""
        path = self.text("proxy", "listen_path")
        if not path.startswith("/"):
            self.error(("proxy", "listen_path"), f"got {path!r}" if path else "missing", "a path like /api/")
            return ""
        domain = "" if self.flag("domain_disabled") else self.text("domain")
        if "{" in domain:
            self.error(("domain",), f"got {domain!r}", "a host name")
        first = self.into.taken.setdefault((domain.lower(), path), self.place)
        if first != self.place:
            where = self.into.document.error((*first, "proxy", "listen_path"), "")
            problem = f"got {path!r}, which {where.source or 'another API'} has already"
            self.error(("proxy", "listen_path"), problem, "a path of its own")
            return ""
        name = self._name(path)
        strip = self.flag("proxy", "strip_listen_path")
        route: dict[str, Any] = {
            "name": name,
            "service": name,
            "paths": [_pattern(path)],
            "strip_path": strip,
        }
        route["preserve_host"] = self.flag("proxy", "preserve_host_header")
        if domain:
            route["hosts"] = [domain]
        if self.text("api_id"):
            route["id"] = self.text("api_id")
        listen = self.at("proxy", "listen_path")
        self.into.add("routes", route, listen, hosts=self.at("domain"))
        self._service(name)
        return name

    def _name(self, path: str) -> str:
        name = self.text("name") or self.text("api_id") or path
        taken, number = self.into.names, 2
        made = name
        while made in taken:
            made, number = f"{name} #{number}", number + 1
        taken.add(made)
        return made

    def _service(self, name: str) -> None:
        service: dict[str, Any] = {"name": name}
        url = self.text("proxy", "target_url")
        if url:
            service["url"] = url
        elif not self.options.has_app:
            self.error(("proxy", "target_url"), "missing, and there is no app", "a URL")
        if self.flag("proxy", "transport", "ssl_insecure_skip_verify"):
            service["verify"] = False
        place = self.at("proxy")
        self.into.add("services", service, place, url=self.at("proxy", "target_url"))

    def _networks(self, route: str) -> None:
        config: dict[str, Any] = {}
        for switch, listed, name in (
            ("enable_ip_whitelisting", "allowed_ips", "allow"),
            ("enable_ip_blacklisting", "blacklisted_ips", "deny"),
        ):
            if self.flag(switch) and self.texts(listed):
                config[name] = self.texts(listed)
                self.into.places["plugins", len(self.into.native["plugins"]), "config", name] = self.at(
                    listed
                )
        if config:
            self._plugin("ip-restriction", route, config, ("allowed_ips",))

    def _cors(self, route: str) -> None:
        if not self.flag("CORS", "enable"):
            return
        config: dict[str, Any] = {
            "credentials": self.flag("CORS", "allow_credentials"),
            "preflight_continue": self.flag("CORS", "options_passthrough"),
        }
        for theirs, ours in (
            ("allowed_origins", "origins"),
            ("allowed_methods", "methods"),
            ("allowed_headers", "headers"),
            ("exposed_headers", "exposed_headers"),
        ):
            if self.texts("CORS", theirs):
                config[ours] = self.texts("CORS", theirs)
        if "origins" in config:
            config["origins"] = [_origin(one) for one in config["origins"]]
        if self.value(int, "CORS", "max_age", default=0):
            config["max_age"] = self.value(int, "CORS", "max_age")
        self._plugin("cors", route, config, ("CORS",))

    def _plugin(self, name: str, route: str, config: dict[str, Any], steps: Place) -> None:
        self.into.add("plugins", {"name": name, "route": route, "config": config}, self.at(*steps))

    def _conf(self, own: Mapping[str, Any]) -> TykConf:
        given = own.get("tyk_conf")
        if given is not None and not isinstance(given, (Mapping, str)):
            self.error(("plugmw", "tyk_conf"), f"got {given!r}", "a path or a mapping")
            given = {}
        try:
            document = conf_document(given, self.folder, self.source is not None)
        except ConfigError as error:
            self.into.errors += error.errors if isinstance(error, ConfigErrors) else [error]
            return TykConf()
        found, problems = settings(document, self.folder)
        for problem in problems:
            if problem.source is None:
                place = self.at("plugmw", "tyk_conf", *parse_place(problem.path))
                problem = self.into.document.error(place, problem.problem, problem.expected)
            self.into.errors.append(problem)
        return found

    # -- the section plugmw -----------------------------------------------------------------------

    def _sessions(self) -> dict[str, SessionState]:
        """Return the sessions by token; tokens are secret, and never in a message."""
        made: dict[str, SessionState] = {}
        for index, fields in enumerate(self.texts("plugmw", "sessions")):
            place: Place = ("plugmw", "sessions", index)
            if not isinstance(fields, Mapping):
                self.error(place, f"got {type(fields).__name__}", "a session with its key")
                continue
            key = self.into.document.text(self.at(*place, "key")) or fields.get("key")
            if not isinstance(key, str) or not key:
                self.error((*place, "key"), "missing or no text", "the token")
            elif key in made:
                self.error((*place, "key"), "is the token of another session", "a unique one")
            else:
                try:
                    made[key] = session({name: value for name, value in fields.items() if name != "key"})
                except (TypeError, ValueError, AttributeError) as error:
                    self.error(place, str(error), "the fields of a session")
        return made

    def _own(self, own: Mapping[str, Any], route: str) -> None:
        for kind in ("plugins", "consumers"):
            listed = own.get(kind) or []
            if not isinstance(listed, list):
                self.error(("plugmw", kind), f"got {type(listed).__name__}", "a list")
                continue
            for index, item in enumerate(listed):
                if kind == "plugins" and isinstance(item, Mapping) and not {"route", "service"} & item.keys():
                    item = {**item, "route": route}
                self.into.add(kind, item, self.at("plugmw", kind, index))
        for key, value in own.items():
            if key in ("routes", "services"):
                self.error(("plugmw", key), "given, but an API is its own route and service")
            elif key not in _OWN:
                self._setting(key, value)

    def _setting(self, key: str, value: Any) -> None:
        place = self.at("plugmw", key)
        if key in self.into.native and self.into.native[key] != value:
            where = render_place(self.into.places.get((key,), ()))
            self.into.error(place, f"is another value than at {where}", "one value for all APIs")
        self.into.native[key] = value
        self.into.places.setdefault((key,), place)


def session(fields: Mapping[str, Any]) -> SessionState:
    """Return the session of Tyk's JSON; raises ``TypeError`` for fields that it does not have."""
    known = {plain(name): name for name in SessionState.__annotations__}
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if plain(name) not in known:
            raise TypeError(f'unknown field "{name}"')
        made[known[plain(name)]] = value
    return SessionState(**made)


def _pattern(path: str) -> str:
    """Return a listen path as a route's: ``{name}`` is one segment, ``{name:pattern}`` the pattern."""
    if "{" not in path:
        return path
    return "~" + "".join(_pieces(path))


def _pieces(path: str) -> Iterator[str]:
    end = 0
    for found in _VARIABLE.finditer(path):
        yield re.escape(path[end : found.start()])
        yield f"(?P<{found[1]}>{found[2] or '[^/]+'})"
        end = found.end()
    yield re.escape(path[end:])


def _origin(origin: Any) -> Any:
    """Return an origin with Tyk's ``*`` in it as a regular expression."""
    if not isinstance(origin, str) or origin == "*" or "*" not in origin:
        return origin
    return re.escape(origin).replace(r"\*", ".*")
