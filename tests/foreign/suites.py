"""Which suites there are, where their apps are called, and what a chain is forced to make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from plugmw import Entry, Gateway
from tests.support.plugins import made, nothing, wrapping

ALL: Final = ("rewrite", "access", "header_filter", "log", "init_worker")


def _observing() -> list[Any]:
    seen: list[Any] = []

    def look(x: Any) -> None:
        seen[:] = [x.status, dict(x.headers), x.path, x.host, x.client_ip, x.method, x.request_id, x.sent]

    return [made(access=lambda x: None, log=look, needs_timings=True)]


def _identity(x: Any, chunk: bytes, eof: bool) -> bytes:
    return chunk


#: Plugins that change nothing, by the name of the chain.
CHAINS: Final[dict[str, Callable[[], list[Any]]]] = {
    "empty": list,
    "phases": lambda: [nothing(*ALL)],
    "body": lambda: [made(body_filter=_identity)],
    "observing": _observing,
    "response": lambda: [made(response=lambda x: None)],
    "scoped": lambda: [
        Entry(nothing(*ALL), when=lambda x: True),
        Entry(nothing("access", name="b"), when=lambda x: False),
    ],
    "nested": lambda: [
        nothing(*ALL, name="outer"),
        made("middle", wrap=wrapping),
        nothing(*ALL, name="inner"),
    ],
}


def wrapped(app: Any, chain: str) -> Any:
    """Return ``app`` under a chain."""
    return Gateway(app, {"store": "memory://"}, plugins=CHAINS[chain]())


# -- where apps are called --------------------------------------------------------------------------------


def _werkzeug(chain: str) -> None:
    from werkzeug import test

    run = test.run_wsgi_app

    def run_wsgi_app(app: Any, environ: Any, buffered: bool = False) -> Any:
        return run(wrapped(app, chain), environ, buffered)

    test.run_wsgi_app = run_wsgi_app  # type: ignore[assignment]


def _webob(chain: str) -> None:
    from webob.request import BaseRequest

    call = BaseRequest.call_application

    def call_application(self: Any, application: Any, catch_exc_info: bool = False) -> Any:
        return call(self, wrapped(application, chain), catch_exc_info)

    BaseRequest.call_application = call_application


def _bottle(chain: str) -> None:
    from bottle import Bottle  # type: ignore[import-not-found]

    _method_of(Bottle, chain)


def _pyramid(chain: str) -> None:
    from pyramid.router import Router

    _method_of(Router, chain)


def _falcon(chain: str) -> None:
    from falcon import App

    # Below the validator of wsgiref, through which Falcon's client calls: it looks at what we return, too.
    _method_of(App, chain)


def _django(chain: str) -> None:
    from django.core.handlers.wsgi import WSGIHandler
    from django.test.client import ClientHandler

    _method_of(WSGIHandler, chain)
    call = ClientHandler.__call__

    def called(self: Any, environ: Any) -> Any:
        return through(lambda environ: call(self, environ), environ, chain)

    ClientHandler.__call__ = called  # type: ignore[method-assign]


def through(view: Callable[[Any], Any], environ: Any, chain: str) -> Any:
    """Return the response of Django's test client after it went through a chain as an answer of WSGI.

    The client has no WSGI of its own. A body that is streamed is the one that the chain lets through;
    anything else that a chain has changed raises AssertionError.
    """
    responses: list[Any] = []
    started: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        response = view(environ)
        responses.append(response)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        if response.streaming:
            return () if response.is_async else iter(response.streaming_content)
        return [response.content]

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [status, list(headers)]

    body = wrapped(app, chain)(environ, start_response)
    response = responses[0]
    if response.streaming and not response.is_async:
        response.streaming_content = closing(body)
    else:
        received = b"".join(closing(body))
        assert response.streaming or received == response.content
    assert not started or started == [
        f"{response.status_code} {response.reason_phrase}",
        list(response.items()),
    ]
    return response


def closing(body: Any) -> Any:
    """Yield the blocks of a body and close it, as a server does."""
    try:
        yield from body
    finally:
        if hasattr(body, "close"):
            body.close()


def _method_of(cls: Any, chain: str) -> None:
    """Wrap the apps that objects of a class are."""
    call = cls.__call__

    def called(self: Any, environ: Any, start_response: Any) -> Any:
        return wrapped(lambda *arguments: call(self, *arguments), chain)(environ, start_response)

    cls.__call__ = called


#: The chains that have to close what they return: it is no list, nor a file that cannot be closed.
CLOSING: Final = ("phases", "observing", "scoped", "nested", "response")
_A_LIST: Final = "compares what the app returned with a list; a chain that logs returns what ends the log"
_TEXT: Final = "the app sends text; a body filter is given bytes, and refuses anything else"
#: By the end of a test's id: the chains under which it has to fail, and why.
Forced = dict[str, tuple[tuple[str, ...], str]]


@attrs.frozen
class Suite:
    """A source distribution and its tests."""

    patch: Callable[[str], None]
    tests: str = "tests"
    #: Options of pytest, and packages that the tests import beside those of ours.
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    #: The script that runs the tests, in their folder, with ``options``; ``""`` for pytest.
    script: str = ""
    forced: Forced = attrs.Factory(dict)


_WEBOB: Final[Forced] = {
    "::test_call_WSGI_app": (CLOSING, _A_LIST),
    "::test_call_WSGI_app_204": (CLOSING, _A_LIST),
    "::test_call_WSGI_app_no_content_type": ((*CLOSING, "body"), _A_LIST),
    "::test_use_wsgi_filewrapper": ((*CLOSING, "body"), "the wrapper can be neither closed nor iterated"),
    "test_response.py::test_response": (
        (*CLOSING, "body"),
        "the app sends a list of one text, read as the body",
    ),
    "::test_call_application_calls_application": (("body",), _TEXT),
    "::test_call_application_provides_write": (("body",), _TEXT),
    "::test_call_application_closes_iterable_when_mixed_w_write_calls": (
        ("body", "response"),
        f"{_TEXT}; what is read whole is closed by the server, which the test is not",
    ),
    "::test_call_application_returns_exc_info": (("body",), _TEXT),
    "::test_set_response_status_binary": (("body",), _TEXT),
    "test_response.py::test_cookies": (("body",), _TEXT),
    "::test_conditional_response_if_none_match_false": (("body",), _TEXT),
    "::test_conditional_response_if_modified_since_true": (("body",), _TEXT),
}
_WERKZEUG: Final[Forced] = {
    **{
        f"::test_run_wsgi_apps[{kind}]": (
            ("body", "response"),
            "one of the apps sends text before it calls start_response (PEP 3333: first)",
        )
        for kind in ("True-True", "True-False", "False-True", "False-False")
    },
    "::test_path_info_script_name_unquoting": (("body",), _TEXT),
    "::test_run_wsgi_app_closing_iterator": (("body",), _TEXT),
    "test_wrappers.py::test_type_forcing": (("body",), _TEXT),
    "test_wsgi.py::test_closing_iterator": (("body",), _TEXT),
}
_BOTTLE: Final[Forced] = {
    "::test_no_slash_prefix": (
        ("body",),
        "an app is mounted that calls start_response first; a filtered one does at its first bytes",
    ),
}
_ITS_RESPONSE: Final = (
    "takes what the app returned for Django's response; a chain that logs returns what ends it"
)
_DJANGO: Final[Forced] = {
    **{
        f".{test}": ((*CLOSING, "body"), _ITS_RESPONSE)
        for test in (
            *("test_data_upload_max_memory_size_exceeded", "test_data_upload_max_number_fields_exceeded"),
            *("test_data_upload_max_number_files_exceeded", "test_bad_path_info"),
            *("test_invalid_multipart_boundary", "test_get_wsgi_application"),
        )
    },
    "WSGITest.test_file_wrapper": ((*CLOSING, "body"), "wants the file wrapper itself, which cannot log"),
    ".test_file_response_closing": (
        ("body", "response"),
        "wants sendfile, which sends what no body filter has seen",
    ),
    ".test_request_signals_streaming_response": (("response",), "a stream is read whole before it goes out"),
    ".test_handle_accepts_httpstatus_enum_value": (
        ("body",),
        "does not iterate what it is returned; a filtered answer starts at its first bytes",
    ),
}
_PYRAMID: Final[Forced] = {
    f"::TestRouter::test_{test}": ((*CLOSING, "body"), _A_LIST)
    for test in (
        "call_eventsends",
        "call_newrequest_evllist_exc_can_be_caught_by_exceptionview",
        "call_route_matches_and_has_factory",
        "call_route_matches_doesnt_overwrite_subscriber_iface",
        "call_route_raises_exception_view",
        "call_route_raises_exception_view_specializing",
        "call_route_raises_route_exception_view",
        "call_route_raises_sub_exception_super_exception_view",
        "call_view_exception_propagating",
        "call_view_multiple_predicate_mismatches_dont_hide_views",
        "call_view_predicate_mismatch_doesnt_hide_views",
        "call_view_raises_exception_view",
        "call_view_raises_response_cleared",
        "call_view_raises_sub_exception_super_exception_view",
        "call_view_registered_nonspecific_default_path",
        "call_view_registered_nonspecific_nondefault_path_and_subpath",
        "call_view_registered_specific_success",
        "call_view_returns_adapted_response",
        "root_factory_raises_exception_view",
        "traverser_raises_exception_view",
        "tween_factories",
    )
}

SUITES: Final = {
    # Servers of its own, which nothing of ours is in.
    "werkzeug": Suite(
        _werkzeug,
        options=("--ignore=tests/test_serving.py",),
        needs=("ephemeral-port-reserve", "pytest-timeout", "watchdog"),
        forced=_WERKZEUG,
    ),
    "flask": Suite(_werkzeug),
    "webob": Suite(_webob, forced=_WEBOB),
    "bottle": Suite(_bottle, "test", forced=_BOTTLE),
    # Without the scripts, which start other programs, and what needs zope.component, a part of the package
    # zope that cannot be in a folder of its own.
    "pyramid": Suite(
        _pyramid,
        forced=_PYRAMID,
        options=("--ignore=tests/test_scripts", "--ignore=tests/test_testing.py"),
        needs=("WebTest", "beautifulsoup4", "soupsieve", "typing_extensions"),
    ),
    # What is WSGI: half of Falcon's tests are the same ones for ASGI.
    "falcon": Suite(_falcon, options=("-k", "not asgi", "--ignore=tests/asgi")),
    "webtest": Suite(
        _webob,
        needs=(
            "PasteDeploy",
            "WSGIProxy2",
            "beautifulsoup4",
            "cssselect",
            "lxml",
            "pyquery",
            "six",
            "soupsieve",
        ),
    ),
    # The folders that speak of handlers, requests, answers, middleware, files on their way and WSGI.
    "django": Suite(
        _django,
        forced=_DJANGO,
        script="runtests.py",
        options=(
            *("handlers", "wsgi", "builtin_server", "servers", "test_client"),
            *("requests_tests", "responses", "httpwrappers", "file_uploads", "view_tests"),
            *("middleware", "middleware_exceptions", "conditional_processing", "csrf_tests", "logging_tests"),
        ),
    ),
}
