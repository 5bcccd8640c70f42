"""Two services in one app, behind an endpoint that merges them."""

import json

from plugmw import Gateway


def service(environ, start_response):
    _, _, user, *rest = environ["PATH_INFO"].split("/")
    if rest:
        found = [{"price": 5}, {"price": 7.5}] if user == "ann" else []
    else:
        found = {"user": user, "password": "secret"}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


app = Gateway.from_krakend(service, "krakend.json")
