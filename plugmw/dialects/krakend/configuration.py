"""``krakend.json``: check it, load its plugins, and make entries of its endpoints and server plugins.

Version 3, as JSON, YAML or TOML. What KrakenD refuses is refused, all of it at once and each with its
place; what it accepts and plugmw cannot do is an error where it decides who may pass, a warning otherwise
(:mod:`~plugmw.dialects.krakend.namespaces`). So are fields and namespaces that nothing reads
(:mod:`~plugmw.dialects.krakend.linting`).

Fields are read in any case, names of namespaces as they are written. ``KRAKEND_<KEY>`` in the environment
replaces a text, number or boolean that the root of the file has. A host ``app:`` is the wrapped app. The
namespace ``plugmw`` of the root has ``strict`` and ``compat``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from plugmw.dialects.krakend import linting
from plugmw.dialects.krakend.checking import Definitions
from plugmw.dialects.krakend.endpoints import Endpoints
from plugmw.dialects.krakend.fields import File, Plugins, RouterFields, Switches
from plugmw.dialects.krakend.handlers import names_of
from plugmw.dialects.krakend.http_server import Injected
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.model import Router, Service
from plugmw.dialects.krakend.namespaces import ROUTER, SWITCHES, normalised, spelled
from plugmw.dialects.krakend.reading import Reading, override, weak
from plugmw.dialects.krakend.registry import CLIENT, HANDLER, MODIFIER, Kind
from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.documents.shapes import fold, folded
from plugmw.documents.translated import Options, Translated
from plugmw.kernel.order import Entry
from plugmw.loading.watching import note
from plugmw.schema import as_dict, fields_of
from plugmw.schema.messages import suggest

VERSION: Final = 3
_MIGRATED: Final = "version 3: krakend-config-migrator writes a file of version 2 anew"
_CLIENT_CERTIFICATES: Final = ("enable_mtls", "ca_certs")


def translate(document: Document, options: Options) -> Translated:
    """Return the gateway document for a KrakenD file, with what was wrong in ``errors`` and ``warnings``."""
    if document.source is not None:
        override(document, os.environ)
    # Of the namespaces the router alone is read in any case, as by the original.
    reading = Reading(folded(document, File), options)
    file = reading.part(File, reading.document.data, ())
    for steps, unread in linting.unread(reading.document.data):
        reading.report(steps, unread)
    options = _switched(reading, file, options)
    router = reading.namespace(RouterFields, file.extra_config, ROUTER)
    service = _service(reading, file, router, options)
    plugins = _Plugins(reading, service, options)
    place: Place = ("extra_config", spelled(file.extra_config, ROUTER), "trusted_proxies")
    reading.native["trusted"], reading.places[("trusted",)] = router.trusted_proxies, place
    if not reading.errors:
        reading.entries += plugins.entries()
    return reading.translated()


def _switched(reading: Reading, file: File, options: Options) -> Options:
    """Return the options with what the namespace ``plugmw`` adds to them."""
    known = [field.name for field in fields_of(Switches)]
    given = file.extra_config.get(SWITCHES)
    for key in given if isinstance(given, Mapping) else ():
        if key not in known:
            reading.error(("extra_config", SWITCHES, key), f'unknown field "{key}"{suggest(key, known)}')
    switches = reading.namespace(Switches, file.extra_config, SWITCHES)
    return options.switched(switches.strict, switches.compat)


def _service(reading: Reading, file: File, router: RouterFields, options: Options) -> Service:
    version = weak(int, file.version)
    if version != VERSION:
        problem = f"unsupported version: {file.version!r} (want: {VERSION})"
        reading.error(("version",), problem, _MIGRATED if version in (1, 2) else None)
    reading.features(file.extra_config, (), "service")
    _leave_out(reading, file)
    plugin = reading.part(Plugins, file.plugin or {}, ("plugin",))
    return Service(
        name=file.name,
        endpoints=list(Definitions(reading, file, options.has_app).endpoints()),
        router=_router(reading, router, file.extra_config),
        debug_endpoint=file.debug_endpoint,
        echo_endpoint=file.echo_endpoint,
        folder=plugin.folder if file.plugin is not None else None,
        pattern=plugin.pattern,
        extra_config=normalised(file.extra_config),
    )


def _leave_out(reading: Reading, file: File) -> None:
    """Report fields of the root that are not carried over."""
    if file.tls and any(value and fold(key) in _CLIENT_CERTIFICATES for key, value in file.tls.items()):
        reading.error(("tls",), "certificates of clients are not asked for here", "that in the server")
    elif file.tls:
        reading.warn(("tls",), "is left out: TLS belongs to the server")
    if file.client_tls:
        reading.warn(("client_tls",), "is left out: backends are verified by the system's certificates")
    if file.allow_insecure_connections:
        reading.warn(("allow_insecure_connections",), "is left out: certificates are always verified")
    if file.async_agent:
        reading.warn(("async_agent",), "is left out: there are no consumers of queues")


def _router(reading: Reading, fields: RouterFields, extra_config: Mapping[str, object]) -> Router:
    name = spelled(extra_config, ROUTER)
    place: Place = ("extra_config", name)
    for status in fields.error_body:
        if status not in ("404", "405"):
            reading.error((*place, "error_body", status), f"got {status!r}", "404 or 405")
    if not fields.health_path.startswith("/"):
        reading.error((*place, "health_path"), f"got {fields.health_path!r}", "a path that starts with /")
    written = extra_config.get(name)
    reading.inside(written, place, RouterFields)
    bodies = {int(status): body for status, body in fields.error_body.items() if status.isdecimal()}
    values = {name: value for name, value in as_dict(fields).items() if name != "trusted_proxies"}
    return Router(**{**values, "error_body": bodies})


class _Plugins:
    """The plugins of one file: loaded, compared with the names that are asked for, made into entries."""

    def __init__(self, reading: Reading, service: Service, options: Options) -> None:
        self.reading = reading
        self.service = service
        self.options = options
        base = options.logger or logging.getLogger("plugmw")
        # The logger that the endpoints will have, so that plugins get one logger and not two.
        self.loader = Loader(base.getChild(Endpoints.name) if isinstance(base, logging.Logger) else base)
        if service.folder is not None:
            self._load(service.folder)
        self._check_names()

    def entries(self) -> Iterator[tuple[Place, Entry]]:
        """Yield the entries of the endpoints and, where the file has some, of the server plugins."""
        endpoints = _ServiceEndpoints.of(self.service, self.loader, self.options)
        yield ("endpoints",), Entry(endpoints)
        alias = HANDLER.namespaces[0]
        if alias in self.service.extra_config:
            place: Place = ("extra_config", spelled(self.reading.document.data["extra_config"], alias))
            endpoints.server = Injected.of(
                self.service.extra_config[alias], self.loader, self.options.refuses
            )
            yield place, Entry(endpoints.server)

    def _missing(self, place: Place, problem: str, expected: str | None = None) -> None:
        """Report what KrakenD would only log: an error if ``strict``, else a warning."""
        (self.reading.error if self.options.refuses else self.reading.warn)(place, problem, expected)

    def _load(self, written: str) -> None:
        """Load a folder, relative to where the server runs as in KrakenD, or else to the file."""
        if not written:
            self._missing(("plugin", "folder"), "missing", "the folder of the plugins")
            return
        folder = Path(written)
        beside = Path(self.reading.document.source or "").parent / folder
        if not folder.is_dir() and beside.is_dir():
            folder = beside
        note(folder)
        pattern = self.service.pattern
        self.loader.load_folder(str(folder), pattern)
        if (
            pattern == ".so"
            and folder.is_dir()
            and not any(pattern in path.name for path in folder.iterdir())
        ):
            wanted = 'the text in the names of Python files, such as ".py"'
            self._missing(("plugin", "pattern"), f"got {pattern!r}, which no file of the folder has", wanted)
        for error in self.loader.errors:
            self._missing(("plugin", "folder"), str(error))

    def _check_names(self) -> None:
        """Report plugins that are named and not registered."""
        self._check(self.service.extra_config, (), HANDLER)
        for endpoint in self.service.endpoints:
            self._check(endpoint.extra_config, endpoint.place, MODIFIER)
            for backend in endpoint.backend:
                self._check(backend.extra_config, backend.place, MODIFIER)
                self._check(backend.extra_config, backend.place, CLIENT)

    def _check(self, extra_config: Mapping[str, object], holder: Place, kind: Kind) -> None:
        alias = kind.namespaces[0]
        if alias not in extra_config:
            return
        place: Place = (*holder, "extra_config", self._spelled(holder, alias))
        asked = extra_config[alias]
        if not isinstance(asked, Mapping):
            self._missing(place, f"got {asked!r}", "a mapping")
            return
        name, known = asked.get("name"), self.loader.register.names(kind)
        names = names_of(asked)
        if not names or (kind is CLIENT and not isinstance(name, str)):
            wanted = "the name of one plugin" if kind is CLIENT else "a list of names of plugins"
            self._missing((*place, "name"), "missing" if name is None else f"got {name!r}", wanted)
            return
        for one in names:
            if one not in known:
                self._missing((*place, "name"), f'no plugin "{one}"{suggest(one, known)}')

    def _spelled(self, holder: Place, alias: str) -> str:
        here: Any = self.reading.document.data
        for step in holder:
            here = here[step]
        return spelled(here["extra_config"], alias)


class _ServiceEndpoints(Endpoints):
    """The endpoints, and then the server plugins outside of them: the order of the original's start."""

    server: Injected | None = None

    def init_worker(self) -> None:
        super().init_worker()
        if self.server is not None:
            self.server.inject()

    def close(self) -> None:
        super().close()
        self.loader.context.done.set()
