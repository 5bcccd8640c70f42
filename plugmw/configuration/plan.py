"""A checked configuration: entries, routes and runtime, or every error at once.

Reading a plan builds plugin objects but starts nothing, so it serves ``plugmw check`` as well as the
gateway, and a bad document changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final

import attrs

from plugmw import foreign
from plugmw.certificates import Certificates
from plugmw.conditions import compiled
from plugmw.configuration.settings import EntryConfig, RouteConfig, Settings
from plugmw.consumers import parse
from plugmw.directories import JoinedDirectory, directory, open_directory
from plugmw.documents import Document
from plugmw.documents.document import render_place
from plugmw.documents.translated import Options
from plugmw.errors import ConfigError, ConfigErrors, LoadError, OrderError
from plugmw.identity import Directory, MemoryDirectory
from plugmw.order import Entry, slots
from plugmw.plugin import Plugin, check_class
from plugmw.routing import Route
from plugmw.runtime import Runtime
from plugmw.schema import as_dict, read
from plugmw.schema.messages import Path, Problem, steps, suggest
from plugmw.services import Service
from plugmw.sources import Catalogue, Folder
from plugmw.stores import open_store
from plugmw.trust import Trusted
from plugmw.watching import Files, Modules, recording

#: The source in messages about what was given in code, and the first step of its paths.
CODE: Final = "code"
Placed = tuple[Path, Entry]


@attrs.define(eq=False)
class Plan:
    """What a gateway is built from."""

    document: Document
    settings: Settings
    runtime: Runtime
    entries: list[Entry]
    routes: list[Route]
    services: dict[str, Service]
    catalogue: Catalogue
    #: Things that are allowed but are probably not meant, as errors that were not raised.
    warnings: list[ConfigError] = attrs.field(factory=list)
    #: The files it was made from, with the hashes of what they held.
    files: Files = attrs.field(factory=dict)
    #: The modules it has loaded from files.
    modules: Modules = attrs.field(factory=dict)


@attrs.define(eq=False)
class Extras:
    """What is given in code beside the document."""

    plugins: Sequence[Any] = ()
    consumers: Any = None
    store: Any = None
    logger: Any = None
    clock: Callable[[], float] | None = None
    #: Whose document it is; its content says so too.
    dialect: str | None = None
    options: Options = attrs.field(factory=Options)
    #: Plugin objects that another reading has configured.
    used: frozenset[int] = frozenset()

    def again(self) -> Extras:
        """Return what is given to a further reading: its own copies of the plugin objects.

        A class with an ``__init__`` of its own cannot be copied; its object is in both, as it is.
        """
        plugins = [_copied(item) for item in self.plugins]
        used = frozenset(id(_plugin(item)) for item in self.plugins)
        return attrs.evolve(self, plugins=plugins, used=used)


def _copied(item: Any) -> Any:
    plugin = _plugin(item)
    if not isinstance(plugin, Plugin) or type(plugin).__init__ is not Plugin.__init__:
        return item
    copy = type(plugin).load(plugin.config)
    return attrs.evolve(item, plugin=copy) if isinstance(item, Entry) else copy


def _plugin(item: Any) -> Any:
    return item.plugin if isinstance(item, Entry) else item


def read_plan(source: Any, extras: Extras | None = None) -> Plan:
    """Read a path, a mapping, a Document or None; raises :class:`ConfigErrors` with everything wrong."""
    extras = extras or Extras()
    with recording() as record:
        document = foreign.read(source, extras.dialect, extras.options)
        made = _Reading(document, extras).plan()
    made.files, made.modules = record.files, record.modules
    return made


class _Reading:
    """One pass over a document; collects errors, raises once."""

    def __init__(self, document: Document, extras: Extras) -> None:
        self.document = document
        self.extras = extras
        self.errors: list[ConfigError] = list(document.errors)
        self.warnings: list[ConfigError] = list(document.warnings)
        #: Plugin files that could not be loaded, which is no error by itself unless `strict`.
        self.broken_files: list[ConfigError] = []

    def error(self, path: Path, problem: str, expected: str | None = None) -> None:
        self.errors.append(self._error(path, problem, expected))

    def _error(self, path: Path, problem: str, expected: str | None = None) -> ConfigError:
        if path[:1] == (CODE,):
            return ConfigError(render_place(("plugins", *path[1:])), problem, expected, CODE)
        return self.document.error(path, problem, expected)

    def take(self, problems: Iterable[Problem]) -> None:
        for path, found, expected in problems:
            self.error(path, found, expected)

    def plan(self) -> Plan:
        data = self.document.data
        lists = ("plugins", "routes", "consumers")
        given = {key: value for key, value in data.items() if key not in lists}
        settings, problems = read(Settings, given, text=self.document.text)
        self.take(problems)
        if settings is None:
            # What is good in itself is looked at all the same: everything wrong is told at once.
            bad = {path[0] for path, *_ in problems}
            given = {key: value for key, value in given.items() if key not in bad}
            settings = read(Settings, given, text=self.document.text)[0] or Settings()
        runtime = self._runtime(settings)
        catalogue = self._catalogue(settings)
        services = self._services(settings)
        routes = self._routes(self._list("routes"), services)
        placed = self._entries(self._list("plugins"), catalogue, runtime)
        placed += self._ready_made(runtime)
        placed += self._coded(catalogue, runtime)
        placed += self._certificates(settings, runtime)
        entries = [entry for _, entry in placed]
        self._references(placed, routes, services, runtime)
        self._duplicates(placed)
        self._orders(entries, routes)
        if self.errors:
            # A plugin that is not known may be in a file that could not be loaded.
            raise ConfigErrors([*self.errors, *self.broken_files])
        self.warnings += self.broken_files
        return Plan(self.document, settings, runtime, entries, routes, services, catalogue, self.warnings)

    def _list(self, name: str) -> list[Any]:
        value = self.document.data.get(name, [])
        if isinstance(value, list):
            return value
        self.error((name,), f"got {type(value).__name__}", "a list")
        return []

    def _runtime(self, settings: Settings) -> Runtime:
        runtime = Runtime(
            trusted=self._trusted(settings),
            store_url=self.extras.store or settings.store,
            max_request_body=settings.max_request_body,
            max_response_body=settings.max_response_body,
            answer_crashes=settings.answer_crashes,
            remote_user=settings.remote_user or None,
        )
        runtime.queues.shutdown_timeout = settings.shutdown_timeout
        if self.extras.logger is not None:
            runtime.logger = self.extras.logger
        if self.extras.clock is not None:
            runtime.clock = self.extras.clock
        if self.extras.consumers is not None:
            self._given_consumers(runtime, settings)
        else:
            listed, problems = parse(self._list("consumers"), text=self.document.text)
            self.take(problems)
            runtime.consumers = self._consumers(listed, settings)
        for url in dict.fromkeys(url for url in (settings.store, runtime.store_url) if isinstance(url, str)):
            self._check_store(url)
        return runtime

    def _given_consumers(self, runtime: Runtime, settings: Settings) -> None:
        for name in ("consumers", "consumer_store"):
            if self._list("consumers") if name == "consumers" else settings.consumer_store:
                self.error((name,), "given here and in code", "one of the two")
        try:
            runtime.consumers = directory(self.extras.consumers)
        except ConfigErrors as errors:
            self.errors += errors.errors
        except ConfigError as error:
            self.errors.append(error)

    def _consumers(self, listed: MemoryDirectory, settings: Settings) -> Directory:
        """Return the list, and the store behind it if there is one."""
        if not settings.consumer_store:
            return listed
        try:
            store = open_directory(settings.consumer_store)
        except ConfigError as error:
            self.error(("consumer_store",), error.problem, error.expected)
            return listed
        return JoinedDirectory(listed, store) if listed.listed() else store

    def _check_store(self, url: str) -> None:
        try:
            if url != "auto":
                open_store(url)
        except ConfigError as error:
            self.error(("store",), error.problem, error.expected)

    def _trusted(self, settings: Settings) -> Trusted:
        names = {"header": settings.real_ip_header, "recursive": settings.real_ip_recursive}
        if isinstance(settings.trusted, int):
            if settings.trusted < 0:
                self.error(("trusted",), f"got {settings.trusted}", "a number of proxies, 0 or more")
            return Trusted(hops=max(0, settings.trusted), **names)  # type: ignore[arg-type]
        try:
            return Trusted(settings.trusted, **names)  # type: ignore[arg-type]
        except ValueError as error:
            self.error(("trusted",), str(error), "networks like 10.0.0.0/8, and unix:")
            return Trusted()

    def _catalogue(self, settings: Settings) -> Catalogue:
        base = FilePath(self.document.source).parent if self.document.source else FilePath()
        sources: list[Any] = []
        for index, item in enumerate(settings.folders):
            folder = Folder(base / item.path, item.pattern)
            sources.append(folder)
            for problem in folder.errors:
                error = self.document.error(("folders", index), str(problem))
                (self.errors if settings.strict else self.broken_files).append(error)
        if settings.pluginservers:
            sources.append(self._servers(settings.pluginservers, base))
        return Catalogue(sources)

    def _servers(self, items: list[dict[str, Any]], base: FilePath) -> Any:
        """Ask the plugin servers which plugins they have; one that cannot say is an error."""
        from plugmw.dialects.kong.servers import read_servers

        servers, problems = read_servers(items, base, self.document.text)
        self.take(problems)
        for index, problem in servers.errors:
            self.error(("pluginservers", index), str(problem))
        return servers

    def _services(self, settings: Settings) -> dict[str, Service]:
        services: dict[str, Service] = {}
        for index, made in enumerate(settings.services):
            if made.name in services:
                self.error(("services", index, "name"), f"got {made.name!r} a second time", "a unique name")
            services[made.name] = Service(**as_dict(made))
        return services

    def _routes(self, items: list[Any], services: Mapping[str, Service]) -> list[Route]:
        routes: dict[str, Route] = {}
        for index, item in enumerate(items):
            made, problems = read(RouteConfig, item, ("routes", index), self.document.text)
            self.take(problems)
            if made is None:
                continue
            if made.name in routes:
                self.error(("routes", index, "name"), f"got {made.name!r} a second time", "a unique name")
            if made.service is not None and services and made.service not in services:
                problem = f'no service "{made.service}"{suggest(made.service, services)}'
                self.error(("routes", index, "service"), problem)
            routes[made.name] = Route(**as_dict(made))
        return list(routes.values())

    def _certificates(self, settings: Settings, runtime: Runtime) -> list[Placed]:
        """Return the entry that chooses among ``certificates``, if there are any."""
        if not settings.certificates:
            return []
        path: Path = ("certificates",)
        entry = Entry(Certificates(settings.certificates), where=self._where(path))
        self._configure(entry, (), runtime)
        return [(path, entry)]

    # -- entries ----------------------------------------------------------------------------------

    def _entries(self, items: list[Any], catalogue: Catalogue, runtime: Runtime) -> list[Placed]:
        made = []
        for index, item in enumerate(items):
            path = ("plugins", index)
            entry = self._entry(item, path, catalogue, runtime)
            if entry is not None:
                made.append((path, entry))
        return made

    def _entry(self, item: Any, path: Path, catalogue: Catalogue, runtime: Runtime) -> Entry | None:
        text = None if path[0] == CODE else self.document.text
        form, problems = read(EntryConfig, item, path, text)
        self.take(problems)
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not name:
            return None
        try:
            found = catalogue.find(name)
        except LoadError as error:
            where = "" if error.source == name else f"{error.source}: "
            self.error((*path, "name"), where + error.what, error.expected)
            return None
        given = item.get("config", {})
        if not isinstance(given, Mapping):
            return None  # which the form has told
        config, problems = read(found.Config, given, (*path, "config"), text)
        self.take(problems)
        if config is None or form is None:
            return None
        plugin = found.load(config)
        entry = Entry(plugin, where=self._where(path))
        for name in ("route", "service", "consumer", "priority", "instance", "enabled", "on_error"):
            setattr(entry, name, getattr(form, name))
        entry.before, entry.after = tuple(form.before), tuple(form.after)
        entry.when = self._condition(form, path)
        self._configure(entry, (*path, "config"), runtime)
        return entry

    def _condition(self, form: EntryConfig, path: Path) -> Callable[[Any], bool] | None:
        try:
            return compiled(form.when) if form.when is not None else None
        except LoadError as error:
            self.error((*path, "when", "call"), str(error))
            return None

    def _where(self, path: Path) -> str:
        error = self._error(path, "")
        return f"{error.source or 'config'}: {error.path}"

    def _configure(self, entry: Entry, path: Path, runtime: Runtime) -> None:
        plugin = entry.plugin
        runtime.identity = runtime.identity or bool(plugin.authenticates and entry.enabled)
        plugin.scope = (entry.instance, *entry.scope)
        plugin.bind(runtime)
        if id(plugin) in self.extras.used:
            return
        try:
            plugin.configure()
        except ConfigErrors as errors:
            for error in errors.errors:
                self.error((*path, *steps(error.path)), error.problem, error.expected)
        except ConfigError as error:
            self.error((*path, *steps(error.path)), error.problem, error.expected)
        except LoadError as error:
            self.error(path, str(error))
        except Exception as error:
            self.error(path, f"{type(error).__name__} in configure: {error}")

    def _ready_made(self, runtime: Runtime) -> list[Placed]:
        """Take the entries that a dialect has made itself."""
        made: list[Placed] = []
        for path, entry in getattr(self.document, "entries", ()):
            entry.where = entry.where or self._where(path)
            self._configure(entry, path, runtime)
            made.append((path, entry))
        return made

    def _coded(self, catalogue: Catalogue, runtime: Runtime) -> list[Placed]:
        """Take the plugins given in code: plugin objects, entries, or mappings as in a document."""
        made: list[Placed] = []
        for index, item in enumerate(self.extras.plugins):
            path: Path = (CODE, index)
            if isinstance(item, Mapping):
                entry = self._entry(item, path, catalogue, runtime)
                if entry is not None:
                    made.append((path, entry))
                continue
            # A copy: what is given may be given to another gateway too.
            entry = attrs.evolve(item) if isinstance(item, Entry) else Entry(item)
            if not isinstance(entry.plugin, Plugin):
                hint = "; call it" if isinstance(entry.plugin, type) else ""
                self.error(path, f"got {entry.plugin!r}", f"a plugin object, an Entry or a mapping{hint}")
                continue
            try:
                check_class(type(entry.plugin), type(entry.plugin).__name__)
            except LoadError as error:
                self.error(path, str(error))
                continue
            if entry.priority is not None and not math.isfinite(entry.priority):
                self.error((*path, "priority"), f"got {entry.priority!r}", "a number")
                continue
            entry.where = entry.where or self._where(path)
            self._configure(entry, path, runtime)
            made.append((path, entry))
        return made

    # -- checks across entries --------------------------------------------------------------------

    def _references(
        self,
        placed: list[Placed],
        routes: list[Route],
        known_services: Iterable[str],
        runtime: Runtime,
    ) -> None:
        entries = [entry for _, entry in placed]
        names = [route.name for route in routes]
        services = sorted({s for s in (*known_services, *(route.service for route in routes)) if s})
        for path, entry in placed:
            if entry.route is not None and entry.route not in names:
                self.error((*path, "route"), f'no route "{entry.route}"{suggest(entry.route, names)}')
            if entry.service is not None and entry.service not in services:
                self.error(
                    (*path, "service"), f'no service "{entry.service}"{suggest(entry.service, services)}'
                )
            if entry.consumer is not None:
                if entry.plugin.no_consumer:
                    self.error((*path, "consumer"), f"{entry.plugin.name} cannot be limited to a consumer")
                elif self._unknown(entry.consumer, runtime):
                    self.error((*path, "consumer"), f'no consumer "{entry.consumer}"', "one of consumers")
            known = {other.name for other in entries} | {other.plugin.name for other in entries}
            for side in ("before", "after"):
                for name in getattr(entry, side):
                    if name not in known:
                        self.error((*path, side), f'no entry "{name}"{suggest(name, known)}')
            if hasattr(entry.plugin, "rewrite") and not entry.is_global:
                text = "runs in rewrite, before routing: in that phase a scoped entry is not called"
                self.warnings.append(self._error(path, text))

    def _unknown(self, name: str, runtime: Runtime) -> bool:
        """Say whether a consumer is missing in the list; a store is not opened to see."""
        listed = runtime.consumers
        given = self.extras.consumers is not None
        return not given and isinstance(listed, MemoryDirectory) and listed.consumer(name) is None

    def _duplicates(self, placed: list[Placed]) -> None:
        seen: dict[Any, Path] = {}
        for path, entry in placed:
            if not entry.enabled or entry.when is not None:
                continue
            first = seen.setdefault((entry.name, *entry.scope), path)
            if first != path:
                problem = f"{entry.name} is configured for the same scope at {self._where(first)}"
                self.error(path, problem, "another scope, or an `instance` name of its own")

    def _orders(self, entries: list[Entry], routes: list[Route]) -> None:
        """Arrange every chain that there will be; report a cycle once."""
        told: set[str] = set()
        for route in (None, *routes):
            try:
                slots(entries, *((route.name, route.service) if route else (None, None)))
            except OrderError as error:
                if str(error) not in told:
                    told.add(str(error))
                    self.error(("plugins",), str(error))
