"""A small real app in Flask and one in Django, and the requests that show what they do.

Nothing in their answers depends on the time or on chance.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.support.fetched import cache

#: (method, path, request headers): what a browser, a client of an API and a scanner might ask.
REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/json", {}),
    ("HEAD", "/json", {}),
    ("GET", "/stream", {}),
    ("HEAD", "/stream", {}),
    ("GET", "/file", {}),
    ("HEAD", "/file", {}),
    ("GET", "/file", {"Range": "bytes=5-9"}),
    ("GET", "/file", {"If-None-Match": "*"}),
    ("GET", "/redirect", {}),
    ("GET", "/cookies", {"Cookie": "seen=1"}),
    ("GET", "/empty", {}),
    ("GET", "/forbidden", {}),
    ("GET", "/not-there", {}),
    ("POST", "/json", {}),
    ("OPTIONS", "/json", {}),
    ("GET", "/large", {}),
    ("POST", "/echo", {}),
    ("GET", "/crash", {}),
    ("HEAD", "/crash", {}),
    ("GET", "/crash-in-stream", {}),
]


def a_file() -> Path:
    """Return a file of 10,000 bytes, the same in every process."""
    path = cache() / "file.txt"
    if not path.exists():
        new = path.with_name(f"file.{os.getpid()}.txt")
        new.write_bytes(b"0123456789" * 1000)
        os.replace(new, path)
    return path


def parts() -> Any:
    """Yield three pieces."""
    yield "one "
    yield "two "
    yield "three"


def failing_parts() -> Any:
    """Yield one piece and fail."""
    yield "one "
    raise RuntimeError("half-way")


def flask_app(debug: bool = False, testing: bool = False) -> Any:
    """Return the Flask app."""
    from flask import Flask, Response, abort, jsonify, make_response, redirect, request, send_file

    app = Flask("small")
    app.debug, app.testing = debug, testing
    app.config["SECRET_KEY"] = "only for tests"

    @app.get("/json")
    def json() -> Any:
        return jsonify(a=[1, 2], b="\u20ac")

    @app.get("/stream")
    def stream() -> Any:
        return Response(parts(), mimetype="text/plain")

    @app.get("/file")
    def file() -> Any:
        return send_file(a_file(), as_attachment=True, last_modified=0, etag="x")

    @app.get("/redirect")
    def redirecting() -> Any:
        return redirect("/json?x=1", 303)

    @app.get("/cookies")
    def cookies() -> Any:
        made = make_response(request.cookies.get("seen", "-"))
        made.set_cookie("a", "1", httponly=True)
        made.set_cookie("b", "2", path="/x")
        return made

    @app.get("/empty")
    def empty() -> Any:
        return "", 204

    @app.get("/forbidden")
    def forbidden() -> Any:
        abort(403)

    @app.get("/large")
    def large() -> Any:
        return "x" * 300_000

    @app.post("/echo")
    def echo() -> Any:
        return request.get_data()

    @app.get("/crash")
    def crash() -> Any:
        raise RuntimeError("crash")

    @app.get("/crash-in-stream")
    def crash_in_stream() -> Any:
        return Response(failing_parts(), mimetype="text/plain")

    return app.wsgi_app


def django_app(debug: bool = False, propagate: bool = False) -> Any:
    """Return the Django app. Settings are the process's: call it in one that is for it alone."""
    import django
    from django.conf import settings
    from django.core.exceptions import PermissionDenied
    from django.http import (
        FileResponse,
        HttpResponse,
        HttpResponseRedirect,
        JsonResponse,
        StreamingHttpResponse,
    )
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_safe

    @require_safe
    def json(request: Any) -> Any:
        return JsonResponse({"a": [1, 2], "b": "\u20ac"})

    def cookies(request: Any) -> Any:
        made = HttpResponse(request.COOKIES.get("seen", "-"))
        made.set_cookie("a", "1", httponly=True)
        made.set_cookie("b", "2", path="/x")
        return made

    def forbidden(request: Any) -> Any:
        raise PermissionDenied

    def crash(request: Any) -> Any:
        raise RuntimeError("crash")

    class urls:
        urlpatterns = [
            path("json", json),
            path("stream", lambda request: StreamingHttpResponse(parts(), content_type="text/plain")),
            path("file", lambda request: FileResponse(a_file().open("rb"), as_attachment=True)),
            path("redirect", lambda request: HttpResponseRedirect("/json?x=1")),
            path("cookies", cookies),
            path("empty", lambda request: HttpResponse(status=204)),
            path("forbidden", forbidden),
            path("large", lambda request: HttpResponse("x" * 300_000)),
            path("echo", csrf_exempt(lambda request: HttpResponse(request.body))),
            path("crash", crash),
            path("crash-in-stream", lambda request: StreamingHttpResponse(failing_parts())),
        ]

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=debug,
        DEBUG_PROPAGATE_EXCEPTIONS=propagate,
        LOGGING_CONFIG=None,
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "django.middleware.http.ConditionalGetMiddleware",
            "django.middleware.security.SecurityMiddleware",
        ],
        ROOT_URLCONF=urls,
        SECRET_KEY="only for tests",
        USE_TZ=True,
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()
