"""Kong handlers in Python as plugins: plain classes, classes over BasePlugin, and handler modules.

    from plugmw.dialects.kong import BasePlugin, kong

    class CustomHandler(BasePlugin):
        PRIORITY, VERSION = 10, "1.0.0"

        def __init__(self):
            super().__init__("my-custom-plugin")

        def access(self, config):
            super().access(config)
            kong.response.set_header("X-Custom", config.value)

Methods take the configuration (``init_worker`` none, ``configure`` the list of all configurations or
None), as Kong calls them; what they do they do through ``kong``. In a gateway file the name of a handler
is ``module:CustomHandler``; SCHEMA (a Kong-style table) or Config (a plugmw configuration class) on the
class says which configuration it takes.

Requests that reach a handler whose ``init_worker`` failed are refused (Kong would go on calling it), and
identity headers of clients are always removed before a handler with rewrite or access sees the request.
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

from plugmw import schema
from plugmw.concurrency.process import LazyLock, OncePerProcess
from plugmw.dialects.kong.pdk.response import BodyState
from plugmw.errors import LoadError
from plugmw.kernel import context, phases
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin, check_class
from plugmw.kernel.response import RespondingExchange
from plugmw.kernel.runtime import Runtime
from plugmw.kernel.user_code import contained

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?").fullmatch
_CALLED = (phases.REWRITE, phases.ACCESS, phases.RESPONSE, phases.HEADER_FILTER, phases.LOG)


class BasePlugin:
    """The base class of the document's handlers: its methods log that the plugin enters a context."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _entering(self, phase: str) -> None:
        logging.getLogger("plugmw.kong").debug('executing plugin "%s": %s', self._name, phase)

    def init_worker(self) -> None:
        self._entering("init_worker")

    def certificate(self, config: Any = None) -> Any:
        self._entering("certificate")

    def rewrite(self, config: Any = None) -> None:
        self._entering("rewrite")

    def access(self, config: Any = None) -> None:
        self._entering("access")

    def header_filter(self, config: Any = None) -> None:
        self._entering("header_filter")

    def body_filter(self, config: Any = None) -> None:
        self._entering("body_filter")

    def log(self, config: Any = None) -> None:
        self._entering("log")


class _Handler:
    """A handler in one gateway."""

    def __init__(self, handler: object) -> None:
        self.handler = handler
        #: Runs its init_worker.
        self.start_once = OncePerProcess()


class HandlerPlugin(Plugin[object]):
    """A Kong handler as a plugin; :func:`adapt` derives a class per handler with the phases it has."""

    needs_upstream_response = True
    credential_names = ()
    #: Makes the handler: of a class one for each gateway, as Kong has one per plugin name.
    handler_factory: ClassVar[Callable[[], object]]
    #: The handlers of the class, by what stands for their gateways.
    _handlers: ClassVar[WeakKeyDictionary[Hashable, _Handler]]
    _making: ClassVar[LazyLock] = LazyLock()

    @property
    def _own(self) -> _Handler:
        """The handler, shared by all entries of this plugin name in a gateway."""
        own = self._handlers.get(self.runtime.line)
        if own is None:
            with self._making.get():
                own = self._handlers.get(self.runtime.line)
                if own is None:  # pragma: no branch (else another thread was first)
                    own = self._handlers[self.runtime.line] = _Handler(type(self).handler_factory())
        return own

    def bound(self, phase: str, *more: object) -> Callable[[], object]:
        """Return the handler's method with as many of (configuration, ``more``...) as it takes."""
        method = getattr(self._own.handler, phase)
        return functools.partial(method, *(self.config, *more)[: _takes(method)])

    def rehearse(self) -> None:
        _ = self._own

    def bind(self, runtime: Runtime) -> None:
        super().bind(runtime)
        if self.authenticates:
            runtime.credential_names |= _credential_names(self.config)

    def _audience(self) -> object:
        return self._own.handler

    def _tell_all(self, configs: list[object] | None) -> None:
        """Call the handler's ``configure`` with the configurations of all its entries, None without any."""
        method = getattr(self._own.handler, phases.CONFIGURE, None)
        if callable(method):
            context.outside(phases.CONFIGURE, type(self), method, configs)

    def close(self) -> None:
        own = self._handlers.get(self.runtime.line)
        if own is not None:
            own.start_once.reset()


def adapt(handler: object, name: str, config: type | None = None) -> type[HandlerPlugin]:
    """Return the plugin class of a Kong handler: a class, an object or a module with the methods.

    Raises :class:`LoadError` for a PRIORITY that is no integer, a VERSION that is not x.y.z, and for
    ``response`` beside header_filter or body_filter (rules of ``kong/db/dao/plugins.lua``).
    """
    members: dict[str, object] = {
        "name": name,
        "priority": _priority(handler, name),
        "version": _version(handler, name),
        "Config": config or _config(handler, name),
        "_handlers": WeakKeyDictionary(),
        "handler_factory": staticmethod(handler if inspect.isclass(handler) else lambda: handler),
        "__doc__": inspect.getdoc(handler) or f"Kong handler {name}.",
    }
    members |= {phase: _caller(phase) for phase in _CALLED if _defines(handler, phase)}
    if _defines(handler, phases.BODY_FILTER):
        members["body_filter"] = _filter_body
    if _defines(handler, phases.CERTIFICATE):
        members["certificate"] = _choose_certificate
    if _defines(handler, phases.INIT_WORKER):
        members["init_worker"] = _start
    early = phases.REWRITE in members or phases.ACCESS in members
    members |= {"fail_closed": early, "authenticates": early, "needs_timings": phases.LOG in members}
    plugin_class: type[HandlerPlugin] = type(name, (HandlerPlugin,), members)
    check_class(plugin_class, name)
    return plugin_class


def _credential_names(config: object) -> set[str]:
    """Return the names under which a handler takes credentials, as far as its fields are called as Kong's.

    Kong's schemas cannot say it otherwise.
    """
    values = [getattr(config, field, None) for field in _NAMES]
    names = {name for value in values if isinstance(value, (list, tuple, set)) for name in value}
    header = getattr(config, "auth_header_name", None)
    if header:
        # As in Kong's oauth2, which takes the token under this name in queries too (RFC 6750).
        names |= {header, "access_token"}
    return {name for name in names if isinstance(name, str)}


_NAMES: Final = ("key_names", "header_names", "uri_param_names", "cookie_names")


def plugin_name(reference: str, handler: object) -> str:
    """Return the plugin name of ``module:Handler``: its NAME, or X of a module ``x.handler``, as in Kong."""
    own = getattr(handler, "NAME", None)
    if isinstance(own, str) and own:
        return own
    package, _, last = reference.partition(":")[0].rpartition(".")
    return package.rpartition(".")[2].replace("_", "-") if last == "handler" and package else reference


def _priority(handler: object, name: str) -> int:
    priority = getattr(handler, "PRIORITY", 0)
    if isinstance(priority, float) and priority.is_integer():
        return int(priority)
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise LoadError(name, f"PRIORITY: got {priority!r}", "an integer")
    return priority


def _version(handler: object, name: str) -> str:
    version = str(getattr(handler, "VERSION", "0.1.0"))
    if not _VERSION(version):
        raise LoadError(name, f"VERSION: got {version!r}", "a version like 1.0.0")
    return version


def _config(handler: object, name: str) -> type:
    """Return the configuration class that a handler names, by Config or by SCHEMA."""
    own = getattr(handler, "Config", None)
    if isinstance(own, type):
        return own
    table = getattr(handler, "SCHEMA", None)
    if table is None:
        return schema.Nothing
    if not isinstance(table, Mapping):
        raise LoadError(name, f"SCHEMA: got {table!r}", "a table with fields")
    from plugmw.dialects.kong.schema import config_class

    return config_class(name, table)


def _defines(handler: object, phase: str) -> bool:
    """Say whether a handler has a phase of its own: what BasePlugin offers does not count."""
    method = getattr(handler, phase, None)
    return callable(method) and getattr(method, "__func__", method) is not getattr(BasePlugin, phase, None)


def _takes(method: Callable[..., object]) -> int:
    """Return how many positional arguments a method takes; one if that cannot be told."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return 1
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 1
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


# -- the phase methods of the classes made here ------------------------------------------------------------


def _caller(phase: str) -> Callable[[HandlerPlugin, Exchange], None]:
    attribute = f"_{phase}"

    def call(self: HandlerPlugin, x: Exchange) -> None:
        method = self.__dict__.get(attribute)
        if method is None:
            # Looked up once for each entry, not for each request.
            method = self.__dict__[attribute] = self.bound(phase)
        context.running(x, self, method)

    call.__name__ = phase
    return call


_call_body_filter = _caller(phases.BODY_FILTER)


def _filter_body(self: HandlerPlugin, x: RespondingExchange, chunk: bytes, eof: bool) -> bytes:
    """Run a handler's body_filter with ``kong.response.get_raw_body`` and ``set_raw_body`` at work."""
    calls = x.state(BodyState)
    state = calls["now"] = BodyState(x, self, chunk, eof)
    try:
        _call_body_filter(self, x)
    finally:
        del calls["now"]
    return state.chunk


def _choose_certificate(self: HandlerPlugin, hello: object) -> object:
    """Run a handler's certificate; what it returns is the certificate. It may take the hello, too."""
    return context.outside(phases.CERTIFICATE, self, self.bound(phases.CERTIFICATE, hello))


def _start(self: HandlerPlugin) -> None:
    """Run init_worker once per plugin name, gateway and process, however many entries there are."""
    name, own = phases.INIT_WORKER, self._own
    own.start_once(lambda: contained(context.outside, name, self, getattr(own.handler, name)))
