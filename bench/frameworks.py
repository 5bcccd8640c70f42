"""The layers of :mod:`bench.variants` as Flask, Django, Pyramid, Falcon and Bottle write them.

``log`` is each framework's own "when the request is over" hook. Only Django's comes after the last byte;
Flask's ``teardown_request``, Pyramid's finished callback, Falcon's ``process_response`` and Bottle's
plugin come before the body goes out, and so do less than plugmw's.
"""

# Half of the frameworks have no types, and none has to be installed for this to be checked.
# mypy: disable-error-code="import-not-found, import-untyped, no-any-return, no-untyped-call"
# mypy: disable-error-code="arg-type, return-value, untyped-decorator"
# mypy: warn-unused-ignores=False

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.driver import READ
from bench.variants import HOOKS, LAYERS, NOTHING, PHASES, REALISTIC, Variant

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BENCH_LAYERS = True
TYPE = "text/plain; charset=utf-8"


def flask(scenario: str, n: int) -> WSGIApplication:
    """Register ``n`` before/after/teardown hooks."""
    from flask import Flask, Response, request

    app = Flask("bench", static_folder=None)

    @app.get("/")
    def index() -> Response:
        return Response(b"ok", content_type=TYPE)

    def nothing(i: int) -> None:
        @app.before_request
        def access() -> None:
            pass

    def headers(i: int) -> None:
        out = f"X-Out-{i}"

        @app.before_request
        def access() -> None:
            request.headers.get("X-In")

        @app.after_request
        def header_filter(response: Response) -> Response:
            response.headers[out] = "1"
            return response

    def phases(i: int) -> None:
        nothing(i)

        @app.after_request
        def header_filter(response: Response) -> Response:
            return response

        @app.teardown_request
        def log(error: BaseException | None) -> None:
            pass

    for i in range(1, n + 1):
        {NOTHING: nothing, REALISTIC: headers, PHASES: phases}[scenario](i)
    return app.wsgi_app


def falcon(scenario: str, n: int) -> WSGIApplication:
    """Add ``n`` middleware components."""
    import falcon as framework

    class Index:
        def on_get(self, req: Any, resp: Any) -> None:
            resp.content_type = TYPE
            resp.data = b"ok"

    class Nothing:
        def process_request(self, req: Any, resp: Any) -> None:
            pass

    class Headers:
        def __init__(self, i: int) -> None:
            self.out = f"X-Out-{i}"

        def process_request(self, req: Any, resp: Any) -> None:
            req.get_header("X-In")

        def process_response(self, req: Any, resp: Any, resource: Any, succeeded: bool) -> None:
            resp.set_header(self.out, "1")

    class Phases:
        def process_request(self, req: Any, resp: Any) -> None:
            pass

        def process_response(self, req: Any, resp: Any, resource: Any, succeeded: bool) -> None:
            pass

    make = {NOTHING: lambda i: Nothing(), REALISTIC: Headers, PHASES: lambda i: Phases()}[scenario]
    app = framework.App(middleware=[make(i) for i in range(1, n + 1)])
    app.add_route("/", Index())
    return app


def bottle(scenario: str, n: int) -> WSGIApplication:
    """Install ``n`` plugins, each of which decorates the view."""
    import bottle as framework

    app = framework.Bottle()
    request, response = framework.request, framework.response

    def nothing(i: int) -> Callable[[Any], Any]:
        def plugin(view: Any) -> Any:
            def layer() -> Any:
                return view()

            return layer

        return plugin

    def headers(i: int) -> Callable[[Any], Any]:
        out = f"X-Out-{i}"

        def plugin(view: Any) -> Any:
            def layer() -> Any:
                request.get_header("X-In")
                body = view()
                response.set_header(out, "1")
                return body

            return layer

        return plugin

    def phases(i: int) -> Callable[[Any], Any]:
        def plugin(view: Any) -> Any:
            def layer() -> Any:
                try:
                    return view()
                finally:
                    log()

            return layer

        return plugin

    for i in range(1, n + 1):
        app.install({NOTHING: nothing, REALISTIC: headers, PHASES: phases}[scenario](i))

    @app.get("/")
    def index() -> bytes:
        response.content_type = TYPE
        return b"ok"

    return app


def log(*args: Any) -> None:
    """Record nothing."""


# Django and Pyramid take layers by dotted name: ``bench.frameworks.django_headers_3`` is made on demand -----


def __getattr__(name: str) -> Any:
    framework, _, rest = name.partition("_")
    scenario, _, number = rest.partition("_")
    if framework not in ("django", "pyramid") or not number.isdigit():
        raise AttributeError(name)
    return (django_layer if framework == "django" else pyramid_layer)(scenario, f"X-Out-{number}")


def dotted(framework: str, scenario: str, n: int) -> list[str]:
    return [f"{__name__}.{framework}_{scenario}_{i}" for i in range(1, n + 1)]


def django(scenario: str, n: int) -> WSGIApplication:
    """List ``n`` middleware in ``MIDDLEWARE``."""
    import django as framework
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path

    def index(request: Any) -> HttpResponse:
        return HttpResponse(b"ok", headers={"Content-Type": TYPE, "Content-Length": "2"})

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=__name__,
            LOGGING_CONFIG=None,
            SECRET_KEY="bench",
            USE_I18N=False,
        )
        framework.setup(set_prefix=False)
    globals().setdefault("urlpatterns", [path("", index)])
    settings.MIDDLEWARE = dotted("django", scenario, n)
    return WSGIHandler()


def django_layer(scenario: str, out: str) -> Any:
    def nothing(get_response: Any) -> Any:
        def layer(request: Any) -> Any:
            return get_response(request)

        return layer

    def headers(get_response: Any) -> Any:
        def layer(request: Any) -> Any:
            request.META.get(READ)
            response = get_response(request)
            response[out] = "1"
            return response

        return layer

    def phases(get_response: Any) -> Any:
        def layer(request: Any) -> Any:
            response = get_response(request)
            response._resource_closers.append(log)
            return response

        return layer

    return {NOTHING: nothing, REALISTIC: headers, PHASES: phases}[scenario]


def pyramid(scenario: str, n: int) -> WSGIApplication:
    """Add ``n`` tweens."""
    from pyramid.config import Configurator
    from pyramid.response import Response

    def index(request: Any) -> Any:
        return Response(b"ok", content_type="text/plain", charset="utf-8")

    config = Configurator()
    config.add_route("index", "/")
    config.add_view(index, route_name="index")
    for name in dotted("pyramid", scenario, n):
        config.add_tween(name)
    return config.make_wsgi_app()


def pyramid_layer(scenario: str, out: str) -> Any:
    def nothing(handler: Any, registry: Any) -> Any:
        def layer(request: Any) -> Any:
            return handler(request)

        return layer

    def headers(handler: Any, registry: Any) -> Any:
        def layer(request: Any) -> Any:
            request.headers.get("X-In")
            response = handler(request)
            response.headers[out] = "1"
            return response

        return layer

    def phases(handler: Any, registry: Any) -> Any:
        def layer(request: Any) -> Any:
            request.add_finished_callback(log)
            return handler(request)

        return layer

    return {NOTHING: nothing, REALISTIC: headers, PHASES: phases}[scenario]


BOTH = ("process_request", "process_response")
PROCESS = {NOTHING: ("process_request",), REALISTIC: BOTH, PHASES: BOTH}
FLASK = Variant("flask", flask, HOOKS, framework=True)
DJANGO = Variant("django", django, LAYERS, framework=True)
PYRAMID = Variant("pyramid", pyramid, LAYERS, framework=True)
FALCON = Variant("falcon", falcon, PROCESS, framework=True)
BOTTLE = Variant("bottle", bottle, LAYERS, framework=True)
