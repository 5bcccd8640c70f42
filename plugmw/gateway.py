"""The gateway: a configuration and an app become one WSGI callable with a compiled chain per route.

app = Gateway(app, "gateway.yaml")
app = Gateway(app, plugins=[KeyAuth(key_names=["apikey"]), Entry(Cors(), route="api")])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

import attrs

from plugmw.configuration.extras import Extras, Item
from plugmw.configuration.plan import Plan
from plugmw.configuration.problems import CODE
from plugmw.dispatch import compile_chain, no_app
from plugmw.documents.translated import Options
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import inject
from plugmw.kernel.worker import in_force, plugins_of
from plugmw.reload.generations import Generation, Holdings, leased, modules_of
from plugmw.reload.reloading import Reloading

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from typing_extensions import Self, Unpack

    from plugmw.auth.directories import Consumers
    from plugmw.documents import Document
    from plugmw.documents.files import Source
    from plugmw.kernel.runtime import Logger
    from plugmw.stores import Store

#: Where apps and middlewares keep what is inside of them.
_INSIDE: Final = ("app", "wsgi_app", "application", "__wrapped__")

Dialect = Literal["kong", "krakend", "tyk", "prest"]


class DialectOptions(TypedDict, total=False):
    """The named arguments of a gateway whose dialect is known."""

    plugins: Sequence[Item]
    consumers: Consumers | None
    store: str | Store | None
    logger: Logger | None
    clock: Callable[[], float] | None
    compat: Dialect | None
    strict: bool | None
    reload: bool | None


class GatewayOptions(DialectOptions, total=False):
    """The named arguments of a gateway, for functions that pass them on."""

    dialect: Dialect | None


class Gateway(Reloading):
    """A WSGI app inside a gateway.

    ``config`` is a path (JSON, YAML, TOML), a mapping or None; ``plugins`` are plugin objects, entries or
    mappings given in code; an object that another gateway has already is copied, or refused if it is made
    of more than its configuration. ``consumers`` (a list, a callable, the URL of a consumer store, or
    a :class:`~plugmw.kernel.identity.Directory`), ``store`` (a store
    object) and ``logger`` replace what the configuration says. Raises
    :class:`~plugmw.errors.ConfigErrors` with everything that is wrong; nothing is opened before the
    first request or the server's worker hook.

    ``config`` may also be a document of another gateway: its content says whose, or ``dialect`` does.
    ``compat`` names the gateway whose own behaviour is kept where plugmw's differs by default (see the
    pages of the dialects). ``strict`` makes an error of what that gateway would only log; without ``compat``
    that is so for all that could guard and would be left out, unless ``strict`` is False. Without an app
    (None) what the configuration does not answer is a 404. ``reload`` replaces the setting of that name.
    An app that is in a gateway of the same configuration already is refused.
    """

    def __init__(
        self,
        app: WSGIApplication | None,
        config: Source | Document = None,
        *,
        plugins: Sequence[Item] = (),
        consumers: Consumers | None = None,
        store: str | Store | None = None,
        logger: Logger | None = None,
        clock: Callable[[], float] | None = None,
        dialect: Dialect | None = None,
        compat: Dialect | None = None,
        strict: bool | None = None,
        reload: bool | None = None,
    ) -> None:
        if not callable(app) and app is not None:
            raise TypeError(f"app: got {app!r}, expected a WSGI callable or None")
        self.app: WSGIApplication = app or no_app(lambda: self.runtime.logger)
        options = Options(bool(compat), strict, app is not None, logger=logger)
        super().__init__(
            config, Extras(plugins, consumers, store, logger, clock, dialect or compat, options), reload
        )
        self._refuse_twice()

    @classmethod
    def from_kong(
        cls, app: WSGIApplication | None, config: Source | Document, **options: Unpack[DialectOptions]
    ) -> Self:
        """Return a gateway round ``app`` (or None) for a Kong declarative file; options as of the class."""
        return cls(app, config, dialect="kong", **options)

    @classmethod
    def from_krakend(
        cls, app: WSGIApplication | None, config: Source | Document, **options: Unpack[DialectOptions]
    ) -> Self:
        """Return a gateway round ``app`` (or None) for a ``krakend.json``; options as of the class."""
        return cls(app, config, dialect="krakend", **options)

    @classmethod
    def from_tyk(cls, app: WSGIApplication | None, config: Any, **options: Unpack[DialectOptions]) -> Self:
        """Return a gateway round ``app`` (or None) for API definitions of Tyk: a file, a folder or a list."""
        return cls(app, config, dialect="tyk", **options)

    @classmethod
    def from_prest(
        cls, app: WSGIApplication | None, config: Source | Document, **options: Unpack[DialectOptions]
    ) -> Self:
        """Return a gateway round ``app`` (or None) for a ``prest.toml``; options as of the class."""
        return cls(app, config, dialect="prest", **options)

    def _refuse_twice(self) -> None:
        """Raise ConfigErrors if the app is in a gateway of the same configuration: all would run twice."""
        if all(entry.path[:1] == (CODE,) for entry in self.entries):
            return
        for inside in _gateways_in(self.app):
            by_file = bool(self.sources) and self.sources == inside.sources
            if by_file or (isinstance(self._source, Mapping) and self._source == inside._source):
                name = self.plan.document.source or "the same mapping"
                problem = f"got one that is in a gateway of {name} already"
                raise ConfigErrors([ConfigError("app", problem, "an app that is in no gateway of it")])

    def _build(self, plan: Plan, entries: list[Entry]) -> Generation:
        served = in_force(entries)
        run = compile_chain(
            served, self.app, plan.runtime, plan.routes, plan.services, plan.settings.unrouted
        )
        # Without a file it is hardly ever reloaded, and nobody needs to know which requests still run.
        run, lease = leased(run) if plan.document.files or self._passing else (run, None)
        modules = modules_of(plan.modules.values())
        holdings = Holdings(plan.runtime, plugins_of(entries)[::-1], modules)
        return Generation(plan, entries, served, run, holdings, lease)

    def try_out(self, entries: list[Entry], service: WSGIApplication | None = None) -> None:
        """Serve these entries before the first request, with ``service`` in place of every service."""
        if service is not None:
            for each in self.plan.services.values():
                each.stand_in = service
        self._put_in_force(self._build(self.plan, entries))

    def register_logger(self, logger: Logger) -> None:
        """Take an injected logger (see ``InjectLogger``) for the gateway, its plugins and the app."""
        self.runtime.logger = self._extras.logger = logger
        self._extras.options = attrs.evolve(self._extras.options, logger=logger)
        for entry in self.entries:
            entry.plugin.bind(self.runtime)
        inject(self.app, logger)


def _gateways_in(app: object) -> Iterator[Gateway]:
    """Yield the gateways that an app is, or has inside where middlewares usually keep theirs."""
    seen: set[int] = set()
    todo = [app]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Gateway):
            yield one
        # No attribute is asked for that something could be made by, as a proxy's.
        own = getattr(one, "__dict__", {})
        todo += [own.get(name) for name in _INSIDE]
        if isinstance(one, MethodType):
            todo.append(one.__self__)
