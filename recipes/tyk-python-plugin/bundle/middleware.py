"""A hook of each kind, as Tyk's Python plugins are written. The same file runs under Tyk."""

import json

import rules
from gateway import TykGateway as tyk
from tyk.decorators import *  # noqa: F403


@Hook  # noqa: F405
def RefuseRobots(request, session, spec):
    if rules.is_robot(request.get_header("User-Agent") or ""):
        request.object.return_overrides.response_code = 403
        request.object.return_overrides.response_error = "No robots, please"
    return request, session


@Hook  # noqa: F405
def CheckKey(request, session, metadata, spec):
    key = request.get_header("Authorization")
    users = json.loads(spec["config_data"])["users"]
    if key in users:
        session.rate = 1000.0
        session.per = 1.0
        session.alias = users[key]
        metadata["token"] = key
    return request, session, metadata


@Hook  # noqa: F405
def RememberPlace(request, session, spec):
    place = "place of " + session.alias
    request.add_header("X-Last-Place", tyk.get_data(place).decode() or "nowhere")
    tyk.store_data(place, request.object.url, 3600)
    return request, session


@Hook  # noqa: F405
def Greet(request, session, metadata, spec):
    tyk.log("greeting " + session.alias + " on API " + spec["APIID"], "info")
    request.add_header("X-Greeting", "hello, " + session.alias)
    request.delete_header("Authorization")
    return request, session, metadata


@Hook  # noqa: F405
def Sign(request, response, session, metadata, spec):
    answer = json.loads(response.body)
    answer["signed_for"] = session.alias
    response.raw_body = json.dumps(answer).encode()
    response.headers["X-Signed"] = "yes"
    return response
