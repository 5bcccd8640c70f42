"""Whatever the path, say who asked."""

from plugmw import Gateway


def app(environ, start_response):
    consumer = environ["plugmw.consumer"].username
    body = f"hello {consumer}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


app = Gateway(app, "gateway.yaml")
