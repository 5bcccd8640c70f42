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
from typing import Final

from plugmw.dialects.tyk import not_carried_over, stored
from plugmw.dialects.tyk.api import Api
from plugmw.dialects.tyk.documents import APIS, EXTENSION, SPECIFICATIONS, Definitions
from plugmw.dialects.tyk.documents import load_definitions as load_definitions
from plugmw.dialects.tyk.endpoints import served_version
from plugmw.dialects.tyk.fields import Own
from plugmw.dialects.tyk.lookup import Lookup
from plugmw.dialects.tyk.middleware import Middleware
from plugmw.dialects.tyk.policies import Policies, apply
from plugmw.dialects.tyk.reading import DefinitionReader, Tyk
from plugmw.dialects.tyk.rights import problem as rights_problem
from plugmw.dialects.tyk.session import SessionState
from plugmw.dialects.tyk.settings import TykConf, conf_document, settings
from plugmw.dialects.tyk.stored import PolicyFields, RightFields, SessionFields
from plugmw.documents import Document
from plugmw.documents.document import Place, parse_place, render_place
from plugmw.documents.translated import Options, Translated
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.schema import fields_of

#: What one writes for an OAS definition.
_INSTEAD: Final = (
    "a classic API definition (its proxy.listen_path is server.listenPath.value here, its proxy.target_url "
    "upstream.url, and its use_keyless true only where server.authentication is off), or a gateway file"
)
_VARIABLE: Final = re.compile(r"\{(\w+)(?::([^{}]*))?\}")


def translate(document: Document, options: Options) -> Translated:
    """Return the gateway document for API definitions, with what was wrong in ``errors`` and ``warnings``."""
    definitions = document if isinstance(document, Definitions) else Definitions([document])
    into = Tyk(definitions, options)
    if not definitions.documents:
        into.error((), "no API definition", "at least one")
    for index, one in enumerate(definitions.documents):
        if EXTENSION in one.data:
            into.error((APIS, index, EXTENSION), "a Tyk OAS definition is not translated", _INSTEAD)
        elif not SPECIFICATIONS.isdisjoint(one.data):
            into.error(
                (APIS, index), f"is an OpenAPI document without {EXTENSION}", "a classic API definition"
            )
        elif one.data.get("active") is not False:
            _Definition(into, index, one).translate()
    if not options.has_app:
        into.native.setdefault("unrouted", "404")
    return into.translated()


class _Definition(DefinitionReader):
    """One definition."""

    def translate(self) -> None:
        version = served_version(self)
        self._check(version)
        route = self._route()
        policies = self._policies()
        api = Api(self.data, self.folder, route, str(self.own.version or ""), policies=policies)
        if route:
            self._networks(route)
            self._cors(route)
            lookup = self.into.lookups.setdefault(api.version, Lookup(api.version))
            Middleware(self, api, self._conf(), lookup, self._sessions(policies), version).add()
        self._own(route)

    def _check(self, version: str | None) -> None:
        """Report what is not carried over."""
        protocol = self.fields.protocol or "http"
        if protocol not in ("http", "https", "h2c"):
            self.error(("protocol",), f"got {protocol!r}", "http or https")
        engine = self.fields.auth_provider.storage_engine
        if engine in ("ldap", "rpc") and not self.fields.use_keyless:
            instead = "tokens in plugmw.sessions, or keys of consumers"
            self.error(("auth_provider", "storage_engine"), f"got {engine!r}", instead)
        for steps, unread in not_carried_over.unread(self.data, self.fields, version):
            self.into.report(self.at(*steps), unread)

    def _route(self) -> str:
        """Add route and service; return their name, ``""`` if there is no good listen_path."""
        api, proxy = self.fields, self.fields.proxy
        path = proxy.listen_path
        if not path.startswith("/"):
            self.error(("proxy", "listen_path"), f"got {path!r}" if path else "missing", "a path like /api/")
            return ""
        domain = "" if api.domain_disabled else api.domain
        if "{" in domain:
            self.error(("domain",), f"got {domain!r}", "a host name")
        first = self.into.taken.setdefault((domain.lower(), path), self.place)
        if first != self.place:
            where = self.into.document.error((*first, "proxy", "listen_path"), "")
            problem = f"got {path!r}, which {where.source or 'another API'} has already"
            self.error(("proxy", "listen_path"), problem, "a path of its own")
            return ""
        name = self._name(path)
        route: dict[str, object] = {
            "name": name,
            "service": name,
            "paths": [_pattern(path)],
            "strip_path": proxy.strip_listen_path,
            "preserve_host": proxy.preserve_host_header,
        }
        if domain:
            route["hosts"] = [domain]
        if api.api_id:
            route["id"] = api.api_id
        listen = self.at("proxy", "listen_path")
        self.into.add("routes", route, listen, hosts=self.at("domain"))
        self._service(name)
        return name

    def _name(self, path: str) -> str:
        name = self.fields.name or self.fields.api_id or path
        taken, number = self.into.names, 2
        unique = name
        while unique in taken:
            unique, number = f"{name} #{number}", number + 1
        taken.add(unique)
        return unique

    def _service(self, name: str) -> None:
        service: dict[str, object] = {"name": name}
        proxy = self.fields.proxy
        if proxy.target_url:
            service["url"] = proxy.target_url
        elif not self.options.has_app:
            self.error(("proxy", "target_url"), "missing, and there is no app", "a URL")
        if proxy.transport.ssl_insecure_skip_verify:
            service["verify"] = False
        place = self.at("proxy")
        self.into.add("services", service, place, url=self.at("proxy", "target_url"))

    def _networks(self, route: str) -> None:
        api = self.fields
        config: dict[str, object] = {}
        for listed, switch, name in (
            ("allowed_ips", api.enable_ip_whitelisting, "allow"),
            ("blacklisted_ips", api.enable_ip_blacklisting, "deny"),
        ):
            addresses = getattr(api, listed)
            # As in Tyk a list counts without its switch, unless the definition says that it needs it.
            if addresses and (switch or not api.ip_access_control_disabled):
                config[name] = addresses
                place: Place = ("plugins", len(self.into.native["plugins"]), "config", name)
                self.into.places[place] = self.at(listed)
        if config:
            self._plugin("ip-restriction", route, config, ("allowed_ips",))

    def _cors(self, route: str) -> None:
        cors = self.fields.CORS
        if not cors.enable:
            return
        config: dict[str, object] = {
            "credentials": cors.allow_credentials,
            "preflight_continue": cors.options_passthrough,
            "origins": [_origin(one) for one in cors.allowed_origins],
            "methods": cors.allowed_methods,
            "headers": cors.allowed_headers,
            "exposed_headers": cors.exposed_headers,
            "max_age": cors.max_age,
        }
        flags = ("credentials", "preflight_continue")
        config = {name: value for name, value in config.items() if value or name in flags}
        self._plugin("cors", route, config, ("CORS",))

    def _plugin(self, name: str, route: str, config: dict[str, object], steps: Place) -> None:
        self.into.add("plugins", {"name": name, "route": route, "config": config}, self.at(*steps))

    def _conf(self) -> TykConf:
        written = self.own.tyk_conf
        if written is not None and not isinstance(written, (Mapping, str)):
            self.error(("plugmw", "tyk_conf"), f"got {written!r}", "a path or a mapping")
            written = {}
        try:
            document = conf_document(written, self.folder, self.source is not None)
        except ConfigError as error:
            self.into.errors += error.errors if isinstance(error, ConfigErrors) else [error]
            return TykConf()
        conf, problems = settings(document, self.folder)
        for problem in problems:
            if problem.source is None:
                place = self.at("plugmw", "tyk_conf", *parse_place(problem.path))
                problem = self.into.document.error(place, problem.problem, problem.expected)
            self.into.errors.append(problem)
        return conf

    # -- the section plugmw -----------------------------------------------------------------------

    def _sessions(self, policies: Policies) -> dict[str, SessionState]:
        """Return the sessions by token; tokens are secret, and never in a message."""
        sessions: dict[str, SessionState] = {}
        taken: set[str] = set()
        for index, item in enumerate(self.own.sessions):
            place: Place = ("plugmw", "sessions", index)
            if not isinstance(item, Mapping):
                self.error(place, f"got {type(item).__name__}", "a session with its key")
                continue
            key = self.into.document.text(self.at(*place, "key")) or item.get("key")
            if not isinstance(key, str) or not key:
                self.error((*place, "key"), "missing or no text", "the token")
            elif key in taken:
                self.error((*place, "key"), "is the token of another session", "a unique one")
            else:
                taken.add(key)
                fields = self.into.part(SessionFields, item, self.at(*place))
                self._patterns(fields.access_rights, place)
                state = stored.session(fields)
                if apply(state, policies, self.fields.org_id):
                    sessions[key] = state
                else:
                    self._without_policies(state, place)
        return sessions

    def _without_policies(self, state: SessionState, place: Place) -> None:
        """Report a session that opens nothing, because its policies cannot be applied."""
        named = "apply_policies" if state.apply_policies else "apply_policy_id"
        names = ", ".join(state.policies)
        problem = f"names no policy that there is, so requests with this token are refused: got {names}"
        (self.error if self.options.strict else self.warn)((*place, named), problem, "ids in plugmw.policies")

    def _policies(self) -> dict[str, PolicyFields]:
        """Return the policies by id."""
        policies: dict[str, PolicyFields] = {}
        for id, item in self.own.policies.items():
            place: Place = ("plugmw", "policies", id)
            policy = policies[id] = self.into.part(PolicyFields, item, self.at(*place))
            self._patterns(policy.access_rights, place)
            if policy.org_id != self.fields.org_id:
                problem = f"got {policy.org_id!r}, which is not the API's"
                self.error((*place, "org_id"), problem, repr(self.fields.org_id))
        return policies

    def _patterns(self, rights: Mapping[str, RightFields], place: Place) -> None:
        """Report patterns of access rights that cannot be used."""
        for api, access in rights.items():
            listed = [("allowed_urls", n, "url", one.url) for n, one in enumerate(access.allowed_urls)]
            listed += [("endpoints", n, "path", one.path) for n, one in enumerate(access.endpoints)]
            for name, number, key, pattern in listed:
                problem = rights_problem(pattern)
                if problem is not None:
                    where: Place = (*place, "access_rights", api, name, number, key)
                    self.error(where, f"got {pattern!r}", f"a regular expression ({problem})")

    def _own(self, route: str) -> None:
        for kind in ("plugins", "consumers"):
            listed = getattr(self.own, kind) or []
            if not isinstance(listed, list):
                self.error(("plugmw", kind), f"got {type(listed).__name__}", "a list")
                continue
            for index, item in enumerate(listed):
                if kind == "plugins" and isinstance(item, Mapping) and not {"route", "service"} & item.keys():
                    item = {**item, "route": route}
                self.into.add(kind, item, self.at("plugmw", kind, index))
        known = [field.name for field in fields_of(Own)]
        for key, value in self.fields.plugmw.items():
            if key in ("routes", "services"):
                self.error(("plugmw", key), "given, but an API is its own route and service")
            elif key not in known:
                self._setting(key, value)

    def _setting(self, key: str, value: object) -> None:
        place = self.at("plugmw", key)
        if key in self.into.native and self.into.native[key] != value:
            where = render_place(self.into.places.get((key,), ()))
            self.into.error(place, f"is another value than at {where}", "one value for all APIs")
        self.into.native[key] = value
        self.into.places.setdefault((key,), place)


def _pattern(path: str) -> str:
    """Return a listen path as a route's: ``{name}`` is one segment, ``{name:pattern}`` the pattern."""
    if "{" not in path:
        return path
    return "~" + "".join(_pieces(path))


def _pieces(path: str) -> Iterator[str]:
    end = 0
    for variable in _VARIABLE.finditer(path):
        yield re.escape(path[end : variable.start()])
        yield f"(?P<{variable[1]}>{variable[2] or '[^/]+'})"
        end = variable.end()
    yield re.escape(path[end:])


def _origin(origin: object) -> object:
    """Return an origin with Tyk's ``*`` in it as a regular expression."""
    if not isinstance(origin, str) or origin == "*" or "*" not in origin:
        return origin
    return re.escape(origin).replace(r"\*", ".*")
