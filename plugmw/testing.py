"""Try a plugin in three lines, without a server.

def test_says_hello():
    assert get(Hello(greeting="hi")).headers["X-Greeting"] == "hi"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.test import Client, TestResponse

from plugmw.configuration.extras import Item
from plugmw.gateway import Gateway
from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def hello_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer ``hello`` as text; keeps the environ it saw in ``environ["plugmw.testing.saw"]``."""
    saw = environ.get(keys.TESTING_SAW)
    if saw is not None:
        saw.append(environ)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "5")])
    return [b"hello"]


def gateway(*plugins: Item, app: WSGIApplication = hello_app, **config: Any) -> Gateway:
    """Wrap ``app`` in plugins; keyword arguments are keys of the configuration document.

    The store is in memory unless ``store`` says otherwise.
    """
    return Gateway(app, {"store": "memory://", **config}, plugins=plugins)


def get(
    plugin: Item | Sequence[Item] | Gateway,
    config: Mapping[str, object] | None = None,
    *,
    app: WSGIApplication = hello_app,
    path: str = "/",
    method: str = "GET",
    environ: Mapping[str, object] | None = None,
    **request: Any,
) -> TestResponse:
    """Send one request through ``plugin`` (or a list of plugins, or a gateway) and return the answer.

    ``request`` are arguments of :meth:`werkzeug.test.Client.open` (``headers``, ``query_string``,
    ``data``, ``json``); ``environ`` overrides WSGI variables such as ``REMOTE_ADDR``.
    """
    if isinstance(plugin, Gateway):
        wrapped = plugin
    else:
        plugins = plugin if isinstance(plugin, Sequence) else [plugin]
        wrapped = gateway(*plugins, app=app, **(config or {}))
    # One request has no cookies but those it is given.
    client = Client(wrapped, use_cookies=False)
    return client.open(path, method=method, environ_overrides=environ or {}, buffered=True, **request)
