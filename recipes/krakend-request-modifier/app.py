"""A service that trusts X-Tenant-Id, behind the endpoint that sets it."""

import json

from plugmw import Gateway


def service(environ, start_response):
    order = environ["PATH_INFO"].rpartition("/")[2]
    found = {"order": order, "tenant": environ.get("HTTP_X_TENANT_ID")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


app = Gateway.from_krakend(service, "krakend.json")
