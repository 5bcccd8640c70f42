"""Serve :mod:`tests.servers.served` by a server that is a library: ``python -m tests.servers.run NAME``.

Writes ``listening at PORT`` when it is ready.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def listening(port: int) -> None:
    print(f"listening at {port}", flush=True)


def wsgiref(app: Any) -> None:
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    listening(server.server_port)
    server.serve_forever()


def werkzeug(app: Any) -> None:
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    listening(server.port)
    server.serve_forever()


def django(app: Any) -> None:
    """Serve as ``manage.py runserver`` does."""
    from django.conf import settings
    from django.core.servers.basehttp import run

    settings.configure()
    run("127.0.0.1", 0, app, threading=True, on_bind=listening)


def waitress(app: Any) -> None:
    from waitress.server import create_server

    server: Any = create_server(app, host="127.0.0.1", port=0, threads=2)
    listening(server.effective_port)
    server.run()


def cheroot(app: Any) -> None:
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), app, numthreads=2)
    server.prepare()
    listening(server.bind_addr[1])
    server.serve()


def gevent_pywsgi(app: Any) -> None:
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    listening(server.server_port)
    server.serve_forever()


def geventwebsocket(app: Any) -> None:
    from gevent.pywsgi import WSGIServer
    from geventwebsocket.handler import WebSocketHandler

    server = WSGIServer(("127.0.0.1", 0), app, log=None, handler_class=WebSocketHandler)
    server.start()
    listening(server.server_port)
    server.serve_forever()


def bjoern(app: Any) -> None:
    import bjoern as server

    sock = server.bind_and_listen("127.0.0.1", 0)
    listening(sock.getsockname()[1])
    server.server_run(sock, app)


SERVERS: dict[str, Callable[[Any], None]] = {
    each.__name__: each
    for each in (
        wsgiref,
        werkzeug,
        django,
        waitress,
        cheroot,
        gevent_pywsgi,
        geventwebsocket,
        bjoern,
    )
}


if __name__ == "__main__":
    if sys.argv[1].startswith("gevent"):
        from gevent import monkey

        monkey.patch_all()
    from tests.servers.served import application

    SERVERS[sys.argv[1]](application)
