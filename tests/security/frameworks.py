"""The same views in four frameworks, with their own ways to read a path; each notes which view ran."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from tests.support.django_site import configure

#: Views by the path they are at.
VIEWS = {"/": "home", "/admin/users": "users", "/api/v1/secret": "secret", "/public/<name>": "public"}
#: The paths that are guarded, with the view behind each.
GUARDED = {"/admin": "users", "/api/v1/secret": "secret"}


def flask(ran: list[str]) -> Any:
    from flask import Flask

    app = Flask("views")
    app.url_map.strict_slashes = False

    def view(name: str) -> Callable[..., str]:
        def run(**_: Any) -> str:
            ran.append(name)
            return name

        run.__name__ = name
        return run

    for path, name in VIEWS.items():
        app.add_url_rule(path, name, view(name))
    app.add_url_rule("/files/<path:rest>", "files", view("files"))
    return app


def django(ran: list[str]) -> Any:
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path, re_path

    def view(name: str) -> Callable[..., Any]:
        def run(request: Any, **_: Any) -> Any:
            _DJANGO[-1].append(name)
            return HttpResponse(name)

        return run

    class Urls:
        urlpatterns = [
            *(path(at.lstrip("/").replace("<name>", "<str:name>"), view(name)) for at, name in VIEWS.items()),
            # The lenient patterns that real sites have.
            re_path(r"^admin/users/?$", view("users")),
            re_path(r"^api/v1/secret/?$", view("secret")),
            path("files/<path:rest>", view("files")),
        ]

    configure(Urls)
    _DJANGO.append(ran)
    handler = WSGIHandler()

    def app(environ: Any, start_response: Any) -> Any:
        from django.urls import set_urlconf

        return _with_urls(handler, Urls, environ, start_response, set_urlconf)

    return app


_DJANGO: list[list[str]] = []


def _with_urls(handler: Any, urls: Any, environ: Any, start_response: Any, set_urlconf: Any) -> Any:
    """Serve with these views whatever site another test has configured."""
    from django.conf import settings

    before, settings.ROOT_URLCONF = settings.ROOT_URLCONF, urls
    try:
        return handler(environ, start_response)
    finally:
        settings.ROOT_URLCONF = before
        set_urlconf(None)


def pyramid(ran: list[str]) -> Any:
    with warnings.catch_warnings():
        # Its import of pkg_resources, which setuptools deprecates.
        warnings.simplefilter("ignore")
        from pyramid.config import Configurator
        from pyramid.response import Response

    config = Configurator()
    for path, name in VIEWS.items():
        config.add_route(name, path.replace("<name>", "{name}"))

        def view(request: Any, name: str = name) -> Any:
            ran.append(name)
            return Response(name)

        config.add_view(view, route_name=name)
    config.add_route("files", "/files/*rest")
    config.add_view(lambda request: ran.append("files") or Response("files"), route_name="files")
    return config.make_wsgi_app()


def falcon(ran: list[str]) -> Any:
    import falcon as framework

    app = framework.App()
    app.req_options.strip_url_path_trailing_slash = True

    class View:
        def __init__(self, name: str) -> None:
            self.name = name

        def on_get(self, request: Any, response: Any, **_: Any) -> None:
            ran.append(self.name)
            response.text = self.name

    for path, name in VIEWS.items():
        app.add_route(path.replace("<name>", "{name}"), View(name))
    app.add_sink(lambda request, response, **_: ran.append("files"), "/files/")
    return app


FRAMEWORKS = {"Flask": flask, "Django": django, "Pyramid": pyramid, "Falcon": falcon}
