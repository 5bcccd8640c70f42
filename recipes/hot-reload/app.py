"""An app behind a gateway whose files may change while it serves."""

from plugmw import Gateway


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]


app = Gateway(hello, "gateway.yaml")
