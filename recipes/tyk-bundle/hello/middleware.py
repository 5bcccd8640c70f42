"""Two hooks as Tyk's Python plugins are written: one before the app, one after it."""

from greetings import GREETING
from tyk.decorators import *  # noqa: F403


@Hook  # noqa: F405
def Greet(request, session, spec):
    request.add_header("X-Greeting", GREETING)
    return request, session


@Hook  # noqa: F405
def Sign(request, response, session, metadata, spec):
    response.headers["X-Signed-By"] = "the bundle"
    return response
