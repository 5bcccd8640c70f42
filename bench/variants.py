"""The same layers as hand-nested closures, as plugmw plugins, and as webob and werkzeug middleware.

Three scenarios. ``nothing``: a layer that looks at the request and does nothing. ``headers``: it reads
one request header and sets one response header, ``X-Out-<i>``. ``phases``: access, header_filter and
log, none of which does anything, log once and last.

A builder takes a scenario and a number of layers and returns a WSGI app. Whatever counts as a layer's
work is a function called ``layer``, ``access``, ``header_filter`` or ``log``, which is how
:func:`bench.driver.calls` proves that it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.driver import READ, bare

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BENCH_LAYERS = True
NOTHING, REALISTIC, PHASES = SCENARIOS = ("nothing", "headers", "phases")


class Variant(NamedTuple):
    """One way to write layers.

    ``framework``: its app with no layers is the framework's own, so only what layers add is compared.
    ``counted`` names, by scenario, the functions that run once per layer.
    """

    name: str
    build: Callable[[str, int], WSGIApplication]
    counted: dict[str, tuple[str, ...]]
    framework: bool = False


HOOKS = {
    NOTHING: ("access",),
    REALISTIC: ("access", "header_filter"),
    PHASES: ("access", "header_filter", "log"),
}


# hand-nested closures: the reference -----------------------------------------------------------------------


def closures(scenario: str, n: int) -> WSGIApplication:
    """Nest ``n`` closures, each as short as it can be written by hand."""
    return nest({NOTHING: closure_nothing, REALISTIC: closure_headers, PHASES: closure_phases}[scenario], n)


def nest(make: Callable[[WSGIApplication, int], WSGIApplication], n: int) -> WSGIApplication:
    app: WSGIApplication = bare
    for i in range(n, 0, -1):
        app = make(app, i)
    return app


def closure_nothing(app: WSGIApplication, i: int) -> WSGIApplication:
    def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return app(environ, start_response)

    return layer


def closure_headers(app: WSGIApplication, i: int) -> WSGIApplication:
    pair = (f"X-Out-{i}", "1")

    def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.get(READ)

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers.append(pair)
            return start_response(status, headers, exc_info)

        return app(environ, started)

    return layer


def copying(scenario: str, n: int) -> WSGIApplication:
    """Nest closures that leave the caller's list of headers alone, as an app with a constant list needs."""
    if scenario != REALISTIC:
        return closures(scenario, n)
    return nest(closure_copying, n)


def closure_copying(app: WSGIApplication, i: int) -> WSGIApplication:
    pair = (f"X-Out-{i}", "1")

    def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.get(READ)

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, pair], exc_info)

        return app(environ, started)

    return layer


def log(environ: WSGIEnvironment) -> None:
    """Record nothing."""


class Logged:
    """A body whose ``close`` logs once and closes the inner body."""

    __slots__ = ("body", "environ", "open")

    def __init__(self, body: Iterable[bytes], environ: WSGIEnvironment) -> None:
        self.body = body
        self.environ = environ
        self.open = True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        if not self.open:
            return
        self.open = False
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        finally:
            log(self.environ)


def closure_phases(app: WSGIApplication, i: int) -> WSGIApplication:
    def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def header_filter(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, headers, exc_info)

        return Logged(app(environ, header_filter), environ)

    return layer


# plugmw ----------------------------------------------------------------------------------------------------


def plugmw(scenario: str, n: int) -> WSGIApplication:
    """Put ``n`` plugins into one gateway."""
    from plugmw import Gateway

    make = {NOTHING: plugin_nothing, REALISTIC: plugin_headers, PHASES: plugin_phases}[scenario]
    app: WSGIApplication = Gateway(bare, plugins=[make(i) for i in range(1, n + 1)])
    return app


def plugmw_checked(scenario: str, n: int) -> WSGIApplication:
    """Put ``n`` plugins into one gateway that set their header by ``x.add_header``, which checks it."""
    from plugmw import Gateway

    if scenario != REALISTIC:
        return plugmw(scenario, n)
    app: WSGIApplication = Gateway(bare, plugins=[plugin_checked_headers(i) for i in range(1, n + 1)])
    return app


def plugin_nothing(i: int) -> Any:
    from plugmw import Plugin

    class Nothing(Plugin):
        name, priority = f"nothing-{i}", 1000 - i

        def access(self, x: Any) -> None:
            pass

    return Nothing()


def plugin_headers(i: int) -> Any:
    from plugmw import Plugin

    out = f"X-Out-{i}"

    class Headers(Plugin):
        name, priority = f"headers-{i}", 1000 - i

        def access(self, x: Any) -> None:
            x.environ.get(READ)

        def header_filter(self, x: Any) -> None:
            # Unchecked, on the list itself: what the closures do.
            x.header_list.append((out, "1"))

    return Headers()


def plugin_checked_headers(i: int) -> Any:
    from plugmw import Plugin

    out = f"X-Out-{i}"

    class CheckedHeaders(Plugin):
        name, priority = f"checked-headers-{i}", 1000 - i

        def access(self, x: Any) -> None:
            x.environ.get(READ)

        def header_filter(self, x: Any) -> None:
            x.add_header(out, "1")

    return CheckedHeaders()


def plugin_phases(i: int) -> Any:
    from plugmw import Plugin

    class Phases(Plugin):
        name, priority = f"phases-{i}", 1000 - i

        def access(self, x: Any) -> None:
            pass

        def header_filter(self, x: Any) -> None:
            pass

        def log(self, x: Any) -> None:
            pass

    return Phases()


# webob and werkzeug ----------------------------------------------------------------------------------------


def webob(scenario: str, n: int) -> WSGIApplication:
    """Nest ``n`` ``wsgify.middleware``; one that leaves the answer alone returns the app, as its docs do."""
    from webob.dec import wsgify

    def nothing(app: WSGIApplication, i: int) -> WSGIApplication:
        def access(request: Any, app: Any) -> Any:
            return app

        return wsgify.middleware(access, app)  # type: ignore[no-any-return]

    def headers(app: WSGIApplication, i: int) -> WSGIApplication:
        out = f"X-Out-{i}"

        def layer(request: Any, app: Any) -> Any:
            request.headers.get("X-In")
            response = request.get_response(app)
            response.headers[out] = "1"
            return response

        return wsgify.middleware(layer, app)  # type: ignore[no-any-return]

    def phases(app: WSGIApplication, i: int) -> WSGIApplication:
        def layer(request: Any, app: Any) -> Any:
            response = request.get_response(app)
            length = response.content_length
            response.app_iter = Logged(response.app_iter, request.environ)
            response.content_length = length  # a new app_iter drops it
            return response

        return wsgify.middleware(layer, app)  # type: ignore[no-any-return]

    return nest({NOTHING: nothing, REALISTIC: headers, PHASES: phases}[scenario], n)


def werkzeug(scenario: str, n: int) -> WSGIApplication:
    """Nest ``n`` middleware written with werkzeug's Request and Response."""
    from werkzeug.wrappers import Request, Response

    def nothing(app: WSGIApplication, i: int) -> WSGIApplication:
        def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            Request(environ)
            return app(environ, start_response)

        return layer

    def headers(app: WSGIApplication, i: int) -> WSGIApplication:
        out = f"X-Out-{i}"

        def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            request = Request(environ)
            request.headers.get("X-In")
            response = Response.from_app(app, environ)
            response.headers[out] = "1"
            return response(environ, start_response)

        return layer

    def phases(app: WSGIApplication, i: int) -> WSGIApplication:
        def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            Request(environ)
            response = Response.from_app(app, environ)
            response.call_on_close(lambda: log(environ))
            return response(environ, start_response)

        return layer

    return nest({NOTHING: nothing, REALISTIC: headers, PHASES: phases}[scenario], n)


LAYERS = {NOTHING: ("layer",), REALISTIC: ("layer",), PHASES: ("layer", "log")}
CLOSURES = Variant("closures", closures, {**LAYERS, PHASES: ("layer", "header_filter", "log")})
COPYING = CLOSURES._replace(name="closures-copy", build=copying)
PLUGMW = Variant("plugmw", plugmw, HOOKS)
CHECKED = Variant("plugmw-checked", plugmw_checked, HOOKS)
WEBOB = Variant("webob", webob, {**LAYERS, NOTHING: ("access",)})
WERKZEUG = Variant("werkzeug", werkzeug, LAYERS)
