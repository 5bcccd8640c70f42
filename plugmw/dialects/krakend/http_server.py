"""Run KrakenD-style server plugins: handlers that wrap everything below them in the chain.

    plugins:
      - name: http-server
        config:
          folder: ./plugins            # or module: package.module, or module: plugins/hello.py
          pattern: .py
          name: [hello]                # requests pass the last name first
          extra_config:
            hello: {path: /hijack-me}

With a plugin that is missing, broken or refuses its configuration nobody passes. With ``strict`` off it is
logged at ERROR and left out. The factories are called once per process, after the fork; one handler serves
all routes.

The priority is above that of every plugin of Kong's but pre-function. KrakenD's own CORS is outside of its
server plugins: ``after: [cors]`` gives that order.

Contract: KrakenD's ``plugin/http-server``; see :mod:`plugmw.dialects.krakend.handlers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from plugmw.dialects.krakend.entry import ModuleConfig, ModulePlugin
from plugmw.dialects.krakend.handlers import names_of, wrap_handlers
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import HANDLER
from plugmw.errors import rehearsed
from plugmw.kernel import state
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from typing_extensions import Self


class HTTPServer(ModulePlugin[ModuleConfig]):
    """Phases: wrap."""

    name, priority, Config, kind = "http-server", 2_000_000, ModuleConfig, HANDLER

    def _init(self, config: ModuleConfig) -> None:
        super()._init(config)
        self._handler: WSGIApplication = self._next

    def init_worker(self) -> None:
        self.inject()

    def rehearse(self) -> None:
        with rehearsed(self.config.strict):
            wrap_handlers(self._next, self.loader, self.extra_config, strict=True)

    def inject(self) -> None:
        """Call the factories, each with the handler inside of its own."""
        self._handler = wrap_handlers(self._next, self.loader, self.extra_config, self.config.strict)

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Return a way into the one handler; the request tells which app is inside it."""

        def enter(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            state.of(environ, self)["app"] = app
            return self._handler(environ, start_response)

        return enter

    def _next(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Be the next handler: go on with the chain of the request's own route."""
        app: WSGIApplication = state.of(environ, self)["app"]
        return app(environ, start_response)


class Injected(HTTPServer):
    """The server plugins of a ``krakend.json``; the translation loads them and calls :meth:`inject`."""

    _namespace: object

    @classmethod
    def of(cls, namespace: object, loader: Loader, strict: bool = False) -> Self:
        """Return the entry for a ``plugin/http-server`` namespace, whatever it is; ``loader`` is ready."""
        names = names_of(namespace) if isinstance(namespace, Mapping) else []
        entry = cls.load(ModuleConfig(name=names, strict=strict))
        entry.loader, entry._namespace = loader, namespace
        return entry

    @property
    def extra_config(self) -> dict[str, object]:
        return {self.kind.namespaces[0]: self._namespace}

    def bind(self, runtime: Runtime) -> None:
        Plugin.bind(self, runtime)

    def configure(self) -> None:
        self.fail_closed = self.config.strict

    def init_worker(self) -> None:
        """Leave it to :meth:`inject`."""
