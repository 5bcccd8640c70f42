"""The base class of plugins, and every plugin as a plain WSGI middleware.

    class Hello(Plugin):
        name, priority = "hello", 500

        def header_filter(self, exchange):
            exchange.headers["X-Hello"] = "world"

A plugin defines the phases it needs (:mod:`plugmw.kernel.phases`) and nothing else; a phase nobody defines
costs nothing. One object serves all threads of a process: what belongs to a request lives on the exchange.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic

from plugmw import schema
from plugmw.errors import LoadError
from plugmw.kernel import phases
from plugmw.kernel.runtime import NoLogger, Runtime
from plugmw.wsgi.redaction import credential_fields, credential_names

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    # Type checkers know the module, and by its default `Plugin` is `Plugin[Any]`; it need not be installed.
    from typing_extensions import TypeVar

    from plugmw.auth.directories import Consumers
    from plugmw.gateway import Gateway
    from plugmw.kernel.response import RespondingExchange
    from plugmw.kernel.runtime import Logger
    from plugmw.stores import Store

    C = TypeVar("C", default=Any)
else:
    from typing import TypeVar

    C = TypeVar("C")
P = TypeVar("P", bound="Plugin[Any]")
#: The module of the one plugin that is before all others, and so has a priority above all numbers.
_FIRST: Final = "plugmw.contrib.pre_function"


class Plugin(Generic[C]):
    """A piece of gateway behaviour: a name, a priority, a configuration class and phase methods.

    ``class Hello(Plugin[Config])`` tells type checkers what ``self.config`` is; ``Plugin`` alone will do.
    """

    #: Registry name; a name runs at most once per request.
    name: ClassVar[str] = ""
    #: The higher, the sooner, in every phase.
    priority: ClassVar[float] = 0
    version: ClassVar[str] = "0.1.0"
    #: The configuration class, made by :func:`plugmw.config`.
    Config: ClassVar[type] = schema.Nothing
    #: The plugin finds out who is asking: client-sent identity headers are always removed.
    authenticates: ClassVar[bool] = False
    #: Requests are refused when the plugin cannot start (authentication, restriction); else the worker goes
    #: on without it. May be set on an object, in ``configure`` at the latest.
    fail_closed: bool = False
    #: Names under which credentials come, in headers and queries, beside those in fields with ``credential``.
    #: A plugin that authenticates has one or the other, ``()`` if its credentials come in neither.
    credential_names: ClassVar[Sequence[str] | None] = None
    #: The plugin sends requests on, with headers by :func:`plugmw.upstream.forwarding.request_headers`.
    forwards: ClassVar[bool] = False
    #: ``body_filter`` never changes how many bytes there are, so Content-Length may stay.
    keeps_length: ClassVar[bool] = False
    #: The log phase needs the exchange's times and sizes (``exchange.begun`` to ``exchange.sent``).
    needs_timings: ClassVar[bool] = False
    #: The plugin needs the service's own answer: ``environ["plugmw.service"]`` (status, headers) and, when
    #: ``UpstreamRequest.of(environ).buffer`` was set before, ``environ["plugmw.service_body"]``.
    needs_upstream_response: ClassVar[bool] = False
    #: An entry of the plugin cannot be limited to a consumer: it runs before anybody is known.
    no_consumer: ClassVar[bool] = False

    #: The parsed configuration, immutable.
    config: C
    runtime: Runtime
    #: The instance, route, service and consumer of its entry; what tells two of a kind apart in a store.
    scope: tuple[str | None, ...] = (None, None, None, None)
    #: A standard logger, or the injected one. Does nothing until the plugin is bound. (``log`` is a phase.)
    logger: Any
    #: The exception that ``init_worker`` ended with, if it did.
    broken: BaseException | None

    def __init__(self, **config: Any) -> None:
        """Build from configuration fields; raises :class:`~plugmw.errors.ConfigErrors` with all problems."""
        self._init(schema.build(self.Config, config, type(self).__name__))

    def _init(self, config: C) -> None:
        self.config = config
        self.runtime = Runtime()
        self.logger = NoLogger()
        self.broken = None

    @classmethod
    def load(cls: type[P], config: object) -> P:
        """Build from an already parsed configuration object."""
        plugin = cls.__new__(cls)
        plugin._init(config)
        return plugin

    def bind(self, runtime: Runtime) -> None:
        """Take what the gateway lends; called once before ``configure``."""
        self.runtime = runtime
        if self.authenticates:
            runtime.credential_names |= {*(self.credential_names or ()), *credential_names(self.config)}
        logger = runtime.logger
        self.logger = logger.getChild(self.name) if isinstance(logger, logging.Logger) else logger

    @classmethod
    def phases(cls) -> list[str]:
        """Return the phases that objects of the class may have, without ``configure``; those it defines."""
        return [phase for phase in phases.PHASES if phase != phases.CONFIGURE and hasattr(cls, phase)]

    @classmethod
    def configure_all(cls, configs: list[C] | None) -> None:
        """Take the configurations of all enabled entries of the class; None when there are none any more.

        Called once per process when it starts, and after each reload. Where several gateways of a process
        have the class, with the configurations of all of them.
        """

    def _audience(self) -> object:
        """Return who takes the configurations of all entries: those with the same one are told as one."""
        return type(self)

    def _tell_all(self, configs: list[C] | None) -> None:
        type(self).configure_all(configs)

    def wants_body(self, x: RespondingExchange, /) -> bool:
        """Say whether ``body_filter`` or ``response`` is called for this response, whose head is known."""
        return True

    def configure(self) -> None:
        """Precompute from ``self.config``; may raise ConfigError. Runs when the entry is built."""

    def rehearse(self) -> None:
        """Make what ``init_worker`` makes by code of others, to be thrown away; raises what is wrong.

        Called by checks alone, after ``configure``. It opens nothing. What a start would only log is
        :class:`~plugmw.errors.LeftOut`.
        """

    def close(self) -> None:
        """Give back what ``init_worker`` opened; called at worker exit and when a reload drops the plugin."""

    @classmethod
    def middleware(
        cls,
        app: WSGIApplication,
        *,
        consumers: Consumers | None = None,
        store: str | Store | None = None,
        trusted: Sequence[str] | int = (),
        logger: Logger | None = None,
        **config: Any,
    ) -> Gateway:
        """Wrap ``app`` in this plugin alone: a gateway of one, without a document.

        ``config`` are the plugin's fields; the four named arguments are those of the gateway.
        """
        # From the front of the package, which knows where it is: a plugin is no part of what is above it.
        from plugmw import Entry, Gateway

        entry = Entry(cls(**config), where=cls.__name__)
        settings = {"trusted": trusted if isinstance(trusted, int) else list(trusted)}
        return Gateway(app, settings, plugins=[entry], consumers=consumers, store=store, logger=logger)


def check_class(cls: object, reference: str) -> type[Plugin]:
    """Refuse what is no plugin class, naming what is wrong with it (rules of Kong's loader)."""
    if not (isinstance(cls, type) and issubclass(cls, Plugin)):
        raise LoadError(reference, f"got {cls!r}", "a class derived from plugmw.Plugin")
    if not cls.name:
        raise LoadError(reference, "the class has no name", "a class attribute `name`")
    priority, version = cls.priority, cls.version
    if isinstance(priority, bool) or not isinstance(priority, (int, float)):
        raise LoadError(reference, f"priority: got {priority!r}", "a number")
    if not (math.isfinite(priority) or (priority > 0 and cls.__module__ == _FIRST)):
        raise LoadError(reference, f"priority: got {priority!r}", "a number")
    if not isinstance(version, str) or not re.fullmatch(r"\d+(\.\d+){1,2}", version):
        raise LoadError(reference, f"version: got {version!r}", "a text like 1.2.3")
    if not cls.phases():
        raise LoadError(reference, "has no phase method", f"at least one of {', '.join(phases.PHASES)}")
    if cls.authenticates and cls.credential_names is None and not credential_fields(cls.Config):
        # Log entries leave out what they know to be a credential.
        expected = "a field with credential=True, or a class attribute `credential_names`"
        raise LoadError(
            reference, "authenticates, and does not say where its credentials come from", expected
        )
    if hasattr(cls, phases.RESPONSE) and (
        hasattr(cls, phases.HEADER_FILTER) or hasattr(cls, phases.BODY_FILTER)
    ):
        raise LoadError(reference, "has response beside header_filter or body_filter", "one or the other")
    return cls


def inject(app: object, logger: object) -> None:
    """Hand ``logger`` to an app that can take one."""
    register = getattr(app, "register_logger", None)
    if register is not None:
        register(logger)
