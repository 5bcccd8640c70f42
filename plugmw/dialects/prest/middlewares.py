"""Middleware plugins: ``<folder>/middlewares/<file>.py`` with ``{func}MiddlewareLoad``.

    def HelloMiddlewareLoad(rw, rq, next):          # the handler itself, as prestd's loader wants it
        rw.header()["X-Hello"] = "1"
        next(rw, rq)

    def HelloMiddlewareLoad():                      # or what returns it, as prestd's own sample is written
        return handler

    def HelloMiddlewareLoad(app):                   # or a WSGI middleware
        return wrapped

``rw`` and ``rq`` are those of :mod:`plugmw.dialects.go_http`. prestd uses the first entry that it can load;
here all are used, the first one outermost. One that cannot be used is an error, or logged and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from plugmw.dialects.go_http import AppHandler, HandlerFunc
from plugmw.dialects.prest.loading import Folder, NotServed, PythonFile, accepts
from plugmw.errors import LoadError
from plugmw.kernel.runtime import Logger
from plugmw.kernel.user_code import contained

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Wrapper = Callable[["WSGIApplication"], "WSGIApplication"]


def wrapped(
    app: WSGIApplication,
    folder: Folder,
    names: Iterable[tuple[str, str]],
    logger: Logger,
    strict: bool = False,
) -> WSGIApplication:
    """Return ``app`` inside the middlewares that (file, func) name, the first one outermost.

    With ``strict`` one that cannot be used raises :class:`~plugmw.errors.LoadError`.
    """
    for file, func in reversed(list(names)):
        try:
            app = contained(_wrapper(folder, file, f"{func}MiddlewareLoad"), app)
        except Exception as error:
            known = isinstance(error, NotServed)
            logger.error(
                "middleware %s of %s left out: %s", func, file, error, exc_info=None if known else error
            )
            if strict:
                raise LoadError(f"{folder.path}/{file}.py", str(error)) from error
    return app


def _wrapper(folder: Folder, file: str, name: str) -> Wrapper:
    library = folder.open(file)
    if not isinstance(library, PythonFile):
        raise NotServed(f"middleware {name} is in a library, expected a Python file")
    function = library.symbol(name)
    if not (accepts(function, 3) or accepts(function, 1)) and accepts(function, 0):
        function = contained(function)
    if accepts(function, 3):
        return lambda app: _handler(function, app)
    if accepts(function, 1):
        return lambda app: _checked(function(app), name)
    raise NotServed(f"middleware {name} is no func(rw, rq, next), nor returns one")


def _handler(function: Callable[..., object], app: WSGIApplication) -> WSGIApplication:
    following = AppHandler(app).serve_http
    return HandlerFunc(lambda w, req: function(w, req, following))


def _checked(wrapped: object, name: str) -> WSGIApplication:
    if not callable(wrapped):
        raise NotServed(f"middleware {name} returned {type(wrapped).__name__}, expected a WSGI app")
    return wrapped
