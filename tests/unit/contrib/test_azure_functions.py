"""azure-functions: configuration, what the function is sent, what the client gets."""

from __future__ import annotations

import gzip
import io
import socket
import ssl
import subprocess
import sys
import threading
import tracemalloc
from contextlib import contextmanager
from http.client import HTTPException

import pytest
from werkzeug.test import Client

from plugmw import ConfigError
from plugmw.contrib.azure_functions import AzureFunctions
from plugmw.testing import gateway
from tests.support.certificates import certificates
from tests.support.plugins import made
from tests.support.services import Service
from tests.support.services import answer as answering
from tests.support.sinks import closed_port
from tests.support.stub import Told, stub
from tests.support.wsgi import environ_of

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
    plugins = []
    real = socket.getaddrinfo

    def call(answer=lambda asked: Told(200, [], b"ok"), config=None, tls=None, port=None, **request):
        with stub(answer, tls) as server:
            asked = []

            def resolve(host, wanted, *args, **kwargs):
                if host != HOST:
                    return real(host, wanted, *args, **kwargs)
                asked.append(wanted)
                return real("127.0.0.1", port or server.port, *args, **kwargs)

            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            plugin = AzureFunctions(**{**CONFIG, **(config or {})})
            plugins.append(plugin)
            client = Client(gateway(plugin, *call.others), use_cookies=False)
            environ = request.pop("environ", {})
            found = client.open(environ_overrides=environ, buffered=True, **request)
            plugin.close()
            call.ports = asked
            return found, server.asked

    call.others = []
    yield call
    for plugin in plugins:
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


def test_it_forwards_so_that_connection_takes_nothing_away_that_plugins_set():
    assert AzureFunctions.forwards


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
    assert asked[0].target == f"/request/test-func-name?{query}"


def test_what_cannot_be_sent_in_a_query_is_escaped(azure):
    _, asked = azure(environ={"QUERY_STRING": "a=\xc3\xa9#x y"})
    assert asked[0].target == "/request/test-func-name?a=%C3%A9%23x%20y"


def test_every_header_is_sent_but_those_of_the_connection_and_the_clients_own_keys(azure):
    sent = {
        "Accept": "x/y",
        "Authorization": "Basic x",
        "Cookie": "a=b",
        "Connection": "X-Gone",
        "X-Gone": "gone",
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


def test_what_a_plugin_has_set_goes_although_the_client_names_it_in_connection(azure, monkeypatch):
    tenant = made("tenant", 2000, access=lambda x: x.set_request_header("X-Tenant", "acme"))
    monkeypatch.setattr(azure, "others", [tenant])
    sent = {"Connection": "close, X-Tenant, X-Mine", "X-Tenant": "other", "X-Mine": "mine"}
    _, asked = azure(headers=sent)
    assert (asked[0].get("x-tenant"), asked[0].get("x-mine")) == ("acme", None)


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
    "a function that says nothing": (lambda asked: None, {"timeout": 100}),
    "a status of no answer": (lambda asked: Told(101, [], b""), {}),
    "a status that is none": (lambda asked: Told(700, [], b""), {}),
    "a header that cannot be sent on": (lambda asked: Told(200, [("X-A", "b\x01")], b""), {}),
}


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "config"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_is_500_and_its_reason_only_logged(azure, caplog, answer, config):
    found, asked = azure(answer, config, query_string="token=hidden")
    assert (found.status_code, len(asked)) == (500, 1)
    assert found.json["message"] == UNEXPECTED["message"]
    assert "hidden" not in caplog.text
    assert "anything_but" not in caplog.text


def test_a_function_that_is_not_there_is_500(azure, caplog):
    found, _ = azure(port=closed_port())
    assert (found.status_code, found.json) == (500, UNEXPECTED)
    assert "azure-functions: no answer of http://azure.example.test/request/test-func-name" in caplog.text


@pytest.mark.parametrize("left", [b"abc", b""], ids=["cut short", "slow"])
def test_an_answer_that_breaks_off_does_not_look_whole(azure, left):
    def answer(asked):
        return Told(200, [], left, 10)

    with pytest.raises((OSError, HTTPException)):
        azure(answer, {"timeout": 500})


def test_a_body_that_is_not_what_it_says_is_the_clients_error(azure):
    environ = {"CONTENT_LENGTH": "1_0"}
    found, asked = azure(method="POST", data=b"x" * 10, environ=environ)
    assert (found.status_code, asked) == (400, [])


@pytest.mark.slow
def test_both_bodies_stream_in_constant_memory(azure, monkeypatch):
    size, block = 50 * 2**20, bytes(64 * 1024)

    class Endless(io.RawIOBase):
        left = size

        def readable(self):
            return True

        def readinto(self, target):
            count = min(len(target), self.left)
            self.left -= count
            target[:count] = block[:count]
            return count

    got = []

    def start_response(status, headers, exc_info=None):
        return got.append

    with subprocess_function() as port:
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, wanted, *args, **kw: real("127.0.0.1", port, *args, **kw)
        )
        plugin = AzureFunctions(**CONFIG)
        app = gateway(plugin)
        environ = environ_of("/", "POST", CONTENT_LENGTH=str(size))
        environ["wsgi.input"] = Endless()
        tracemalloc.start()
        answer = app(environ, start_response)
        came = sum(len(chunk) for chunk in answer)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        answer.close()
        plugin.close()
    assert (came, got) == (size, [])
    assert peak < 4 * 2**20


ECHO = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
head = b""
while b"\\r\\n\\r\\n" not in head:
    head += connection.recv(1)
left = size = int(head.lower().partition(b"content-length:")[2].split()[0])
while left:
    left -= len(connection.recv(min(left, 65536)))
connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % size)
for _ in range(size // 65536):
    connection.sendall(bytes(65536))
connection.recv(1)
"""


@contextmanager
def subprocess_function():
    """A function in a process of its own that reads a whole body and sends as many bytes back."""
    process = subprocess.Popen([sys.executable, "-c", ECHO.replace("\\\\", "\\")], stdout=subprocess.PIPE)
    try:
        yield int(process.stdout.readline())
    finally:
        process.wait(20)
        process.stdout.close()


@pytest.mark.parametrize(("keepalive", "connections"), [(60_000, 1), (0, 2)])
def test_a_connection_is_used_again_unless_it_was_idle_too_long(monkeypatch, keepalive, connections):
    real, opened = socket.getaddrinfo, []
    with stub(lambda asked: Told(200, [], b"ok")) as server:

        def resolve(host, port, *args, **kwargs):
            # Threads of other tests may look something up too.
            if host == HOST:
                opened.append(host)
                host, port = "127.0.0.1", server.port
            return real(host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        plugin = AzureFunctions(**{**CONFIG, "keepalive": keepalive})
        client = Client(gateway(plugin))
        assert [client.get("/", buffered=True).data for _ in range(2)] == [b"ok", b"ok"]
        plugin.close()
    assert len(opened) == connections


def test_proxies_of_the_environment_do_not_count(azure, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    assert azure(config={"keepalive": 0})[0].data == b"ok"


@pytest.mark.slow
def test_certificates_are_verified(azure, tmp_path):
    files = certificates(tmp_path, HOST)

    def served(**config):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        return azure(config={"https": True, **config}, tls=context)[0].status_code

    assert served() == 500
    assert served(tls_ca_file=str(files.authority)) == 200
    assert azure.ports == [443]
    assert served(https_verify=False) == 200


def test_a_plugin_that_never_started_can_be_closed():
    AzureFunctions(**CONFIG).close()


def test_a_start_response_that_raises_closes_the_connection(monkeypatch):
    def start_response(status, headers):
        raise SystemExit

    ended = threading.Event()

    def script(connection):
        connection.request()
        connection.send(answering(b"x" * 10))
        assert connection.request() == b""
        ended.set()

    with Service(script) as service:
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, port, *rest: real("127.0.0.1", service.port, *rest)
        )
        plugin = AzureFunctions(**CONFIG)
        gateway(plugin)
        with pytest.raises(SystemExit):
            plugin._answer(environ_of(), start_response)
        assert ended.wait(10)
        plugin.close()
