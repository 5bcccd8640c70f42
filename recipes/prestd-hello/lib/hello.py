"""prestd's example of a plugin: `lib/src/hello.go`, in Python."""

import json
from http import HTTPStatus

# Route variables for the current request
HTTPVars: dict[str, str] = {}
# The query's values by name
URLQuery: dict[str, list[str]] = {}


def GETHelloHandler():
    resp = {"http_vars": HTTPVars, "url_query": URLQuery, "msg": "Hello plugin caller!"}
    return json.dumps(resp, separators=(",", ":"))


# The same function, but this time with a status code
def GETHelloWithStatusHandler():
    resp = {"http_vars": HTTPVars, "url_query": URLQuery, "msg": "Hello plugin caller!"}
    return json.dumps(resp, separators=(",", ":")), HTTPStatus.ACCEPTED
