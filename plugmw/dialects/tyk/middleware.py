"""The entries of one API: its hooks, its authentication, its analytics plugin.

Bands of priorities, in Tyk's order, so that other plugins can be put between them:

    cors 2000 | pre 1900 | key-auth ... 1006-1000 | auth_check 990 | token 985 | post_key_auth 980
    | session 960 | request-size-limiting 951, acl 950, rate-limiting 901, transformers 801-800
    | endpoint 780 | post 760 | (upstream) | response 700 | analytics 5

Hooks of a kind run in the order of their list: each has a tenth less than the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from plugmw.bundles import Bundle, Bundles
from plugmw.dialects.tyk import not_carried_over
from plugmw.dialects.tyk.analytics import AnalyticsHook
from plugmw.dialects.tyk.api import Api
from plugmw.dialects.tyk.endpoints import First, endpoints
from plugmw.dialects.tyk.hooks import AuthHook, Function, NativeHook, RequestHook
from plugmw.dialects.tyk.lookup import Lookup
from plugmw.dialects.tyk.reading import DefinitionReader
from plugmw.dialects.tyk.responses import ResponseHook
from plugmw.dialects.tyk.session import SessionState
from plugmw.dialects.tyk.settings import TykConf
from plugmw.dialects.tyk.tokens import SessionRules, TokenAuth
from plugmw.documents.document import Place, render_place
from plugmw.errors import LoadError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.schema import Nothing, as_dict

BANDS: Final = {
    "pre": 1900.0,
    "auth_check": 990.0,
    "token": 985.0,
    "post_key_auth": 980.0,
    "session": 960.0,
    "endpoint": 780.0,
    "post": 760.0,
    "response": 700.0,
    "analytics": 5.0,
}
_CLASSES: Final[dict[str, type[NativeHook]]] = {
    "response": ResponseHook,
    "analytics": AnalyticsHook,
}
#: Any of these lets auth_check run.
_PLUGIN_AUTH: Final = ("custom_plugin_auth_enabled", "use_go_plugin_auth", "enable_coprocess_auth")


class NotLoaded(Plugin[Nothing]):
    """An API whose bundle could not be loaded: nothing behind it may be reached. Phases: access."""

    name, priority = "tyk-not-loaded", 10000
    fail_closed = True

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def configure(self) -> None:
        self.logger.error("%s", self.why)

    def access(self, x: Exchange) -> None:
        x.exit(404, "Not Found")


class Middleware:
    """Makes the entries of an API."""

    def __init__(
        self,
        definition: DefinitionReader,
        api: Api,
        conf: TykConf,
        lookup: Lookup,
        sessions: Mapping[str, SessionState],
        version: str | None,
    ) -> None:
        self.definition = definition
        self.api = api
        self.conf = conf
        self.lookup = lookup
        self.sessions = sessions
        self.version = version
        self.options = definition.options
        self.section: Mapping[str, object] = definition.fields.custom_middleware
        self.steps: Place = ("custom_middleware",)
        self.bundle: Bundle | None = None
        self.names: set[str] = set()

    def add(self) -> None:
        """Add all entries, or the one that answers for an API that cannot be loaded."""
        try:
            self._load_bundle()
            hooks = list(self._hooks())
        except LoadError as error:
            self._not_loaded(error)
            return
        self._authentication()
        counts = dict.fromkeys(BANDS, 0)
        for kind, steps, plugin in hooks:
            if kind in ("auth_check", "post_key_auth") and self.definition.fields.use_keyless:
                continue
            if kind == "auth_check" and not self._plugin_auth:
                problem = "is not used: custom_plugin_auth_enabled is not set"
                self.definition.warn(steps, problem)
                continue
            self._entry(kind, plugin, steps, counts[kind])
            counts[kind] += 1
        self._endpoints()
        self._analytics()

    def _not_loaded(self, error: LoadError) -> None:
        # Without a bundle the error is in the code of the definition's hooks; it comes here only if strict.
        steps: Place = self.steps
        if self.options.offline and self.bundle is None and self.definition.fields.custom_middleware_bundle:
            self.definition.warn(steps, f"{error} (nothing is fetched to look at a file)")
        elif self.options.reports:
            self.definition.error(steps, str(error))
        else:
            self._put(Entry(NotLoaded(f"API {self.api.name!r} is not loaded: {error}")), steps)

    def _put(self, entry: Entry, steps: Place) -> None:
        entry.route = self.api.route
        self.definition.into.entries.append((self.definition.at(*steps), entry))

    def _entry(
        self, kind: str, plugin: Plugin, steps: Place, count: int = 0, when: First | None = None
    ) -> None:
        label = getattr(plugin, "label", None) or f"{kind}:{getattr(plugin, 'function', plugin.name)}"
        priority = round(BANDS[kind] - count / 10, 1)
        self._put(Entry(plugin, priority=priority, instance=self._instance(label), when=when), steps)

    def _instance(self, label: str) -> str:
        name, number = label, 2
        while name in self.names:
            name, number = f"{label} #{number}", number + 1
        self.names.add(name)
        return name

    # -- hooks ------------------------------------------------------------------------------------

    def _load_bundle(self) -> None:
        """Put a bundle's manifest in place of the definition's hooks; raises :class:`LoadError`."""
        name = self.definition.fields.custom_middleware_bundle
        if not name or self.definition.fields.custom_middleware_bundle_disabled:
            return
        self.steps = ("custom_middleware_bundle",)
        self._check_trust(name)
        self.bundle = bundle = self._bundles().get(name)
        self.section = bundle.manifest.custom_middleware
        self._check_manifest()
        self.api = attrs.evolve(self.api, bundle_hash=bundle.hash)

    def _check_manifest(self) -> None:
        """Report what of a manifest's hooks nothing reads."""
        data = {"custom_middleware": self.section}
        for inside, unread in not_carried_over.unread(data, self.definition.fields, self.version):
            problem = f"{render_place(inside)} of its manifest: {unread.problem}"
            place = self.definition.at(*self.steps)
            self.definition.into.report(place, attrs.evolve(unread, problem=problem))

    def _check_trust(self, name: str) -> None:
        """Raise :class:`LoadError` for a bundle that is fetched if nothing says whose code may run."""
        conf = self.conf
        fetched = conf.enable_bundle_downloader and conf.bundle_base_url.startswith(("http:", "https:"))
        if fetched and not (conf.public_key_path or conf.allow_unsigned_bundles or self.options.compat):
            raise LoadError(
                f"bundle {name!r}",
                "is fetched, and nothing says whose code may run",
                "public_key_path, or allow_unsigned_bundles: true, in tyk.conf",
            )

    def _bundles(self) -> Bundles:
        """Return the bundles of a configuration: one object for all APIs asks a server that hangs once."""
        conf, known = self.conf, self.definition.into.bundles
        if conf not in known:
            known[conf] = Bundles(
                conf.folder / conf.middleware_path,
                conf.bundle_base_url,
                enabled=conf.enable_bundle_downloader and not self.options.offline,
                verify=not conf.bundle_insecure_skip_verify,
                public_key=conf.folder / conf.public_key_path if conf.public_key_path else None,
                skip_verify_existing=conf.skip_verify_existing_plugin_bundle,
                compat=self.options.compat,
            )
        return known[conf]

    def _hooks(self) -> Iterator[tuple[str, Place, Plugin]]:
        """Yield the hooks with their kinds and places, in running order."""
        entries = list(self._listed())
        driver = self.section.get("driver") or ""
        native = [one for one in entries if driver != "python" or _is_compiled(*one[::2])]
        rich = [one for one in entries if one not in native]
        if driver not in ("", "goplugin", "python") and any(not _is_compiled(*one[::2]) for one in native):
            self._error(("driver",), f"got {driver!r}", "goplugin or python")
            native = [one for one in native if _is_compiled(*one[::2])]
        for kind, steps, item in native:
            yield kind, steps, self._native(kind, steps, item)
        if rich:
            yield from self._python()

    def _listed(self) -> Iterator[tuple[str, Place, Mapping[str, object]]]:
        """Yield the enabled hooks of the section, whatever their driver."""
        for kind in ("pre", "auth_check", "post_key_auth", "post", "response"):
            value = self.section.get(kind)
            items = [value] if kind == "auth_check" and value else value or []
            if not isinstance(items, list):
                self._error((kind,), f"got {value!r}", "a list of hooks")
                continue
            for index, item in enumerate(items):
                inner: Place = (kind,) if kind == "auth_check" else (kind, index)
                if not isinstance(item, Mapping):
                    self._error(inner, f"got {item!r}", "a hook: name and path")
                elif item.get("disabled") or (kind == "auth_check" and not any(item.values())):
                    continue
                elif not isinstance(item.get("name"), str) or not item["name"]:
                    self._error((*inner, "name"), f"got {item.get('name')!r}", "the name of a function")
                else:
                    yield kind, self._steps(inner), item

    def _steps(self, inner: Place) -> Place:
        return (*self.steps, *inner) if self.bundle is None else self.steps

    def _error(self, inner: Place, problem: str, expected: str) -> None:
        where = render_place(("custom_middleware", *inner))
        in_bundle = "" if self.bundle is None else f"{where} of its manifest: "
        self.definition.error(self._steps(inner), in_bundle + problem, expected)

    def _native(self, kind: str, steps: Place, item: Mapping[str, object]) -> NativeHook:
        path, name = str(item.get("path") or ""), str(item["name"])
        if kind == "auth_check":
            function = self._function(steps, path, name)
            alone = not self._token_auth
            return AuthHook(kind, path, name, function, self.api, self.options.compat, alone=alone)
        return self._hook(kind, steps, path, name)

    def _hook(self, kind: str, steps: Place, path: str, name: str) -> NativeHook:
        function = self._function(steps, path, name)
        return _CLASSES.get(kind, RequestHook)(kind, path, name, function, self.api, self.options.compat)

    def _function(self, steps: Place, path: str, name: str) -> Function | LoadError:
        folder = self.bundle.folder if self.bundle else self.api.folder
        try:
            return self.lookup.function(path, name, folder, self.bundle is not None)
        except LoadError as error:
            if self.options.reports:
                self.definition.error(steps, str(error))
            return error

    def _python(self) -> Iterator[tuple[str, Place, Plugin]]:
        """Yield the hooks of Tyk's own Python plugins."""
        if self.conf.enable_coprocess is False:
            problem = "Python hooks, but coprocess_options.enable_coprocess is false"
            if self.options.compat:
                self.definition.warn(self.steps, f"are left out: {problem}")
            else:
                self.definition.error(self.steps, problem, "true, or no Python hooks")
            return
        from plugmw.dialects.tyk.python import python_hooks

        for section, folder, files, api in self._python_code():
            for kind, plugin in python_hooks(section, folder, files, api, self.options):
                yield kind, self._steps((kind,)), plugin

    def _python_code(self) -> Iterator[tuple[Mapping[str, object], Path, tuple[str, ...], Api]]:
        """Yield hooks with the folder, files and API that they are loaded from: of each bundle by itself."""
        if self.bundle is None:
            yield self.section, self.api.folder, self._files(), self.api
        for part in self.bundle.parts if self.bundle else ():
            api = attrs.evolve(self.api, bundle_hash=part.hash)
            yield part.manifest.custom_middleware, part.folder, part.manifest.file_list, api

    def _files(self) -> tuple[str, ...]:
        paths = (str(item.get("path") or "") for _, _, item in self._listed())
        return tuple(dict.fromkeys(path for path in paths if path))

    # -- authentication ---------------------------------------------------------------------------

    @property
    def _plugin_auth(self) -> bool:
        return any(getattr(self.definition.fields, name) for name in _PLUGIN_AUTH)

    @property
    def _token_auth(self) -> bool:
        """Whether Tyk would ask for a token: the definition says so, or nothing else authenticates."""
        hook = self._plugin_auth and any(kind == "auth_check" for kind, *_ in self._listed())
        return self.definition.fields.use_standard_auth or not hook

    def _authentication(self) -> None:
        if self.definition.fields.use_keyless:
            return
        if self._token_auth:
            plugin = TokenAuth(self.api, self.sessions, self.options.compat, **self._token_config())
            self._put(Entry(plugin, priority=BANDS["token"], instance="token"), ("auth",))
        fields = self.definition.fields
        rules = SessionRules(
            self.api,
            not fields.disable_rate_limit,
            not fields.disable_quota,
            self.options.compat,
            version=None if fields.version_data.not_versioned else self.version,
            matching=self.conf.matching(self.options.compat),
        )
        self._put(Entry(rules, priority=BANDS["session"], instance="session"), ("auth",))

    def _token_config(self) -> dict[str, object]:
        fields = self.definition.fields
        auth = fields.auth_configs.get("authToken") or fields.auth
        config: dict[str, object] = {name: value for name, value in as_dict(auth).items() if value}
        # As in Tyk, a name alone is enough.
        config["use_param"] = bool(config.get("use_param") or config.get("param_name"))
        config["use_cookie"] = bool(config.get("use_cookie") or config.get("cookie_name"))
        config["strip_auth_data"] = fields.strip_auth_data
        return config

    # -- endpoints and analytics ------------------------------------------------------------------

    def _endpoints(self) -> None:
        hooks = endpoints(self.definition, self.version)
        for count, (steps, endpoint, path, name) in enumerate(hooks):
            when = First([one for _, one, *_ in hooks[:count]], endpoint)
            self._entry("endpoint", self._hook("endpoint", steps, path, name), steps, count, when=when)

    def _analytics(self) -> None:
        steps: Place = ("analytics_plugin",)
        plugin = self.definition.fields.analytics_plugin
        if plugin.enable:
            # Its file may be in the bundle, like those of endpoints.
            hook = self._hook("analytics", steps, plugin.plugin_path, plugin.func_name)
            self._entry("analytics", hook, steps)


def _is_compiled(kind: str, item: Mapping[str, object]) -> bool:
    """Say whether a hook is native whatever the driver is: Tyk takes a response hook's ``.so`` for Go's."""
    return kind == "response" and str(item.get("path") or "").endswith(".so")
