"""A WSGI app behind hooks that were written for Tyk; `api.json` is Tyk's API definition."""

import json

from plugmw import Gateway


def people(environ, start_response):
    seen = {
        "greeting": environ.get("HTTP_X_GREETING"),
        "last_place": environ.get("HTTP_X_LAST_PLACE"),
        "consumer": environ.get("HTTP_X_CONSUMER_USERNAME"),
        "key": environ.get("HTTP_AUTHORIZATION"),
    }
    body = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


app = Gateway(people, "api.json")
