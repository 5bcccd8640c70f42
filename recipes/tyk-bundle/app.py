"""An app that says what greeting its requests came with, behind an API definition of Tyk."""

from plugmw import Gateway


def greeter(environ, start_response):
    body = f"{environ.get('HTTP_X_GREETING', 'nobody greets')}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


app = Gateway.from_tyk(greeter, "api.json")
