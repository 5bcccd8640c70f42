"""A WSGI app with functions in Go and C beside it; `gateway.yaml` says where they are."""

from plugmw import Gateway


def hello(environ, start_response):
    body = b"the app\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


app = Gateway(hello, "gateway.yaml")
