"""A shop with orders, some of which take a moment."""

import time

from plugmw import Gateway


def shop(environ, start_response):
    if environ["PATH_INFO"].endswith("/slow"):
        time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"tea\n"]


app = Gateway(shop, "gateway.yaml")
