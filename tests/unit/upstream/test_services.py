"""Services, and the way of a routed request to one."""

from __future__ import annotations

import pytest

from plugmw.gateway import Gateway
from plugmw.testing import get
from plugmw.upstream.services import Service
from plugmw.wsgi import keys
from plugmw.wsgi.upstream_request import UpstreamRequest
from tests.support.services import Service as RealService
from tests.support.services import answer, headers_of
from tests.support.wsgi import environ_of, serve

FACTS = {
    "id": "7",
    "name": "s",
    "enabled": True,
    "protocol": "https",
    "host": "h",
    "port": 443,
    "path": "/p",
    "retries": 5,
    "connect_timeout": 60000,
    "read_timeout": 60000,
    "write_timeout": 60000,
}


@pytest.mark.parametrize(
    ("service", "facts"),
    [
        (Service("s"), {"id": "s", "name": "s", "enabled": True}),
        (Service("s", id="7", url="https://h/p"), FACTS),
        (Service("s", id="7", url="http://h:81"), {**FACTS, "protocol": "http", "port": 81, "path": None}),
        (Service("s", id="7", url="http://h"), {**FACTS, "protocol": "http", "port": 80, "path": None}),
    ],
)
def test_a_service_is_described_as_kong_does(service, facts):
    assert service.described() == facts


def seen(route, path, service=None, **extra):
    """Return the environ that the wrapped app gets."""
    saw = []

    def app(environ, start_response):
        saw.append(environ)
        start_response("200 OK", [])
        return [b"ok"]

    config = {
        "store": "memory://",
        "routes": [{"name": "r", **route}],
        "services": [service or {"name": "s"}],
    }
    assert serve(Gateway(app, config), environ_of(path, **extra)).body == b"ok"
    return saw[0]


@pytest.mark.parametrize(
    ("route", "path", "script", "rest"),
    [
        ({"paths": ["/api"]}, "/api/x", "", "/api/x"),
        ({"paths": ["/api"], "strip_path": True}, "/api/x", "/api", "/x"),
        ({"paths": ["/api"], "strip_path": True}, "/api", "/api", "/"),
        ({"paths": ["/api/"], "strip_path": True}, "/api/x", "/api", "/x"),
        ({"paths": ["/api", "/api/v1"], "strip_path": True}, "/api/v1/x", "/api/v1", "/x"),
        ({"paths": ["/api"], "strip_path": True}, "/apix", "/api", "/x"),
        ({"paths": [r"~/v\d"], "strip_path": True}, "/v1/x", "/v1", "/x"),
        ({"paths": ["/"], "strip_path": True}, "/x", "", "/x"),
        ({"hosts": ["localhost"], "strip_path": True}, "/x", "", "/x"),
    ],
)
@pytest.mark.parametrize("service", [None, "s"], ids=["app", "named app"])
def test_what_a_route_matched_moves_to_the_script_name(route, path, script, rest, service):
    environ = seen({**route, "service": service}, path, HTTP_HOST="localhost")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script, rest)
    assert environ.get("plugmw.stripped_prefix", "") == script


@pytest.mark.parametrize(
    ("script", "path", "wanted"),
    [
        ("/mount", "/api/x", ("/mount/api", "/x")),
        ("/mount/api", "/x", ("/mount/api", "/x")),
        ("/mount/api/deeper", "/x", ("/mount/api/deeper", "/x")),
    ],
)
def test_a_gateway_that_is_mounted_strips_below_its_mount(script, path, wanted):
    environ = seen({"paths": ["/mount/api"], "strip_path": True}, path, SCRIPT_NAME=script)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == wanted


def test_the_app_gets_the_rest_as_it_was_sent():
    environ = seen({"paths": ["/api"], "strip_path": True}, "/api//x/../y")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/api", "//x/../y")


def test_a_path_that_a_plugin_set_for_the_service_is_not_stripped():
    environ = seen(
        {"paths": ["/api"], "strip_path": True}, "/api/x", **{keys.UPSTREAM: UpstreamRequest(path="/api/x")}
    )
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/api/x")


def test_a_service_with_a_url_is_sent_what_is_left():
    with RealService(answer(b"real")) as real:
        config = {
            "store": "memory://",
            "trusted": ["127.0.0.1"],
            "services": [{"name": "s", "url": f"{real.url}/base", "read_timeout": 5}],
            "routes": [
                {"name": "r", "paths": ["/api"], "service": "s", "strip_path": True, "preserve_host": True}
            ],
        }

        def never(environ, start_response):
            raise AssertionError("called")

        result = get(
            Gateway(never, config),
            path="/api/x",
            headers={"X-Forwarded-Proto": "https", "Host": "shop.example"},
            environ={"REMOTE_ADDR": "127.0.0.1"},
        )
        assert result.data == b"real"
        assert real.requests[0].startswith(b"GET /base/x HTTP/1.1\r\n")
        found = headers_of(real.requests[0])
        assert (found["host"], found["x-forwarded-proto"]) == ("shop.example", "https")
        assert found["x-forwarded-prefix"] == "/api"


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1"])
def test_a_service_that_is_switched_off_is_a_503(url):
    service = {"name": "s", "enabled": False, **({"url": url} if url else {})}
    config = {"routes": [{"name": "r", "paths": ["/"], "service": "s"}], "services": [service]}
    found = get(Gateway(lambda environ, start_response: 1 / 0, config))
    assert (found.status_code, found.json) == (503, {"message": "no Service found with those values"})
