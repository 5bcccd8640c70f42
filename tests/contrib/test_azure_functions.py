"""azure-functions: configuration, what the function is sent, what the client gets."""

from __future__ import annotations

import gzip
import socket
import ssl

import pytest
from werkzeug.test import Client

from plugmw import ConfigError
from plugmw.contrib.azure_functions import AzureFunctions
from plugmw.testing import gateway
from tests.support.certificates import certificates
from tests.support.sinks import closed_port
from tests.support.stub import Told, stub

HOST = "azure.example.test"
CONFIG = {
    "https": False,
    "appname": "azure",
    "hostdomain": "example.test",
    "routeprefix": "request",
    "functionname": "test-func-name",
    "apikey": "anything_but_an_API_key",
    "clientid": "and_no_clientid",
}
UNEXPECTED = {"message": "An unexpected error occurred"}


@pytest.fixture
def azure(monkeypatch):
    """Call a plugin with a function that answers so: (client's answer, what the function was asked)."""
    made = []
    real = socket.getaddrinfo

    def call(
        answer=lambda asked: Told(200, [], b"ok"), config=None, tls=None, port=None, limits=None, **request
    ):
        with stub(answer, tls) as server:
            asked = []

            def resolve(host, wanted, *args, **kwargs):
                if host != HOST:
                    return real(host, wanted, *args, **kwargs)
                asked.append(wanted)
                return real("127.0.0.1", port or server.port, *args, **kwargs)

            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            plugin = AzureFunctions(**{**CONFIG, **(config or {})})
            made.append(plugin)
            client = Client(gateway(plugin, **(limits or {})), use_cookies=False)
            environ = request.pop("environ", {})
            found = client.open(environ_overrides=environ, buffered=True, **request)
            plugin.close()
            call.ports = asked
            return found, server.asked

    yield call
    for plugin in made:
        plugin.close()


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "no app": ({"appname": None}, "appname: got None, expected a string"),
    "app that is more than a name": (
        {"appname": "a@evil.test"},
        "appname: got 'a@evil.test', expected a DNS name",
    ),
    "slash in the app": ({"appname": "a/b"}, "expected a DNS name"),
    "port in the domain": ({"hostdomain": "example.test:81"}, "expected a DNS name"),
    "line end in the domain": ({"hostdomain": "example.test\n"}, "expected a DNS name"),
    "query in the function": ({"functionname": "a?b"}, "expected a path as it is sent, without ? and #"),
    "only slashes": ({"functionname": "//"}, "functionname: got only slashes"),
    "dots in the prefix": ({"routeprefix": "a/../b"}, "got a path with dot segments"),
    "line end in the key": ({"apikey": "se\ncret"}, "apikey: got a secret value that cannot be sent"),
    "no time": ({"timeout": 0}, "timeout: got 0, expected a number above 0"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        AzureFunctions(**{**CONFIG, **config})
    assert message in str(caught.value)
    assert "cret" not in str(caught.value).replace("a secret value", "")


def test_two_fields_are_enough_and_certificates_are_verified():
    config = AzureFunctions(appname="a", functionname="f").config
    assert (config.hostdomain, config.routeprefix, config.https_verify) == ("azurewebsites.net", "api", True)
    with pytest.raises(ConfigError, match="appname: missing"):
        AzureFunctions(functionname="f")


def test_secrets_are_not_shown():
    assert "anything" not in repr(AzureFunctions(**CONFIG).config)


def test_a_key_without_tls_is_warned_of(caplog):
    gateway(AzureFunctions(**CONFIG))
    assert "azure-functions: without https the apikey is sent readable" in caplog.text


# -- what the function is sent ------------------------------------------------------------------------

PATHS = {
    "plain": ("api", "test", "/api/test"),
    "slashes outside": ("/api/", "/test/", "/api/test"),
    "no prefix": ("", "test", "/test"),
    "a slash for a prefix": ("/", "test", "/test"),
    "slashes inside": ("a/b", "c/d", "/a/b/c/d"),
}


@pytest.mark.parametrize(("prefix", "function", "path"), PATHS.values(), ids=PATHS)
def test_the_path_is_that_of_the_function(azure, prefix, function, path):
    _, asked = azure(config={"routeprefix": prefix, "functionname": function}, path="/and/then/some")
    assert [a.target for a in asked] == [path]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_method_and_body_are_those_of_the_request(azure, method):
    found, asked = azure(method=method, data=b"\x00body\xff")
    assert (found.status_code, found.data) == (200, b"ok")
    assert [(a.method, a.body, a.get("Content-Length")) for a in asked] == [(method, b"\x00body\xff", "6")]


def test_head_has_no_body(azure):
    found, asked = azure(method="HEAD")
    assert (found.status_code, found.data, asked[0].method) == (200, b"", "HEAD")


@pytest.mark.parametrize("query", ["b=1&a=2&b=%41%20+", "flag", "a=%2f..", "a=b?c=d"])
def test_the_query_goes_as_it_is_written(azure, query):
    _, asked = azure(query_string=query)
    # Hexadecimal digits may be written large: the same to every reader (RFC 3986 section 6.2.2.1).
    assert asked[0].target == f"/request/test-func-name?{query}".replace("%2f", "%2F")


def test_what_cannot_be_sent_in_a_query_is_escaped(azure):
    _, asked = azure(environ={"QUERY_STRING": "a=\xc3\xa9#x y"})
    assert asked[0].target == "/request/test-func-name?a=%C3%A9%23x%20y"


def test_every_header_is_sent_but_those_of_the_connection_and_the_clients_own_keys(azure):
    sent = {
        "Accept": "x/y",
        "Authorization": "Basic x",
        "Cookie": "a=b",
        "Connection": "X-Gone",
        "X-Gone": "1",
        "TE": "trailers",
        "Host": "shop.test",
        "X-Functions-Key": "stolen",
        "x_functions_clientid": "stolen",
    }
    _, asked = azure(headers=sent, config={"apikey": None})
    assert asked[0].get("user-agent") is None
    assert {name.lower(): value for name, value in asked[0].headers} == {
        "host": HOST,
        "accept": "x/y",
        "authorization": "Basic x",
        "cookie": "a=b",
        "x-functions-clientid": "and_no_clientid",
    }


def test_both_keys_are_sent(azure):
    _, asked = azure()
    assert asked[0].get("x-functions-key") == "anything_but_an_API_key"
    assert asked[0].get("x-functions-clientid") == "and_no_clientid"


def test_headers_can_be_chosen(azure):
    headers = {"X-A": "1", "X-B": "2", "Cookie": "c"}
    _, asked = azure(
        headers=headers, config={"forward_headers": ["x-a", "Cookie"], "drop_headers": ["cookie"]}
    )
    assert (asked[0].get("X-A"), asked[0].get("X-B"), asked[0].get("Cookie")) == ("1", None, None)
    assert asked[0].get("x-functions-key")


# -- what the client gets -----------------------------------------------------------------------------


def test_a_packed_answer_passes_untouched(azure):
    packed = gzip.compress(b"hello")
    found, _ = azure(
        lambda asked: Told(200, [("Content-Encoding", "gzip")], packed), headers={"Accept-Encoding": "gzip"}
    )
    assert (found.headers["Content-Encoding"], found.data) == ("gzip", packed)


def test_several_cookies_stay_several_and_are_not_kept(azure):
    lines = [
        ("Set-Cookie", "a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT"),
        ("Set-Cookie", "b=2"),
        ("Via", "1.1 x"),
    ]
    found, _ = azure(lambda asked: Told(200, [*lines, ("Connection", "X-Hop"), ("X-Hop", "1")], b"ok"))
    assert found.headers.getlist("Set-Cookie") == [value for name, value in lines[:2]]
    assert found.headers.getlist("Via") == ["1.1 x", "1.1 plugmw"]
    assert (found.headers.get("X-Hop"), found.headers.get("Connection")) == (None, None)
    assert found.headers["Content-Length"] == "2"


@pytest.mark.parametrize("status", [204, 301, 304, 401, 404, 500, 503])
def test_errors_and_redirects_are_passed_on_and_asked_once(azure, status):
    found, asked = azure(lambda asked: Told(status, [("Location", "/elsewhere")], b""))
    assert (found.status_code, len(asked)) == (status, 1)
    assert found.headers["Location"] == "/elsewhere"


BROKEN = {
    "a function that says nothing": (lambda asked: None, {"timeout": 100}, {}),
    "a body cut short": (lambda asked: Told(200, [], b"abc", 10), {}, {}),
    "an answer that is too long": (lambda asked: Told(200, [], b"x" * 2000), {}, {"max_response_body": 1000}),
    "a status of no answer": (lambda asked: Told(101, [], b""), {}, {}),
    "a status that is none": (lambda asked: Told(700, [], b""), {}, {}),
}


@pytest.mark.parametrize(("answer", "config", "limits"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_is_500_and_its_reason_only_logged(azure, caplog, answer, config, limits):
    found, asked = azure(answer, config, limits=limits, query_string="token=hidden")
    assert (found.status_code, len(asked)) == (500, 1)
    assert found.json["message"] == UNEXPECTED["message"]
    assert "hidden" not in caplog.text
    assert "anything_but" not in caplog.text


def test_a_function_that_is_not_there_is_500(azure, caplog):
    found, _ = azure(port=closed_port())
    assert (found.status_code, found.json) == (500, UNEXPECTED)
    assert "azure-functions: no answer of http://azure.example.test/request/test-func-name" in caplog.text


def test_a_slow_body_ends_with_the_time(azure, monkeypatch):
    ticks = iter([0.0, 0.0])
    from plugmw.contrib import azure_functions

    class Clock:
        monotonic = staticmethod(lambda: next(ticks, 99.0))

    monkeypatch.setattr(azure_functions, "time", Clock)
    assert azure(config={"timeout": 50_000})[0].status_code == 500


@pytest.mark.parametrize(("keepalive", "connections"), [(60_000, 1), (0, 2)])
def test_a_connection_is_used_again_unless_it_was_idle_too_long(monkeypatch, keepalive, connections):
    real, opened = socket.getaddrinfo, []
    with stub(lambda asked: Told(200, [], b"ok")) as server:

        def resolve(host, *args, **kwargs):
            opened.append(host)
            return real("127.0.0.1", server.port, *args[1:], **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        plugin = AzureFunctions(**{**CONFIG, "keepalive": keepalive})
        client = Client(gateway(plugin))
        assert [client.get("/").data, client.get("/").data] == [b"ok", b"ok"]
        plugin.close()
    assert len(opened) == connections


def test_proxies_of_the_environment_do_not_count(azure, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    assert azure(config={"keepalive": 0})[0].data == b"ok"


def test_a_large_request_is_413_and_not_sent(azure):
    found, asked = azure(limits={"max_request_body": 10}, method="POST", data=b"x" * 11)
    assert (found.status_code, asked) == (413, [])


def test_certificates_are_verified(azure, tmp_path):
    files = certificates(tmp_path, HOST)

    def served(**config):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        return azure(config={"https": True, **config}, tls=context)[0].status_code

    assert served() == 500
    assert served(tls_ca_file=str(files.authority)) == 200
    assert azure.ports == [443]
    with pytest.warns(Warning, match="Unverified HTTPS request"):
        assert served(https_verify=False) == 200


def test_a_plugin_that_never_started_can_be_closed():
    AzureFunctions(**CONFIG).close()
