"""S17: an answer names listed origins only, matched whole; star and credentials never meet; Vary says so."""

from __future__ import annotations

import pytest

from tests.security.gates import WORKERS
from tests.security.test_s17_cors import SHOP
from tests.support import raw

#: By route: the configuration of cors.
CONFIGS = {
    "one": {"origins": [SHOP], "credentials": True},
    "two": {"origins": [SHOP, "https://b.example"], "credentials": True},
    "pattern": {"origins": [r"https://[a-z]+\.shop\.example", SHOP], "credentials": True},
    "host": {"origins": [r".*\.shop\.example", "x.example"], "credentials": True},
    "any": {"origins": ["*"]},
    "any, credentials": {"origins": ["*"], "credentials": True},
    "default": {},
    "default, credentials": {"credentials": True},
    "any among others": {"origins": ["*", SHOP]},
    "null": {"origins": ["null", SHOP]},
}
#: Origins that look like a listed one.
LOOKALIKES = [
    "https://shop.example.evil.example",
    "https://evilshop.example",
    "https://shop.example:8443",
    "https://shop.example@evil.example",
    "https://evil.example/https://shop.example",
    "https://evil.example#https://shop.example",
    "http://shop.example",
    "https://shopXexample",
    "https://shop.exampl",
    "https://a.shop.example.evil.example",
    "https://evil.example?.shop.example",
    "https://evil.example/.shop.example",
    "https://shop.example https://evil.example",
    "https://shop.example,https://evil.example",
    "null",
    "NULL",
    "file://",
    "*",
    "a" * 5000 + ".shop.example",
]
ALLOW, WITH = "access-control-allow-origin", "access-control-allow-credentials"


def document():
    names = list(CONFIGS)
    return {
        "store": "memory://",
        "routes": [{"name": name, "paths": [f"/{number}"]} for number, name in enumerate(names)],
        "plugins": [{"name": "cors", "route": name, "config": CONFIGS[name]} for name in names],
    }


PATHS = {name: f"/{number}/x" for number, name in enumerate(CONFIGS)}
SERVED = f"""
    from plugmw import Gateway

    def app(environ, start_response):
        status = environ["QUERY_STRING"] or "200 OK"
        headers = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true")]
        start_response(status.replace("_", " "), [*headers, ("Vary", "Accept")])
        return [b"" if status[:3] in ("204", "304") else b"x"]

    app = Gateway(app, {document()!r})
"""


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    return gunicorn_for_module(SERVED, worker_class=request.param, args=WORKERS[request.param])


PREFLIGHT = "Access-Control-Request-Method: PUT"


def ask(server, name, origin, preflight=False, query=""):
    lines = ([f"Origin: {origin}"] if origin is not None else []) + ([PREFLIGHT] if preflight else [])
    return raw.get(server.port, PATHS[name] + query, *lines, method="OPTIONS" if preflight else "GET")


def varies(answer):
    listed = [value for name, value in answer.headers if name == "vary"]
    return "origin" in {part.strip().lower() for value in listed for part in value.split(",")}


@pytest.mark.parametrize("preflight", [False, True], ids=["simple", "preflight"])
def test_s17_an_origin_is_matched_whole(server, preflight):
    for name in ("one", "two", "pattern", "host"):
        for origin in LOOKALIKES:
            answer = ask(server, name, origin, preflight)
            allowed = [value for key, value in answer.headers if key == ALLOW]
            # The only origin there is may be named to anybody: browsers compare it.
            assert allowed in ([], [SHOP] if name == "one" else []), (name, origin)
            assert varies(answer), (name, origin)
        good = "https://a.shop.example" if name == "host" else SHOP
        answer = ask(server, name, good, preflight)
        assert (answer.header(ALLOW), answer.header(WITH), varies(answer)) == (good, "true", True), name


def test_s17_a_star_never_goes_with_credentials(server):
    for name in CONFIGS:
        for origin in (SHOP, "https://evil.example", "null", None):
            for preflight in (False, True):
                answer = ask(server, name, origin, preflight)
                assert answer.header(ALLOW) != "*" or answer.header(WITH) is None, (name, origin, preflight)
                # Whoever is named, or not, because of their Origin: that is said.
                if answer.header(ALLOW) not in (None, "*"):
                    assert varies(answer), (name, origin)


def test_s17_null_is_let_in_only_if_it_is_listed(server):
    allowed = {name for name in CONFIGS if ask(server, name, "null").header(ALLOW) == "null"}
    assert allowed == {"null", "any, credentials", "default, credentials"}
    # Those two let in everybody, as their configuration says.
    everybody = {
        name
        for name in CONFIGS
        if ask(server, name, "https://evil.example").header(ALLOW) not in (None, SHOP)
    }
    assert everybody == {name for name, config in CONFIGS.items() if "*" in config.get("origins", ["*"])}


def test_s17_vary_is_on_every_answer_and_what_the_app_allows_is_replaced(server):
    for query in (
        "?304_Not_Modified",
        "?204_No_Content",
        "?404_Not_Found",
        "?500_Error",
        "?302_Found",
    ):
        for origin in (SHOP, "https://evil.example", None):
            answer = ask(server, "two", origin, query=query)
            assert varies(answer), (query, origin)
            assert answer.header(ALLOW) == (SHOP if origin == SHOP else None), (query, origin)
            # Without an origin beside it, it says nothing.
            assert answer.header(WITH) in (None, "true")
