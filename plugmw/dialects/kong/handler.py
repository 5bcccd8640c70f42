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
None), as Kong calls them; what they do they do through ``kong``.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable
from typing import Any

from plugmw import current, schema
from plugmw.dialects.kong.pdk.response import BodyState
from plugmw.errors import LoadError
from plugmw.exchange import Exchange
from plugmw.flow import Flow
from plugmw.plugin import Plugin

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?").fullmatch
_CALLED = ("certificate", "rewrite", "access", "response", "header_filter", "log")


class BasePlugin:
    """The base class of the document's handlers: its methods log that the plugin enters a context."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _entering(self, phase: str) -> None:
        logging.getLogger("plugmw.kong").debug('executing plugin "%s": %s', self._name, phase)

    def init_worker(self) -> None:
        self._entering("init_worker")

    def certificate(self, config: Any = None) -> None:
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


class HandlerPlugin(Plugin):
    """A Kong handler as a plugin; :func:`adapt` derives a class per handler with the phases it has."""

    #: Makes a handler; one per plugin class and process, as Kong has one per plugin name.
    handler_factory: Callable[[], Any]
    _handler: Any = None

    @property
    def handler(self) -> Any:
        """The handler object, shared by all entries of this plugin name."""
        cls = type(self)
        if cls._handler is None:
            cls._handler = cls.handler_factory()
        return cls._handler

    def _call(self, x: Exchange, phase: str) -> None:
        method = getattr(self.handler, phase)
        current.running(x, self, method, *_arguments(method, self.config))


def adapt(handler: Any, name: str, config: type = schema.Nothing) -> type[HandlerPlugin]:
    """Return the plugin class of a Kong handler: a class, an object or a module with the methods.

    Raises :class:`LoadError` for a PRIORITY that is no integer, a VERSION that is not x.y.z, and for
    ``response`` beside header_filter or body_filter (rules of ``kong/db/dao/plugins.lua``).
    """
    priority = getattr(handler, "PRIORITY", 0)
    version = str(getattr(handler, "VERSION", "0.1.0"))
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise LoadError(name, f"PRIORITY: got {priority!r}", "an integer")
    if not _VERSION(version):
        raise LoadError(name, f"VERSION: got {version!r}", "a version like 1.0.0")
    members: dict[str, Any] = {
        "name": name,
        "priority": priority,
        "version": version,
        "Config": config,
        "handler_factory": staticmethod(handler if inspect.isclass(handler) else lambda: handler),
        "__doc__": inspect.getdoc(handler) or f"Kong handler {name}.",
        "_handler": None,
    }
    for phase in _CALLED:
        if _defines(handler, phase):
            members[phase] = _caller(phase)
    if _defines(handler, "body_filter"):
        members["body_filter"] = _filter_body
    if _defines(handler, "init_worker"):
        members["init_worker"] = lambda self: _start(self)
    if "response" in members and ("header_filter" in members or "body_filter" in members):
        raise LoadError(name, "has response beside header_filter or body_filter", "one or the other")
    return type(name, (HandlerPlugin,), members)


def _defines(handler: Any, phase: str) -> bool:
    """Say whether a handler has a phase of its own: what BasePlugin offers does not count."""
    method = getattr(handler, phase, None)
    return callable(method) and getattr(method, "__func__", method) is not getattr(BasePlugin, phase, None)


def _caller(phase: str) -> Callable[[HandlerPlugin, Exchange], None]:
    def call(self: HandlerPlugin, x: Exchange) -> None:
        self._call(x, phase)

    call.__name__ = phase
    return call


def _filter_body(self: HandlerPlugin, x: Flow, chunk: bytes, eof: bool) -> bytes:
    """Run a handler's body_filter with ``kong.response.get_raw_body`` and ``set_raw_body`` at work."""
    state = x.environ["plugmw.kong.body"] = BodyState(x, chunk, eof)
    try:
        self._call(x, "body_filter")
    finally:
        x.environ.pop("plugmw.kong.body", None)
    return state.chunk


def _start(self: HandlerPlugin) -> None:
    """Run init_worker once per plugin name and process, however many entries there are."""
    import os

    cls: Any = type(self)
    if getattr(cls, "_started_in", None) != os.getpid():
        cls._started_in = os.getpid()
        self.handler.init_worker()


def _arguments(method: Any, config: Any) -> tuple[Any, ...]:
    """Give the configuration to methods that take one."""
    try:
        takes = len(inspect.signature(method).parameters) > 0
    except (TypeError, ValueError):
        takes = True
    return (config,) if takes else ()
