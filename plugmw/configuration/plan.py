"""A checked configuration: entries, routes and runtime, or every error at once.

Reading a plan builds plugin objects but starts nothing, so it serves ``plugmw check`` as well as the
gateway, and a bad document changes nothing.
"""

from __future__ import annotations

from pathlib import Path as FilePath

import attrs

from plugmw.configuration import translators
from plugmw.configuration.crosschecks import check_guards, check_orders, check_references, check_scopes
from plugmw.configuration.entries import EntryReader
from plugmw.configuration.extras import Extras
from plugmw.configuration.problems import Problems
from plugmw.configuration.routes import read_routes, read_services
from plugmw.configuration.runtime import runtime_of
from plugmw.configuration.settings import Settings
from plugmw.documents import Document
from plugmw.documents.files import Source
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.kernel.identity import MemoryDirectory
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Runtime
from plugmw.loading.watching import Files, Modules, recording
from plugmw.routing.router import Route
from plugmw.schema import read
from plugmw.sources import Catalogue, Folder, PluginSource
from plugmw.upstream.services import Service


@attrs.define(eq=False)
class Plan:
    """A checked configuration, from which a gateway is built."""

    document: Document
    settings: Settings
    runtime: Runtime
    entries: list[Entry]
    routes: list[Route]
    services: dict[str, Service]
    catalogue: Catalogue
    #: Plugin objects that another generation of the gateway has too, with their scopes.
    shared: list[tuple[Plugin, tuple[str | None, ...]]] = attrs.field(factory=list)
    #: Warnings, in the form of ConfigError.
    warnings: list[ConfigError] = attrs.field(factory=list)
    #: The files that were read, with the hashes of their contents.
    files: Files = attrs.field(factory=dict)
    #: The modules that were loaded from files.
    modules: Modules = attrs.field(factory=dict)

    def bind_shared(self) -> None:
        """Lend to the shared plugins what this configuration lends: it is about to be in force."""
        for plugin, scope in self.shared:
            plugin.scope = scope
            plugin.bind(self.runtime)


def read_plan(source: Source | Document, extras: Extras | None = None) -> Plan:
    """Read a path, a mapping, a Document or None; raises :class:`ConfigErrors` with everything wrong."""
    extras = extras or Extras()
    with recording() as record:
        document = translators.read(source, extras.dialect, extras.options)
        plan = _plan(document, extras)
    plan.files, plan.modules = record.files, record.modules
    return plan


def _plan(document: Document, extras: Extras) -> Plan:
    problems = Problems(document)
    settings = _settings(document, problems)
    runtime = runtime_of(settings, document, extras, problems)
    catalogue = _catalogue(settings, document, problems)
    services = read_services(settings.services, problems)
    routes = read_routes(_items(document, "routes", problems), services, document.text, problems)
    reader = EntryReader(document, catalogue, runtime, extras, problems)
    entries = list(reader.read(_items(document, "plugins", problems), settings))
    listed = runtime.consumers if extras.consumers is None else None
    # A store is not opened to see whom it knows.
    only_list = listed if isinstance(listed, MemoryDirectory) else None
    check_references(entries, routes, services, only_list, problems)
    check_scopes(entries, problems)
    check_orders(entries, routes, problems)
    if problems.errors:
        # A plugin that is not known may be in a file that could not be loaded.
        raise ConfigErrors([*problems.errors, *problems.broken_files])
    check_guards(entries, routes, only_list, problems)
    warnings = [*problems.warnings, *problems.broken_files]
    return Plan(document, settings, runtime, entries, routes, services, catalogue, reader.shared, warnings)


def _items(document: Document, name: str, problems: Problems) -> list[object]:
    """Return a list of the document whose items are read one by one, each with its problems."""
    value = document.data.get(name, [])
    if isinstance(value, list):
        return value
    problems.error((name,), f"got {type(value).__name__}", "a list")
    return []


def _settings(document: Document, problems: Problems) -> Settings:
    lists = ("plugins", "routes", "consumers")
    fields = {key: value for key, value in document.data.items() if key not in lists}
    settings, wrong = read(Settings, fields, text=document.text)
    problems.extend(wrong)
    if settings is None:
        # Good fields are read all the same, so that everything wrong is reported at once.
        bad = {path[0] for path, *_ in wrong}
        fields = {key: value for key, value in fields.items() if key not in bad}
        settings = read(Settings, fields, text=document.text)[0] or Settings()
    return settings


def _catalogue(settings: Settings, document: Document, problems: Problems) -> Catalogue:
    base = FilePath(document.source).parent if document.source else FilePath()
    sources: list[PluginSource] = []
    for index, item in enumerate(settings.folders):
        folder = Folder(base / item.path, item.pattern)
        sources.append(folder)
        for problem in folder.errors:
            error = document.error(("folders", index), str(problem))
            (problems.errors if settings.strict else problems.broken_files).append(error)
    if settings.pluginservers:
        sources.append(_servers(settings.pluginservers, base, document, problems))
    return Catalogue(sources)


def _servers(
    items: list[dict[str, object]], base: FilePath, document: Document, problems: Problems
) -> PluginSource:
    """Ask the plugin servers which plugins they have; one that cannot say is an error."""
    from plugmw.dialects.kong.servers import read_servers

    servers, wrong = read_servers(items, base, document.text)
    problems.extend(wrong)
    for index, problem in servers.errors:
        problems.error(("pluginservers", index), str(problem))
    return servers
