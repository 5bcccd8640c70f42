"""A WSGI app behind a KrakenD-style server plugin; `gateway.yaml` says which."""

import json
import logging
import sys

from plugmw import Gateway
from plugmw.dialects.krakend import formatter

# KrakenD's default log: every level, on standard output.
console = logging.StreamHandler(sys.stdout)
console.setFormatter(formatter())
logging.getLogger("plugmw").addHandler(console)
logging.getLogger("plugmw").setLevel(logging.DEBUG)


def health(environ, start_response):
    found = environ["PATH_INFO"] == "/__health"
    body = json.dumps({"status": "ok"} if found else {"error": "not found"}).encode()
    start_response(
        "200 OK" if found else "404 Not Found",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]


app = Gateway(health, "gateway.yaml")
