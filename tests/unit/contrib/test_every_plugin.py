"""Every bundled plugin does the same alone as a middleware, and in a gateway with and without routes.

One row per plugin: a good configuration, what is asked, and what comes of it. The other facts about a plugin
are in its own file.
"""

from __future__ import annotations

import hmac
import importlib
import re
import socket
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import attrs
import pytest
from werkzeug.test import Client

from plugmw import Entry, Gateway
from plugmw.contrib.ldap_auth import LDAPAuth
from plugmw.contrib.pre_function import PreFunction
from plugmw.contrib.prometheus import Exporter
from plugmw.sources import bundled
from plugmw.testing import hello_app
from tests.support.servers import ROOT
from tests.support.sinks import http_sink, tcp_sink, udp_sink, unix_sink
from tests.support.stub import Told, stub
from tests.support.tokens import SECRET, token

PAGES = sorted(path.stem for path in (ROOT / "docs/plugins").glob("*.rst") if path.stem != "index")
BOB = {
    "id": "00000001-0000-4000-8000-000000000001",
    "username": "bob",
    "basicauth_credentials": [{"username": "bob", "password": "kong"}],
    "hmacauth_credentials": [{"username": "bob", "secret": "secret"}],
    "jwt_secrets": [{"key": "key", "secret": SECRET}],
    "keyauth_credentials": [{"key": "kong"}],
    "oauth2_credentials": [
        {
            "name": "Shop",
            "client_id": "shop",
            "client_secret": "secret",
            "redirect_uris": ["https://shop.example/back"],
        }
    ],
}


@attrs.frozen(kw_only=True)
class Row:
    """A plugin that works. ``requests`` are arguments of ``Client.open``; ``drive`` asks in another way."""

    #: The configuration; it gets what ``beside`` gives.
    config: Callable[[Any], dict[str, Any]]
    requests: list[dict[str, Any]] = attrs.Factory(lambda: [{}])
    #: What is looked at of each answer, and of what the app saw.
    fact: Callable[[Any, list[Any]], Any] = lambda answer, saw: answer.status_code
    expected: Any = attrs.Factory(lambda: [200])
    app: Callable[..., Any] = hello_app
    #: What runs beside: a server, a file.
    beside: Callable[[], AbstractContextManager[Any]] | None = None
    #: What came of it there, when the gateway has stopped; fails or returns something false if nothing did.
    arrived: Callable[[Any], Any] = lambda beside: True
    drive: Callable[[Client, Any], Any] | None = None
    #: The class, if not the one that is found by the name.
    cls: type | None = None


def fixed(**config: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda beside: config


# -- what is asked ------------------------------------------------------------------------------------------


def headers(*each: dict[str, str]) -> list[dict[str, Any]]:
    return [{"headers": one} for one in each]


def basic(user: str, password: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {b64encode(f'{user}:{password}'.encode()).decode()}"}


def sign(client: Client, gateway: Any) -> list[int]:
    """Sign the date the way a client does, with nothing of plugmw, and ask without a signature."""
    date = formatdate(usegmt=True)
    made = b64encode(hmac.new(b"secret", f"date: {date}".encode(), "sha256").digest()).decode()
    fields = f'username="bob", algorithm="hmac-sha256", headers="date", signature="{made}"'
    with_signature = client.get("/", headers={"Date": date, "Authorization": f"hmac {fields}"})
    return [with_signature.status_code, client.get("/").status_code]


def grant(client: Client, gateway: Any) -> list[int]:
    """Get a token and use it, and ask without one."""
    robot = {
        "client_id": "shop", "client_secret": "secret", "grant_type": "client_credentials", "scope": "email",
    }  # fmt: skip
    given = client.post("/oauth2/token", json=robot, base_url="https://localhost").json["access_token"]
    with_token = client.get("/", headers={"Authorization": f"Bearer {given}"})
    return [with_token.status_code, client.get("/").status_code]


def scrape(client: Client, gateway: Any) -> bool:
    """Ask, and look whether it was counted."""
    client.get("/", buffered=True)
    return 'code="200",source="service"' in Client(Exporter(gateway)).get("/metrics").text


def in_group(name: str) -> dict[str, Any]:
    """Ask as somebody whom an outer middleware has put into a group."""
    return {"environ_overrides": {"plugmw.ctx": {"authenticated_groups": [name]}}}


# -- apps and what runs beside ------------------------------------------------------------------------------


def json_app(environ: Any, start_response: Any) -> list[bytes]:
    body = b'{"p2":"v1"}'
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def using_app(environ: Any, start_response: Any) -> list[bytes]:
    """Report a use of ``video``."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Usage-Limit", "video=1")])
    return [b"hello"]


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="plugmw-") as path:
        yield Path(path)


FILES = {
    "handler.py": """
class HandlerRegisterer:
    def register_handlers(self, register):
        register("tea", lambda context, extra, app: answer)

def answer(environ, start_response):
    start_response("418 I'm a teapot", [])
    return []
""",
    "modifier.py": """
class ModifierRegisterer:
    def register_modifiers(self, register):
        register("a", lambda extra: modify, True, False)

def modify(request):
    request.headers = {**request.headers, "X-A": ["1"]}
    return request
""",
    "hello.py": """
def GETHelloHandler(request):
    return "hi"
""",
}


@contextmanager
def files() -> Iterator[Path]:
    """Make a folder with functions, and plugins of KrakenD."""
    with folder() as path:
        for name, text in FILES.items():
            (path / name).write_text(text)
        yield path


@contextmanager
def unix_socket() -> Iterator[Any]:
    with folder() as path, unix_sink(path / "log") as sink:
        yield sink


@contextmanager
def function() -> Iterator[Any]:
    """Run a cloud function, which every host name in ``.example.test`` is."""
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        ours = str(host).endswith(".example.test")
        return real("127.0.0.1" if ours else host, server.port if ours else port, *more, **named)

    with stub(lambda asked: Told(200, [("Content-Type", "application/json")], b'{"from":"afar"}')) as server:
        patch = pytest.MonkeyPatch()
        patch.setattr(socket, "getaddrinfo", resolve)
        yield server
        patch.undo()


def at(sink: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": sink.port}


def one_thing(sink: Any) -> bool:
    return bool(sink.wait(1))


class AskedForLDAP(LDAPAuth):
    """Asks a function and not a directory, which ``test_ldap_auth.py`` does."""

    @staticmethod
    def binder(dn: str, password: str, config: Any) -> str | None:
        return None if (dn, password) == ("uid=bob,ou=people,dc=example", "kong") else "49"


def add_header(res: Any) -> None:
    res.headers["X-A"] = "1"


def teapot(x: Any) -> None:
    x.exit(418, "short and stout")


# -- the rows ---------------------------------------------------------------------------------------------

UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ROWS = {
    "acl": Row(
        config=fixed(allow=["admin"]),
        requests=[in_group("admin"), in_group("guest")],
        expected=[200, 403],
    ),
    "aws-lambda": Row(
        config=lambda server: {
            "host": "127.0.0.1",
            "port": server.port,
            "disable_https": True,
            "aws_key": "mock-key",
            "aws_secret": "mock-secret",
            "aws_region": "us-east-1",
            "function_name": "kongLambdaTest",
        },
        fact=lambda answer, saw: (answer.json, saw),
        expected=[({"from": "afar"}, [])],
        beside=function,
    ),
    "azure-functions": Row(
        config=fixed(
            https=False, appname="azure", hostdomain="example.test", routeprefix="r", functionname="f"
        ),
        fact=lambda answer, saw: (answer.json, saw),
        expected=[({"from": "afar"}, [])],
        beside=function,
    ),
    "basic-auth": Row(
        config=fixed(),
        requests=headers(basic("bob", "kong"), basic("bob", "x"), {}),
        expected=[200, 401, 401],
    ),
    "bot-detection": Row(
        config=fixed(deny=["Other"]),
        requests=headers({"User-Agent": "Other/1"}, {"User-Agent": "Mine/1"}),
        expected=[403, 200],
    ),
    "correlation-id": Row(
        config=fixed(header_name="Kong-Request-ID", echo_downstream=True),
        fact=lambda answer, saw: bool(re.fullmatch(f"{UUID}#1", answer.headers["Kong-Request-ID"])),
        expected=[True],
    ),
    "cors": Row(
        config=fixed(origins=["foo.bar"]),
        fact=lambda answer, saw: (
            answer.text,
            answer.headers["Access-Control-Allow-Origin"],
            answer.headers["Vary"],
        ),
        expected=[("hello", "foo.bar", "Origin")],
    ),
    "datadog": Row(config=at, beside=udp_sink, arrived=one_thing),
    "file-log": Row(
        config=lambda path: {"path": str(path / "log")},
        beside=folder,
        arrived=lambda path: len((path / "log").read_text().splitlines()) == 1,
    ),
    "functions": Row(
        config=lambda path: {"path": str(path)},
        requests=[{"path": "/_PLUGIN/hello/Hello"}, {"path": "/"}],
        fact=lambda answer, saw: answer.text,
        expected=["hi", "hello"],
        beside=files,
    ),
    "galileo": Row(
        config=lambda sink: {"service_token": "a", "https": False, **at(sink)},
        beside=http_sink,
        arrived=one_thing,
    ),
    "hmac-auth": Row(config=fixed(), drive=sign, expected=[200, 401]),
    "http-log": Row(
        config=lambda sink: {"http_endpoint": f"http://127.0.0.1:{sink.port}/"},
        beside=http_sink,
        arrived=one_thing,
    ),
    "http-server": Row(
        config=lambda path: {"module": str(path / "handler.py")}, beside=files, expected=[418]
    ),
    "ip-restriction": Row(
        config=fixed(allow=["127.0.0.1"]),
        requests=[{"environ_base": {"REMOTE_ADDR": address}} for address in ("10.0.0.1", "127.0.0.1")],
        expected=[403, 200],
    ),
    "jwt": Row(
        config=fixed(),
        requests=headers({"Authorization": f"Bearer {token()}"}, {}),
        expected=[200, 401],
    ),
    "key-auth": Row(config=fixed(), requests=headers({"apikey": "kong"}, {}), expected=[200, 401]),
    "ldap-auth": Row(
        config=fixed(ldap_host="ldap.example", base_dn="ou=people,dc=example", attribute="uid"),
        requests=headers(basic("bob", "kong", "ldap"), basic("bob", "x", "ldap"), {}),
        expected=[200, 401, 401],
        cls=AskedForLDAP,
    ),
    "loggly": Row(config=lambda sink: {"key": "a", **at(sink)}, beside=udp_sink, arrived=one_thing),
    "oauth2": Row(
        config=fixed(scopes=["email"], enable_client_credentials=True), drive=grant, expected=[200, 401]
    ),
    "post-function": Row(config=fixed(access=[teapot]), expected=[418]),
    "pre-function": Row(config=fixed(access=[teapot]), expected=[418]),
    "prometheus": Row(
        config=fixed(status_code_metrics=True, unrouted=True), drive=scrape, expected=True
    ),
    "rate-limiting": Row(config=fixed(year=1), requests=[{}, {}], expected=[200, 429]),
    "req-resp-modifier": Row(
        config=lambda path: {"module": str(path / "modifier.py")},
        fact=lambda answer, saw: saw[0]["HTTP_X_A"],
        expected=["1"],
        beside=files,
    ),
    "request-size-limiting": Row(
        config=fixed(allowed_payload_size=2, size_unit="bytes"),
        requests=[{"method": "POST", "data": data} for data in (b"ab", b"abc")],
        expected=[200, 413],
    ),
    "request-termination": Row(
        config=fixed(status_code=404),
        fact=lambda answer, saw: (answer.status_code, answer.json, saw),
        expected=[(404, {"message": "Not found"}, [])],
    ),
    "request-transformer": Row(
        config=fixed(add={"headers": ["x-a:1"]}),
        fact=lambda answer, saw: saw[0]["HTTP_X_A"],
        expected=["1"],
    ),
    "response-modifier": Row(
        config=fixed(function=add_header),
        fact=lambda answer, saw: answer.headers["X-A"],
        expected=["1"],
    ),
    "response-ratelimiting": Row(
        config=fixed(limits={"video": {"minute": 1}}), requests=[{}, {}], expected=[200, 429], app=using_app
    ),
    "response-transformer": Row(
        config=fixed(add={"json": ["p1:v1"]}),
        fact=lambda answer, saw: answer.json,
        expected=[{"p1": "v1", "p2": "v1"}],
        app=json_app,
    ),
    "statsd": Row(config=at, beside=udp_sink, arrived=one_thing),
    "syslog": Row(
        config=lambda sink: {"address": sink.host}, beside=unix_socket, arrived=one_thing
    ),
    "tcp-log": Row(config=at, beside=tcp_sink, arrived=one_thing),
    "udp-log": Row(config=at, beside=udp_sink, arrived=one_thing),
    "zipkin": Row(
        config=lambda sink: {"http_endpoint": f"http://127.0.0.1:{sink.port}/spans", "sample_ratio": 1},
        beside=http_sink,
        arrived=one_thing,
    ),
}  # fmt: skip

# -- the ways ---------------------------------------------------------------------------------------------

ROUTED = {
    "routes": [{"name": "shop", "paths": ["/"], "service": "back"}],
    "services": [{"name": "back"}],
}


def alone(cls: Any, config: dict[str, Any], app: Any) -> Any:
    return cls.middleware(app, consumers=[BOB], store="memory://", **config)


def by_name(cls: Any, config: dict[str, Any], app: Any, scope: Any = (), **document: Any) -> Any:
    """Name the plugin in a document, or give the object if its class is not the one of that name."""
    found = {"store": "memory://", "consumers": [BOB], **document}
    if cls is bundled.find(cls.name):
        return Gateway(app, {**found, "plugins": [{"name": cls.name, "config": config, **dict(scope)}]})
    return Gateway(app, found, plugins=[Entry(cls(**config), **dict(scope))])


WAYS = {
    "alone": alone,
    "in a gateway": by_name,
    "in a gateway with routes": lambda *plugin: by_name(*plugin, **ROUTED),
    "for a route": lambda *plugin: by_name(*plugin, scope={"route": "shop"}, **ROUTED),
    "for a service": lambda *plugin: by_name(*plugin, scope={"service": "back"}, **ROUTED),
}


@contextmanager
def nothing() -> Iterator[None]:
    yield None


def ask(client: Client, row: Row) -> list[Any]:
    facts = []
    for request in row.requests:
        saw: list[Any] = []
        overrides = {**request.get("environ_overrides", {}), "plugmw.testing.saw": saw}
        answer = client.open(**{"path": "/", **request, "environ_overrides": overrides, "buffered": True})
        facts.append(row.fact(answer, saw))
    return facts


def test_every_bundled_plugin_has_a_row():
    assert sorted(ROWS) == sorted(bundled.names())


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_about_a_plugin_that_is_imported_by_its_name(page):
    cls = bundled.find(page)
    if cls.__module__.startswith("plugmw.contrib."):
        front = importlib.import_module(f"plugmw.contrib.{page.replace('-', '_')}")
        assert getattr(front, cls.__name__) is cls
        assert cls.__module__ in (front.__name__, f"{front.__name__}.plugin")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROWS)
def test_does_the_same_in_every_way_it_is_used(name, way):
    row = ROWS[name]
    with (row.beside or nothing)() as beside:
        gateway = WAYS[way](row.cls or bundled.find(name), row.config(beside), row.app)
        client = Client(gateway, use_cookies=False)
        outcome = row.drive(client, gateway) if row.drive else ask(client, row)
        gateway.stop()
        assert outcome == row.expected
        assert row.arrived(beside)


@pytest.mark.parametrize("way", ["alone", "in a gateway", "in a gateway with routes"])
def test_functions_run_in_rewrite_too(way):
    gateway = WAYS[way](PreFunction, {"rewrite": [teapot]}, hello_app)
    assert Client(gateway).get("/").status_code == 418


# -- defaults ---------------------------------------------------------------------------------------------

#: What a plugin needs, and what it does unless told otherwise: as Kong, except where the comment says so.
DEFAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "acl": (
        {"allow": ["a"]},
        {"deny": None, "hide_groups_header": False, "always_use_authenticated_groups": False},
    ),
    "basic-auth": ({}, {"anonymous": None, "hide_credentials": False, "realm": "service"}),
    # Kong's header has its name in it.
    "correlation-id": (
        {},
        {"header_name": "X-Correlation-ID", "generator": "uuid#counter", "echo_downstream": False},
    ),
    "hmac-auth": (
        {},
        {
            "hide_credentials": False,
            "clock_skew": 300,
            "anonymous": None,
            "validate_request_body": False,
            "enforce_headers": [],
            "realm": None,
            "algorithms": ["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"],
            "strict": False,
        },
    ),
    "jwt": (
        {},
        {
            "uri_param_names": ["jwt"],
            "cookie_names": [],
            "header_names": ["authorization"],
            "key_claim_name": "iss",
            "secret_is_base64": False,
            "claims_to_verify": None,
            "maximum_expiration": 0,
            "anonymous": None,
            "realm": None,
            "run_on_preflight": True,
        },
    ),
    "key-auth": (
        {},
        {
            "key_names": ["apikey"],
            "key_in_header": True,
            "key_in_query": True,
            "key_in_body": False,
            "hide_credentials": False,
            "run_on_preflight": True,
            "anonymous": None,
            "realm": None,
        },
    ),
    # Certificates are verified, and the time-out is shorter.
    "ldap-auth": (
        {"ldap_host": "ldap.example", "base_dn": "dc=example", "attribute": "uid"},
        {
            "ldap_port": 389,
            "ldaps": False,
            "start_tls": False,
            "cache_ttl": 60,
            "hide_credentials": False,
            "keepalive": 60000,
            "header_type": "ldap",
            "anonymous": None,
            "realm": None,
            "ca_file": None,
            "verify_ldap_host": True,
            "timeout": 3000,
        },
    ),
    "oauth2": (
        {"enable_client_credentials": True},
        {
            "scopes": None,
            "mandatory_scope": False,
            "provision_key": None,
            "token_expiration": 7200,
            "refresh_token_ttl": 1209600,
            "enable_authorization_code": False,
            "enable_implicit_grant": False,
            "enable_password_grant": False,
            "hide_credentials": False,
            "accept_http_if_already_terminated": False,
            "global_credentials": False,
            "reuse_refresh_token": False,
            "anonymous": None,
            "realm": None,
            "pkce": "lax",
            "auth_header_name": "authorization",
        },
    ),
    "rate-limiting": (
        {"second": 1},
        {
            "limit_by": "consumer",
            "policy": "local",
            "fault_tolerant": True,
            "hide_client_headers": False,
            "error_code": 429,
            "error_message": "API rate limit exceeded",
            "sync_rate": -1,
        },
    ),
    # Kong's header is X-Kong-Limit.
    "response-ratelimiting": (
        {"limits": {"video": {"minute": 1}}},
        {
            "header_name": "X-Usage-Limit",
            "limit_by": "consumer",
            "policy": "local",
            "fault_tolerant": True,
            "block_on_first_violation": False,
            "hide_client_headers": False,
        },
    ),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_not_configured_is_as_in_kong(name):
    required, defaults = DEFAULTS[name]
    config = bundled.find(name)(**required).config
    assert {field: getattr(config, field) for field in defaults} == defaults
