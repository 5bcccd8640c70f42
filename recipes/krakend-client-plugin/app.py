"""A service that counts how often it is asked, behind a client that asks it seldom."""

import itertools
import json

from plugmw import Gateway

asked = itertools.count(1)


def service(environ, start_response):
    currency = environ["PATH_INFO"].rpartition("/")[2]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"currency": currency, "asked": next(asked)}).encode()]


app = Gateway.from_krakend(service, "krakend.json")
