"""Any WSGI app, in a gateway; GATEWAY names another of the files here."""

import os

from plugmw import Gateway


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from the app\n"]


app = Gateway(hello, os.environ.get("GATEWAY", "gateway.yaml"))
