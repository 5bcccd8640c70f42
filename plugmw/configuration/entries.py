"""The entries of a gateway: of the document, of a dialect, or of code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import attrs

from plugmw.configuration.certificates import Certificates
from plugmw.configuration.extras import Extras, Item, own
from plugmw.configuration.problems import CODE, Problems
from plugmw.configuration.settings import EntryConfig, Settings
from plugmw.documents import Document
from plugmw.errors import ConfigError, ConfigErrors, LoadError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin, check_class
from plugmw.kernel.runtime import Runtime
from plugmw.routing.conditions import compiled
from plugmw.schema import read
from plugmw.schema.messages import Path, steps
from plugmw.sources import Catalogue


class EntryReader:
    """Builds the entries and configures their plugins."""

    def __init__(
        self, document: Document, catalogue: Catalogue, runtime: Runtime, extras: Extras, problems: Problems
    ) -> None:
        self._document = document
        self._catalogue = catalogue
        self._runtime = runtime
        self._extras = extras
        self._problems = problems
        #: Plugin objects that another reading has configured, with their scopes here; not bound yet.
        self.shared: list[tuple[Plugin, tuple[str | None, ...]]] = []

    def read(self, listed: list[object], settings: Settings) -> Iterator[Entry]:
        """Yield every entry that can be built, configured; problems are collected."""
        for index, item in enumerate(listed):
            yield from self._listed(item, ("plugins", index))
        for path, entry in self._document.entries:
            yield from self._ready(entry, path)
        for index, item in enumerate(self._extras.plugins):
            yield from self._coded(item, (CODE, index))
        if settings.certificates:
            yield from self._ready(Entry(Certificates(settings.certificates)), ("certificates",), ())

    def _listed(self, item: object, path: Path) -> Iterator[Entry]:
        """Yield the entry that a mapping describes."""
        text = None if path[0] == CODE else self._document.text
        form, wrong = read(EntryConfig, item, path, text)
        self._problems.extend(wrong)
        if not isinstance(item, Mapping):
            return  # which the form has reported
        name = item.get("name")
        if not isinstance(name, str) or not name:
            return
        try:
            cls = self._catalogue.find(name)
        except LoadError as error:
            where = "" if error.source == name else f"{error.source}: "
            self._problems.error((*path, "name"), where + error.what, error.expected)
            return
        fields = item.get("config", {})
        if not isinstance(fields, Mapping):
            return  # which the form has reported
        config, wrong = read(cls.Config, fields, (*path, "config"), text)
        self._problems.extend(wrong)
        if config is None or form is None:
            return
        entry = Entry(cls.load(config))
        for name in ("route", "service", "consumer", "priority", "instance", "enabled", "on_error"):
            setattr(entry, name, getattr(form, name))
        entry.before, entry.after = tuple(form.before), tuple(form.after)
        entry.when = self._condition(form, path)
        yield from self._ready(entry, path, (*path, "config"))

    def _condition(self, form: EntryConfig, path: Path) -> Callable[[Exchange], bool] | None:
        try:
            return compiled(form.when) if form.when is not None else None
        except LoadError as error:
            self._problems.error((*path, "when", "call"), str(error))
            return None

    def _coded(self, item: Item, path: Path) -> Iterator[Entry]:
        """Yield the entry of a plugin object, an entry, or a mapping as in a document."""
        if isinstance(item, Mapping):
            yield from self._listed(item, path)
            return
        # A copy: the entry may be an argument of another gateway too.
        entry = attrs.evolve(item) if isinstance(item, Entry) else Entry(item)
        plugin: object = entry.plugin
        if not isinstance(plugin, Plugin):
            hint = "; call it" if isinstance(plugin, type) else ""
            self._problems.error(path, f"got {plugin!r}", f"a plugin object, an Entry or a mapping{hint}")
            return
        try:
            check_class(type(plugin), type(plugin).__name__)
        except LoadError as error:
            self._problems.error(path, str(error))
            return
        if entry.priority is not None and not math.isfinite(entry.priority):
            self._problems.error((*path, "priority"), f"got {entry.priority!r}", "a number")
            return
        owned = own(plugin, self._extras.owner)
        if owned is None:
            problem = f'got an object of "{plugin.name}" that is in another gateway'
            self._problems.error(path, problem, "an object of its own for each gateway")
            return
        entry.plugin = owned
        yield from self._ready(entry, path)

    def _ready(self, entry: Entry, path: Path, config: Path | None = None) -> Iterator[Entry]:
        """Yield the entry when its plugin is configured; ``config`` is where its fields stand."""
        entry.path = path
        entry.where = entry.where or self._problems.where(path)
        self._configure(entry, path if config is None else config)
        yield entry

    def _configure(self, entry: Entry, path: Path) -> None:
        plugin, runtime = entry.plugin, self._runtime
        runtime.identity = runtime.identity or bool(plugin.authenticates and entry.enabled)
        scope = (entry.instance, *entry.scope)
        if id(plugin) in self._extras.used:
            # It serves another generation: left as it is, as this one may be refused.
            self.shared.append((plugin, scope))
            return
        plugin.scope = scope
        plugin.bind(runtime)
        _warn_of_inert(plugin)
        try:
            plugin.configure()
        except ConfigErrors as errors:
            for error in errors.errors:
                self._problems.error((*path, *steps(error.path)), error.problem, error.expected)
        except ConfigError as error:
            self._problems.error((*path, *steps(error.path)), error.problem, error.expected)
        except LoadError as error:
            self._problems.error(path, str(error))
        except Exception as error:
            # A mistake of the plugin's author, who needs the traceback.
            problem = self._problems.at(path, f"{type(error).__name__} in configure: {error}")
            problem.__cause__ = error
            self._problems.errors.append(problem)
            runtime.logger.error("%s: configure of %s failed", entry.where, plugin.name, exc_info=error)


def _warn_of_inert(plugin: Plugin) -> None:
    """Log which fields of a plugin's configuration are given and do nothing."""
    config = plugin.config
    for declared in attrs.fields(type(config)) if attrs.has(type(config)) else ():
        if declared.metadata.get("inert") and getattr(config, declared.name) != declared.default:
            plugin.logger.warning("%s: %s does nothing here", plugin.name, declared.name)
