"""A WSGI app behind a Kong plugin written in Go; `gateway.yaml` says how its server is started."""

from plugmw import Gateway


def hello(environ, start_response):
    told = environ.get("HTTP_X_MY_PLUGIN", "nobody")
    body = f"the app was told: {told}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


app = Gateway(hello, "gateway.yaml")
