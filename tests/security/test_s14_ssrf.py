"""S14: where plugmw asks is what the configuration says: never the request, the environment, nor an answer.

One server stands for everything that is configured, one for everywhere else: nobody may ever ask the second.
There is no JWKS plugin; plugin servers are asked over unix sockets alone (S24).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from werkzeug.test import Client

import plugmw
from plugmw import ConfigError, Gateway
from plugmw.bundles import Bundles
from plugmw.errors import LoadError
from plugmw.testing import hello_app
from tests.support.stub import Told, stub


def everywhere(port):
    """Return an environment that names a proxy in every way."""
    url = f"http://127.0.0.1:{port}"
    names = (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "FTP_PROXY",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_LAMBDA",
    )
    return dict.fromkeys((*names, *(name.lower() for name in names)), url) | {
        "NO_PROXY": "",
        "no_proxy": "",
    }


def redirecting(port):
    """Answer every kind of request with a redirect to everywhere else."""
    statuses = iter([301, 302, 303, 307, 308] * 1000)
    return lambda asked: Told(next(statuses), [("Location", f"http://127.0.0.1:{port}/stolen")], b"{}")


@pytest.mark.slow
def test_s14_a_krakend_backend_that_redirects_gets_no_credentials_sent_elsewhere(monkeypatch):
    with stub(lambda asked: Told(200, [("Content-Type", "application/json")], b'{"a": 1}')) as other:
        place = ("Location", f"http://127.0.0.1:{other.port}/to")
        with stub(lambda asked: Told(302, [place])) as backend:
            for name, value in everywhere(other.port).items():
                monkeypatch.setenv(name, value)
            listed = ["Authorization", "Cookie", "Proxy-Authorization", "X-Other"]
            krakend = {
                "version": 3,
                "host": [f"http://127.0.0.1:{backend.port}"],
                "endpoints": [
                    {
                        "endpoint": "/a/{id}",
                        "input_headers": listed,
                        "backend": [{"url_pattern": "/b/{id}"}],
                    }
                ],
            }
            gateway = Gateway.from_krakend(hello_app, krakend)
            headers = dict.fromkeys(listed, "secret")
            for spelled in ("x", "@127.0.0.1:1", "http:", "x@127.0.0.1"):
                assert Client(gateway).get(f"/a/{spelled}", headers=headers).json == {"a": 1}
            gateway.stop()
        assert [one.get("Authorization") for one in backend.asked] == ["secret"] * 4
        assert all(one.target.startswith("/b/") for one in backend.asked)
        # Followed, as KrakenD does; asked by itself, not as a proxy, and without what may say who asks.
        assert [one.target for one in other.asked] == ["/to"] * 4
        for one in other.asked:
            assert [one.get(name) for name in listed] == [None, None, None, None]


# -- bundles ---------------------------------------------------------------------------------------------

NAMES = [
    *(
        "../x",
        "a/../../x",
        "//host/x",
        "/x",
        "x?y",
        "x#y",
        "@host/x",
        "x@host",
        "a:b",
        "http://host/x",
        "%2e%2e/x",
    ),
    *("x\\y", "..\\x", "x\ny", "x\0", "", ".", "a//b", "x;y", "x\r\nHost: y"),
]


@pytest.mark.parametrize("name", NAMES)
def test_s14_a_bundles_name_stays_below_the_base_url(tmp_path, name):
    with stub(lambda asked: Told(404)) as server:
        bundles = Bundles(tmp_path, f"http://127.0.0.1:{server.port}/base", sleep=lambda seconds: None)
        with pytest.raises(LoadError):
            bundles.get(name)
        assert server.asked == []


def test_s14_a_bundle_server_cannot_send_elsewhere_and_no_proxy_is_asked(tmp_path, monkeypatch):
    with stub(lambda asked: Told(200, body=b"PK")) as other, stub(redirecting(other.port)) as server:
        for name, value in everywhere(other.port).items():
            monkeypatch.setenv(name, value)
        bundles = Bundles(tmp_path, f"http://user:secret@127.0.0.1:{server.port}", sleep=lambda seconds: None)
        with pytest.raises(LoadError, match=r"redirects to http://127\.0\.0\.1:\d+/stolen"):
            bundles.get("x.zip")
        assert server.asked
        assert other.asked == []


# -- schemes ---------------------------------------------------------------------------------------------

URLS = [
    "file:///etc/passwd",
    "ftp://h/",
    "gopher://h/",
    "unix:///s",
    "//h/",
    "h",
    "http://",
    "http://h:0/",
    "http://[/",
]
CONFIGS = {
    "http-log": lambda url: {"plugins": [{"name": "http-log", "config": {"http_endpoint": url}}]},
    "zipkin": lambda url: {"plugins": [{"name": "zipkin", "config": {"http_endpoint": url}}]},
    "a service": lambda url: {"services": [{"name": "s", "url": url}]},
    "aws-lambda, sts": lambda url: {
        "plugins": [{"name": "aws-lambda", "config": {"function_name": "f", "aws_sts_endpoint_url": url}}]
    },
}
HOSTS = ["h/x", "h?x", "h#x", "u@h", "h:1", "h\\x", "h h", "h\r\nX: y", "http://h"]


@pytest.mark.parametrize("name", CONFIGS)
def test_s14_only_http_and_https_are_urls(name):
    for url in URLS:
        with pytest.raises(ConfigError):
            Gateway(hello_app, {"store": "memory://", **CONFIGS[name](url)})


def test_s14_a_host_is_no_more_than_a_host():
    for host in HOSTS:
        for entry in (
            {"name": "aws-lambda", "config": {"function_name": "f", "host": host}},
            {"name": "azure-functions", "config": {"functionname": "f", "appname": host}},
            {"name": "azure-functions", "config": {"functionname": "f", "appname": "a", "hostdomain": host}},
        ):
            with pytest.raises(ConfigError):
                Gateway(hello_app, {"store": "memory://", "plugins": [entry]})


# -- who asks --------------------------------------------------------------------------------------------

#: The modules that open connections, and where each gets its address: a new one is added by who has looked.
ASKS = {
    "bundles/download.py": "bundle_base_url and the bundle's name",
    "upstream/connections.py": "a service, an azure function, a KrakenD backend",
    "telemetry/sinks/http.py": "http-log, zipkin, galileo",
}


@pytest.mark.slow
def test_s14_only_these_modules_speak_http():
    root = Path(plugmw.__file__).parent
    opens = re.compile(
        r"\b(?:urlopen|HTTPS?Connection|PoolManager|HTTPS?ConnectionPool)\("
        r"|^\s*(?:from|import) (?:requests|urllib\.request|httpx|aiohttp)\b",
        re.MULTILINE,
    )
    sources = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.rglob("*.py")
    }
    assert {name for name, text in sources.items() if opens.search(text)} == set(ASKS)
