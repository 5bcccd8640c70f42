"""A WSGI app behind a Kong handler."""

from plugmw import Gateway


def hello(environ, start_response):
    body = f"hello, {environ.get('HTTP_X_GREETING', 'nobody')}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


app = Gateway(hello, "kong.yml")
