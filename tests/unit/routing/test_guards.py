"""What a framework serves for a request is what a guard has covered: frameworks x requests, in this process.

Each app has one view, at ``/admin`` for GET, which notes what the framework read of the request. A row is
good if a framework at least serves it when no gateway is there.
"""

from __future__ import annotations

import functools
import warnings
from urllib.parse import parse_qsl

import pytest

from plugmw import Gateway
from tests.security.frameworks import _with_urls
from tests.support.django_site import configure
from tests.support.wsgi import environ_of, serve

HOST = "admin.example.org"


def flask(ran):
    from flask import Flask, request

    app = Flask("guarded")

    @app.get("/admin", strict_slashes=False)
    def admin():
        ran.append((request.host.partition(":")[0], request.args.get("a")))
        return "secret"

    return app


def django(ran):
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.http.request import split_domain_port
    from django.urls import re_path, set_urlconf
    from django.views import View

    class Admin(View):
        def get(self, request):
            ran.append((split_domain_port(request.get_host())[0], request.GET.get("a")))
            return HttpResponse("secret")

    class Urls:
        urlpatterns = [re_path("^admin/?$", Admin.as_view())]

    configure(Urls)
    handler = WSGIHandler()
    return lambda environ, start_response: _with_urls(handler, Urls, environ, start_response, set_urlconf)


def pyramid(ran):
    with warnings.catch_warnings():
        # Its import of pkg_resources, which setuptools deprecates.
        warnings.simplefilter("ignore")
        from pyramid.config import Configurator
        from pyramid.response import Response

    def admin(request):
        ran.append((request.domain, request.GET.get("a")))
        return Response("secret")

    config = Configurator()
    config.add_route("admin", "/admin")
    config.add_route("slash", "/admin/")
    for name in ("admin", "slash"):
        config.add_view(admin, route_name=name, request_method="GET")
    return config.make_wsgi_app()


def falcon(ran):
    import falcon as framework

    class Admin:
        def on_get(self, request, response):
            ran.append((request.host, request.get_param("a")))
            response.text = "secret"

        on_head = on_get

    app = framework.App()
    app.req_options.strip_url_path_trailing_slash = True
    app.add_route("/admin", Admin())
    return app


def bare(ran):
    """Read as somebody does who has read PEP 3333 only, and resolves what it can."""

    def app(environ, start_response):
        path = "/" + environ["PATH_INFO"].split(";")[0].strip("/")
        host = environ["HTTP_HOST"].lower().partition(":")[0].rstrip(".")
        arguments = dict(parse_qsl(environ["QUERY_STRING"]))
        served = path == "/admin" and environ["REQUEST_METHOD"].upper() in ("GET", "HEAD")
        if served:
            ran.append((host, arguments.get("a")))
        start_response("200 OK" if served else "404 Not Found", [("Content-Type", "text/plain")])
        return [b"secret" if served else b""]

    return app


FRAMEWORKS = {"Flask": flask, "Django": django, "Pyramid": pyramid, "Falcon": falcon, "bare": bare}

PATHS = {
    "as it is": {"PATH_INFO": "/admin"},
    "a slash at the end": {"PATH_INFO": "/admin/"},
    "two slashes": {"PATH_INFO": "//admin"},
    "parameters": {"PATH_INFO": "/admin;a=b"},
    "HEAD": {"PATH_INFO": "/admin", "REQUEST_METHOD": "HEAD"},
    "a method in small letters": {"PATH_INFO": "/admin", "REQUEST_METHOD": "get"},
    "HEAD in small letters": {"PATH_INFO": "/admin", "REQUEST_METHOD": "head"},
    "gunicorn's header": {"PATH_INFO": "/admin", "SCRIPT_NAME": "/x", "HTTP_SCRIPT_NAME": "/x"},
    "gunicorn's header, two names": {
        "PATH_INFO": "/admin",
        "SCRIPT_NAME": "/x/y",
        "HTTP_SCRIPT_NAME": "/x/y",
    },
    "gunicorn's header, sent twice": {"PATH_INFO": "/admin", "SCRIPT_NAME": "/x", "HTTP_SCRIPT_NAME": "/,/x"},
    "gunicorn's header, no slash": {"PATH_INFO": "admin", "SCRIPT_NAME": "/x", "HTTP_SCRIPT_NAME": "/x"},
    "ProxyFix": {"PATH_INFO": "/admin", "SCRIPT_NAME": "/x", "HTTP_X_FORWARDED_PREFIX": "/x"},
    "a middleware for X-Script-Name": {
        "PATH_INFO": "/admin",
        "SCRIPT_NAME": "/x",
        "HTTP_X_SCRIPT_NAME": "/x",
    },
}
HOSTS = {
    "as it is": HOST,
    "capitals": "Admin.Example.ORG",
    "a port": f"{HOST}:8080",
    "a dot": f"{HOST}.",
    "a dot and a port": f"{HOST}.:8080",
}
QUERIES = {"as it is": "a=1", "the last": "a=0&a=1", "the first": "a=1&a=0", "escaped": "%61=%31"}
MOUNTED = {
    "as it is": {"SCRIPT_NAME": "/x", "PATH_INFO": "/admin"},
    "no slash between": {"SCRIPT_NAME": "/x", "PATH_INFO": "admin"},
    "two slashes": {"SCRIPT_NAME": "/x", "PATH_INFO": "//admin"},
}
TABLE = {
    **{f"path: {name}": ({"paths": ["/admin"]}, request, None) for name, request in PATHS.items()},
    **{
        f"method: {name}": ({"paths": ["/admin"], "methods": ["GET"]}, request, None)
        for name, request in PATHS.items()
    },
    **{f"mounted: {name}": ({"paths": ["/x/admin"]}, request, None) for name, request in MOUNTED.items()},
    **{
        f"host: {name}": ({"hosts": [HOST]}, {"PATH_INFO": "/admin", "HTTP_HOST": host}, (0, HOST))
        for name, host in HOSTS.items()
    },
    **{
        f"query: {name}": ({"query": {"a": "1"}}, {"PATH_INFO": "/admin", "QUERY_STRING": query}, (1, "1"))
        for name, query in QUERIES.items()
    },
}


@functools.cache
def _made(framework):
    ran = []
    return FRAMEWORKS[framework](ran), ran


def app_of(framework):
    """Return an app, and the list in which its view notes what it read."""
    app, ran = _made(framework)
    ran.clear()
    return app, ran


def guard_of(app, style, conditions):
    refuse = {"name": "request-termination", "config": {"status_code": 403}}
    if style == "route":
        routes = [{"name": "all", "paths": ["/"]}, {"name": "guarded", **conditions}]
        return Gateway(app, {"routes": routes, "plugins": [{**refuse, "route": "guarded"}]})
    return Gateway(app, {"plugins": [{**refuse, "when": conditions}]})


def reached(ran, wanted):
    """Say whether the view ran, for a request that the framework reads as the guard is meant."""
    return any(wanted is None or reading[wanted[0]] == wanted[1] for reading in ran)


def asked(request):
    return environ_of(**{"path": "/", "HTTP_HOST": "example.org", **request})


def styles(conditions):
    """Return what can carry the conditions: routes have no query, entries no hosts."""
    return ["when"] if "query" in conditions else ["route"] if "hosts" in conditions else ["route", "when"]


@pytest.mark.parametrize("row", TABLE)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_a_framework_serves_the_guard_has_covered(framework, row):
    conditions, request, wanted = TABLE[row]
    for style in styles(conditions):
        app, ran = app_of(framework)
        answer = serve(guard_of(app, style, conditions), asked(request))
        assert not reached(ran, wanted), style
        assert b"secret" not in answer.body or wanted is not None


@pytest.mark.parametrize("row", TABLE)
def test_each_request_of_the_table_is_served_by_a_framework_alone(row):
    _, request, wanted = TABLE[row]
    served = []
    for framework in FRAMEWORKS:
        app, ran = app_of(framework)
        serve(app, asked(request))
        if reached(ran, wanted):
            served.append(framework)
    assert served, row


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_guard_lets_pass_what_it_is_not_for(framework):
    for conditions, request in [
        ({"paths": ["/other"]}, {}),
        ({"paths": ["/x/other"]}, {"SCRIPT_NAME": "/x"}),
        ({"paths": ["/x/other"]}, {"SCRIPT_NAME": "/x", "HTTP_SCRIPT_NAME": "/x"}),
        ({"methods": ["POST"]}, {}),
        ({"hosts": ["other.example.org"]}, {}),
        ({"query": {"a": "1"}}, {"QUERY_STRING": "a=2"}),
    ]:
        for style in styles(conditions):
            app, ran = app_of(framework)
            answer = serve(guard_of(app, style, conditions), asked({"PATH_INFO": "/admin", **request}))
            assert (answer.status[:3], len(ran)) == ("200", 1), (style, conditions)
