"""Endpoints of a configuration in a few lines, in front of backends that are WSGI apps or services.

krakend = run(endpoint("/x", backend("/b")), app=json_app({"a": 1}))
assert krakend.get("/x").json == {"a": 1}
"""

from __future__ import annotations

import json
import logging

from werkzeug.test import Client

from plugmw import Gateway
from plugmw.dialects.krakend.endpoints import Endpoints
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.model import APP, Backend, Endpoint, Router, Service
from plugmw.documents.translated import Options

MODIFIERS = "plugin/req-resp-modifier"
CLIENTS = "plugin/http-client"


def backend(pattern="/b", host=APP, **fields):
    return Backend(url_pattern=pattern, host=[host] if isinstance(host, str) else host, **fields)


def endpoint(path="/x", *backends, **fields):
    return Endpoint(endpoint=path, backend=list(backends or [backend()]), **fields)


def loader_of(requests=None, responses=None, clients=None):
    """A loader whose register has these functions under these names, each made by a factory of its own."""
    found = Loader(logging.getLogger("plugmw.krakend"))
    for name, modifier in (requests or {}).items():
        found.register.request_modifiers[name] = lambda extra, modifier=modifier: modifier
    for name, modifier in (responses or {}).items():
        found.register.response_modifiers[name] = lambda extra, modifier=modifier: modifier
    for name, client in (clients or {}).items():
        found.register.clients[name] = lambda context, extra, *, client=client: client
    return found


def plugin_of(*endpoints, loader=None, compat=False, has_app=False, router=None, strict=False, **service):
    service = Service(endpoints=list(endpoints), router=Router(**(router or {})), **service)
    options = Options(compat=compat, has_app=has_app, strict=strict)
    return Endpoints.of(service, loader or loader_of(), options)


def run(*endpoints, app=None, **options):
    """A client of the endpoints; ``app`` is behind them, and the backend ``app:``."""
    return Client(Gateway(app or missing, plugins=[plugin_of(*endpoints, **options)]))


def missing(environ, start_response):
    raise AssertionError(f"nobody should ask {environ['PATH_INFO']}")


def replying(body=b"{}", status="200 OK", *headers, seen=None):
    """An app that answers so, and keeps the environs it saw in ``seen``, bodies read."""

    def app(environ, start_response):
        if seen is not None:
            environ["body"] = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            seen.append(environ)
        start_response(status, list(headers) or [("Content-Type", "application/json")])
        return [body]

    return app


def json_app(value, **options):
    return replying(json.dumps(value).encode(), **options)


def by_path(**apps):
    """An app made of others: ``a`` answers ``/a``."""

    def app(environ, start_response):
        return apps[environ["PATH_INFO"].strip("/")](environ, start_response)

    return app


def raising(error):
    def app(environ, start_response):
        raise error

    return app


def modified(*names):
    return {MODIFIERS: {"name": list(names)}}
