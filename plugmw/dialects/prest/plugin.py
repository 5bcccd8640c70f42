"""Serve functions from a folder of files, as prestd does.

    plugins:
      - name: functions
        config:
          path: lib                       # lib/hello.py

    app = Functions(app, path="lib")      # the same as a plain WSGI middleware

``GET /_PLUGIN/hello/Hello`` calls ``GETHelloHandler`` of ``lib/hello.py``, which is loaded at the first
request for it:

    HTTPVars: dict[str, str] = {}         # {"file": "hello", "func": "Hello"} during a call
    URLQuery: dict[str, list[str]] = {}   # {"abc": ["123"]}

    def GETHelloHandler():
        return json.dumps({"http_vars": HTTPVars, "url_query": URLQuery})

    def POSTHelloHandler(request):        # a webob.Request, instead of the globals
        return {"name": request.json["name"]}, 201

What may be returned is in :mod:`plugmw.dialects.prest.results`. A file, function or return type that does
not fit is a 404 with the reason, an exception a 500; both are JSON, ``{"error": ...}``. Other paths are the
app's. In ``.so`` libraries functions are found too.

The entry stands in the app's place: its priority is below that of every other plugin, so that all of them
protect the functions and see their answers.

``middlewares`` lists middleware plugins, ``lib/middlewares/<file>.py`` with ``{func}MiddlewareLoad``
(:mod:`plugmw.dialects.prest.middlewares`), which stand round the functions and the app.

Contract: prestd's plugins (``plugins/plugins.go``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plugmw.dialects.prest.functions import Functions as Served
from plugmw.dialects.prest.loading import NAME, Folder, find
from plugmw.dialects.prest.middlewares import wrapped
from plugmw.errors import ConfigError, ConfigErrors, LoadError, rehearsed
from plugmw.kernel import state
from plugmw.kernel.plugin import Plugin
from plugmw.loading.watching import note
from plugmw.schema import REQUIRED, above, at_least, config, field, matches
from plugmw.schema.fields import URLPath

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_name = matches(NAME, "letters, digits and _")


@config
class MiddlewareConfig:
    """One middleware plugin."""

    file: str = field(REQUIRED, _name, help="The file's name in `middlewares`, without `.py`.")
    func: str = field(REQUIRED, _name, help="The function is `{func}MiddlewareLoad`.")


@config
class Config:
    """Where the functions are, and how they are served."""

    path: str = field("lib", help="The folder of the files, relative to the working directory.")
    prefix: URLPath = field("/_PLUGIN", help="The path above `/{file}/{func}`.")
    reload: bool = field(False, help="Load a file again when it has changed; for development.")
    middlewares: list[MiddlewareConfig] = field([], help="Middleware plugins, the outermost first.")
    compat: bool = field(
        False,
        help="As prestd: files must declare `HTTPVars` and `URLQuery`, HEAD needs functions of its own, "
        "middleware plugins are not round the functions.",
    )
    strict: bool = field(
        True, help="Refuse to work without the folder and every middleware plugin, instead of going on."
    )
    build: bool = field(
        False,
        help="When a worker starts, compile what has changed in `src` of the folder to `.so` libraries.",
    )
    isolate: bool = field(False, help="Run `.so` libraries in processes of their own.")
    timeout: float = field(10.0, above(0), help="Seconds that a call in such a process may take.")
    processes: int = field(2, at_least(1), help="Processes for each library, in each worker.")

    def check(self) -> Iterator[tuple[str, str]]:
        if self.prefix.endswith("/"):
            yield "prefix", f"got {self.prefix!r}, expected a path without a slash at its end"


class FunctionsPlugin(Plugin[Config]):
    """Phases: wrap."""

    name, priority, Config = "functions", -2_000_000, Config
    fail_closed = True

    def _init(self, config: Any) -> None:
        super()._init(config)
        self._path = os.path.abspath(config.path)
        self._inner = os.path.join(self._path, "middlewares")
        self._folders: list[Folder] = []
        self._handler: WSGIApplication = self._next

    def configure(self) -> None:
        self.fail_closed = self.config.strict
        if self.config.reload:
            self._watch()
        if self.config.strict:
            self._refuse_problems()

    def _watch(self) -> None:
        """Have the gateway reload when something changes that a worker takes at its start."""
        for item in self.config.middlewares:
            note(os.path.join(self._inner, f"{item.file}.py"))
        if self.config.build:
            from plugmw.dialects.prest.building import sources

            sources(Path(self._path, "src"))

    def _refuse_problems(self) -> None:
        problems = []
        if not os.path.isdir(self._path):
            problems.append(ConfigError("path", f"got {self.config.path!r}", "a folder"))
        for index, item in enumerate(self.config.middlewares):
            if find(self._inner, item.file) is None:
                problem = f"no {item.file}.py in {self.config.path}/middlewares"
                problems.append(ConfigError(f"middlewares[{index}].file", problem))
        if problems:
            raise ConfigErrors(problems)

    def init_worker(self) -> None:
        if self.config.build:
            self._build()
        options = self.config
        functions = Folder(
            self._path,
            self.logger,
            reload=options.reload,
            compat=options.compat,
            isolate=options.isolate,
            timeout=options.timeout,
            processes=options.processes,
        )
        inner = Folder(self._inner, self.logger)
        self._folders = [functions, inner]
        names = [(item.file, item.func) for item in options.middlewares]

        def served(app: WSGIApplication) -> WSGIApplication:
            return Served(app, functions, options.prefix, self.runtime, self.logger, options.compat)

        def within(app: WSGIApplication) -> WSGIApplication:
            return wrapped(app, inner, names, self.logger, options.strict)

        self._handler = served(within(self._next)) if options.compat else within(served(self._next))

    def rehearse(self) -> None:
        inner = Folder(self._inner, self.logger)
        names = [(item.file, item.func) for item in self.config.middlewares]
        try:
            with rehearsed(self.config.strict):
                wrapped(self._next, inner, names, self.logger, strict=True)
        finally:
            inner.close()

    def _build(self) -> None:
        from plugmw.dialects.prest.building import build_all

        problems = build_all(self._path, self.logger)
        if problems and self.config.strict:
            raise LoadError(self.config.path, f"{len(problems)} of the sources could not be built")

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Return a way into the one handler; the request tells which app is inside it."""

        def enter(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            state.of(environ, self)["app"] = app
            return self._handler(environ, start_response)

        return enter

    def _next(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Be the app inside: go on with the chain of the request's own route."""
        app: WSGIApplication = state.of(environ, self)["app"]
        return app(environ, start_response)

    def close(self) -> None:
        for folder in self._folders:
            folder.close()
