"""A WSGI app behind Tyk's API definition: without a target_url, the app is the upstream."""

from pathlib import Path

from plugmw import Gateway


def orders(environ, start_response):
    body = b'{"orders": [{"id": 1, "what": "tea"}]}'
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


app = Gateway.from_tyk(orders, Path(__file__).parent / "api.json")
