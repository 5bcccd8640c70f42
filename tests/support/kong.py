"""Kong handlers made in one line, and PDK functions called in a phase of a real request.

assert during("access", kong.request.get_method, method="PUT") == "PUT"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plugmw.dialects.kong import adapt
from plugmw.testing import gateway, get, hello_app

REQUEST = ("rewrite", "access", "response", "header_filter", "body_filter", "log")


def handler(priority: int = 10, version: str = "1.0.0", **methods: Any) -> Any:
    """Return a handler object; functions given are its methods, called with the configuration."""
    members = {name: staticmethod(method) for name, method in methods.items()}
    return type("Handler", (), {"PRIORITY": priority, "VERSION": version, **members})()


def plugin(name: str = "tester", priority: int = 10, **methods: Any) -> Any:
    """Return a plugin object made of a handler with these methods."""
    return adapt(handler(priority, **methods), name)()


def during(phase: str, call: Callable[..., Any], *arguments: Any, **request: Any) -> Any:
    """Call in a phase of a request (``request`` as :func:`plugmw.testing.get`); raises what it raised."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def method(config: Any) -> None:
        if results or errors:
            return
        try:
            results.append(call(*arguments))
        except Exception as error:
            errors.append(error)

    through(plugin(**{phase: method}), **request)
    if errors:
        raise errors[0]
    return results[0]


def through(*plugins: Any, app: Any = hello_app, config: Any = None, **request: Any) -> Any:
    """Send a request through plugins and return the answer."""
    made = gateway(*plugins, app=app, **(config or {}))
    return get(made, **request)


def both(before: Callable[[], Any], phase: str, call: Callable[[], Any], **request: Any) -> Any:
    """Call ``before`` in access, then ``call`` in a phase; return what that returned."""
    results: list[Any] = []

    def later(config: Any) -> None:
        if not results:
            results.append(call())

    through(plugin("first", 20, access=lambda config: before()), plugin(**{phase: later}), **request)
    return results[0]
