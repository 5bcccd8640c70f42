"""Functions by URL: ``GET /_PLUGIN/hello/Hello`` calls ``GETHelloHandler`` of the file ``hello``.

What cannot be called is a 404 with prestd's reason, what fails is a 500; both are JSON. The exception is in
the log only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from plugmw.dialects.prest.loading import NAME, Failed, Folder, Function, NotServed, no_symbol, wrong_type
from plugmw.dialects.prest.results import JSON, WrongType, error_text, send
from plugmw.dialects.prest.views import Call
from plugmw.kernel.runtime import Logger, Runtime
from plugmw.wsgi.answer import MESSAGES, UNEXPECTED, Exit, respond, status_line
from plugmw.wsgi.paths import escape, full_path
from plugmw.wsgi.readings import METHODS

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PLACE: Final = re.compile(rf"/({NAME})/({NAME})(/?)").fullmatch


class Functions:
    """A WSGI app: the functions of ``folder`` under ``prefix``, and ``app`` everywhere else."""

    def __init__(
        self,
        app: WSGIApplication,
        folder: Folder,
        prefix: str,
        runtime: Runtime,
        logger: Logger,
        compat: bool = False,
    ) -> None:
        self._app = app
        self._folder = folder
        self._prefix = prefix
        self._compat = compat
        self._logger = logger
        self._calls: type[Call] = type("Call", (Call,), {"runtime": runtime})

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # The path as it came: one that is ours only when it is normalised is the app's.
        path = full_path(environ)
        size = len(self._prefix)
        if not path.startswith(self._prefix) or path[size : size + 1] not in ("", "/"):
            return self._app(environ, start_response)
        place = _PLACE(path[size:])
        if place is None:
            return _refuse(404, MESSAGES[404], environ, start_response)
        if place[3]:
            return _redirect(path[:-1], environ, start_response)
        call = self._calls(environ, start_response)
        call.http_vars = {"file": place[1], "func": place[2]}
        return self._answer(call, place[1], place[2], start_response)

    def _answer(self, call: Call, file: str, func: str, start_response: StartResponse) -> Iterable[bytes]:
        name = f"{call.method}{func}Handler"
        problem: Exception
        raised: OptExcInfo | None = None
        begun = False

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
        ) -> Callable[[bytes], object]:
            nonlocal begun
            begun = True
            return start_response(status, headers, exc_info)

        try:
            return send(self._function(call, file, func)(call), call.environ, start)
        except Exit as left:
            return send((left.body, left.status, left.headers), call.environ, start_response)
        except NotServed as error:
            return _refuse(404, str(error), call.environ, start_response)
        except WrongType as error:
            status, reason, problem = 404, str(wrong_type(name)), error
        except Failed as error:
            status, reason, problem = error.status, MESSAGES.get(error.status, UNEXPECTED), error
        except Exception as error:
            status, reason, problem = 500, UNEXPECTED, error
            raised = sys.exc_info() if begun else None
        text = "%s of %s failed: %s (request %s)"
        self._logger.error(
            text, name, file, problem, call.request_id, exc_info=problem if status == 500 else None
        )
        return _refuse(status, reason, call.environ, start_response, raised)

    def _function(self, call: Call, file: str, func: str) -> Function:
        library = self._folder.open(file)
        name = f"{call.method}{func}Handler"
        if call.method not in METHODS:
            # No method begins with another, so that a name is that of one method and one function only.
            raise no_symbol(name, file)
        try:
            return library.function(name)
        except NotServed:
            if call.method != "HEAD" or self._compat:
                raise
            return library.function(f"GET{func}Handler")


def _refuse(
    status: int,
    reason: str,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    raised: OptExcInfo | None = None,
) -> Iterable[bytes]:
    refusal = Exit(status, error_text(reason).encode(), [("Content-Type", JSON)])
    return respond(refusal, environ, start_response, raised)


def _redirect(path: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Leave the slash at the end away, as prestd's router does."""
    place = escape(path)
    if environ.get("QUERY_STRING"):
        place += f"?{environ['QUERY_STRING']}"
    start_response(status_line(301), [("Location", place), ("Content-Length", "0")])
    return []
