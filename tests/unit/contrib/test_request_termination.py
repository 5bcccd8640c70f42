"""request-termination: configuration, the three answers, the trigger, the echo."""

from __future__ import annotations

import io
import json
import os
import socket

import pytest
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.test import Client

from plugmw import ConfigError, Entry
from plugmw.contrib.cors import Cors
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.request_termination import RequestTermination
from plugmw.testing import gateway, get
from tests.support.wsgi import environ_of, serve

JSON = "application/json; charset=utf-8"

# -- config -------------------------------------------------------------------------------------------

BAD = {
    "status too low": ({"status_code": 99}, "status_code: got 99, value should be between 100 and 599"),
    "status too high": ({"status_code": 600}, "status_code: got 600, value should be between 100 and 599"),
    "status of no answer": (
        {"status_code": 100},
        "got 100, which a WSGI app cannot send as its answer; value should be between 200 and 599",
    ),
    "no status": ({"status_code": None}, "status_code: got None, expected an integer"),
    "message and body": ({"message": "a", "body": "b"}, "message cannot be used with content_type or body"),
    "message and type": (
        {"message": "a", "content_type": "text/html"},
        "message cannot be used with content_type or body",
    ),
    "type alone": ({"content_type": "text/html"}, "content_type requires a body"),
    "echo and body": ({"echo": True, "body": "b"}, "echo cannot be used with content_type and body"),
    "line break in the type": (
        {"body": "b", "content_type": "text/html\r\nX: y"},
        "content_type: header Content-Type: the value has a control character",
    ),
    "trigger that is no header": (
        {"trigger": "a b"},
        "trigger: got 'a b', expected a header name of letters,",
    ),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        RequestTermination(**config)
    assert message in str(caught.value)


def test_an_empty_text_counts_as_not_given():
    answer = get(RequestTermination(message="", body="b", content_type=""))
    assert (answer.data, answer.headers.get("Content-Type")) == (b"b", None)
    assert get(RequestTermination(message="")).json == {"message": "Service unavailable"}


# -- answers ------------------------------------------------------------------------------------------

DEFAULTS = {
    401: "Unauthorized",
    404: "Not found",
    405: "Method not allowed",
    500: "An unexpected error occurred",
    502: "Bad Gateway",
    503: "Service unavailable",
}


@pytest.mark.parametrize(("status", "message"), DEFAULTS.items())
def test_some_statuses_have_a_message(status, message):
    answer = get(RequestTermination(status_code=status))
    assert (answer.status_code, answer.json) == (status, {"message": message})
    assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == (JSON, str(len(answer.data)))


@pytest.mark.parametrize("status", [200, 403, 406, 504, 599])
def test_others_have_an_empty_body(status):
    answer = get(RequestTermination(status_code=status))
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (status, b"", "0")


def test_a_message_is_escaped():
    answer = get(RequestTermination(status_code=406, message='say "no"\n'))
    assert answer.json == {"message": 'say "no"\n'}


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_a_message_is_json_whatever_the_client_accepts(accept):
    assert get(RequestTermination(), headers={"Accept": accept}).headers["Content-Type"] == JSON


def test_a_body_is_sent_as_it_is():
    body = '{ "a": "é" }'
    answer = get(RequestTermination(status_code=451, body=body, content_type="text/html"))
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (451, body, "text/html")
    assert "Content-Type" not in get(RequestTermination(body=body)).headers


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "config", [{"message": "a"}, {"body": "b"}, {"echo": True}], ids=["message", "body", "echo"]
)
def test_statuses_without_content_have_neither_body_nor_length(status, config):
    answer = get(RequestTermination(status_code=status, **config))
    assert (answer.status_code, answer.data, "Content-Length" in answer.headers) == (status, b"", False)


def test_head_has_status_and_headers_only():
    answer = get(RequestTermination(), method="HEAD")
    assert (answer.status_code, answer.data, answer.headers["Content-Type"]) == (503, b"", JSON)


def test_the_app_is_not_called():
    calls = []
    get(RequestTermination(), app=lambda *a: calls.append(a))
    assert calls == []


def test_other_plugins_still_see_the_answer():
    answer = get(
        [RequestTermination(), Cors(origins=["https://a.example"])], headers={"Origin": "https://a.example"}
    )
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (503, "https://a.example")


def test_ends_the_requests_of_one_consumer():
    config = {
        "consumers": [
            {"username": name, "keyauth_credentials": [{"key": f"key-of-{name}"}]}
            for name in ("bob", "alice")
        ]
    }
    wrapped = gateway(KeyAuth(), Entry(RequestTermination(), consumer="bob"), **config)
    found = [get(wrapped, headers={"apikey": f"key-of-{name}"}).status_code for name in ("bob", "alice")]
    assert found == [503, 200]


# -- trigger ------------------------------------------------------------------------------------------

TRIGGERS = {
    "nothing": ({}, 200),
    "header": ({"headers": {"X-Gone": ""}}, 503),
    "header in another case": ({"headers": {"x-gOnE": "1"}}, 503),
    "query": ({"query_string": "X-Gone=1"}, 503),
    "query without a value": ({"query_string": "a=1&X-Gone"}, 503),
    "query in another case": ({"query_string": "x-gone=1"}, 200),
    "value of that name": ({"query_string": "a=X-Gone"}, 200),
}


@pytest.mark.parametrize(("request_", "status"), TRIGGERS.values(), ids=TRIGGERS)
def test_only_triggered_requests_end(request_, status):
    assert get(RequestTermination(trigger="X-Gone"), **request_).status_code == status


# -- echo ---------------------------------------------------------------------------------------------


def echo(config=None, gate=None, **request):
    answer = get(RequestTermination(echo=True, **(config or {})), gate, **request)
    assert (answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"]) == (JSON, "nosniff")
    return answer.json


def test_echo_describes_the_request():
    told = echo(
        {"status_code": 404},
        method="GET",
        path="/status/200",
        query_string="hello=there&flag&n=1&n=2",
        data="cool body",
        base_url="http://api9.example:8080",
        headers={"X-A": "é"},
    )
    assert told["message"] == "Not found"
    request = told["request"]
    headers = request.pop("headers")
    assert request == {
        "scheme": "http",
        "host": "api9.example",
        "port": 8080,
        "method": "GET",
        "path": "/status/200",
        "query": {"hello": "there", "flag": True, "n": ["1", "2"]},
        "raw_body": "cool body",
        "uri_captures": {"named": {}, "unnamed": []},
    }
    assert headers == {"host": "api9.example:8080", "content-length": "9", "x-a": "�"}


def test_echo_tells_who_answered():
    told = echo()
    assert set(told) == {"message", "node", "request"}
    assert (told["node"]["worker_pid"], told["node"]["hostname"]) == (os.getpid(), socket.gethostname())
    assert told["node"]["node_id"] == echo()["node"]["node_id"]
    assert "kong" in echo({"echo_node": "kong"})


HOSTS = {
    "name": ("a.example", "a.example", 80),
    "port": ("a.example:81", "a.example", 81),
    "IPv6": ("[::1]", "[::1]", 80),
    "IPv6 and port": ("[::1]:81", "[::1]", 81),
    "strange port": ("a.example:x", "a.example:x", 80),
}


@pytest.mark.parametrize(("sent", "host", "port"), HOSTS.values(), ids=HOSTS)
def test_echo_splits_the_host(sent, host, port):
    # Without werkzeug's client, which in its older versions takes no port that is none.
    answer = serve(gateway(RequestTermination(echo=True)), environ_of(HTTP_HOST=sent))
    request = json.loads(answer.body)["request"]
    assert (request["host"], request["port"]) == (host, port)


def test_echo_without_a_port_tells_none():
    assert echo(environ={"HTTP_HOST": "a", "SERVER_PORT": ""})["request"]["port"] is None


BODIES = {
    "form": ("application/x-www-form-urlencoded", b"a=1&a=2&b", {"a": ["1", "2"], "b": True}),
    "object": ("application/json", b'{"a":[1]}', {"a": [1]}),
    "list": ("application/json", b"[1]", [1]),
    "multipart": (
        "multipart/form-data; boundary=B",
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B\r\nX: y\r\n\r\n2\r\n--B--\r\n',
        {"a": "1"},
    ),
    "half a character": ("application/json", b'"\\ud800"', "\ud800"),
}


@pytest.mark.parametrize(("kind", "data", "body"), BODIES.values(), ids=BODIES)
def test_echo_parses_the_body(kind, data, body):
    request = echo(method="POST", data=data, content_type=kind)["request"]
    assert (request["body"], request["raw_body"]) == (body, data.decode())


UNPARSED = {
    "text": ("text/plain", b"a=1"),
    "no JSON": ("application/json", b"{"),
    "NaN": ("application/json", b"NaN"),
    "too deep": ("application/json", b"[" * 100_000 + b"]" * 100_000),
    "no end": ("multipart/form-data; boundary=B", b"--B\r\n"),
    "no type": ("", b"\xff"),
}


@pytest.mark.parametrize(("kind", "data"), UNPARSED.values(), ids=UNPARSED)
def test_echo_leaves_out_a_body_that_cannot_be_parsed(kind, data):
    request = echo(method="POST", data=data, content_type=kind)["request"]
    assert "body" not in request
    assert request["raw_body"] == data.decode("utf-8", "replace")


def test_echo_reads_no_more_than_the_gateway_allows():
    answer = get(RequestTermination(echo=True), {"max_request_body": 5}, method="POST", data=b"123456")
    assert answer.status_code == 413


SECRETS = {
    "Authorization": "Basic c2VjcmV0",
    "Proxy-Authorization": "Basic c2VjcmV0",
    "apikey": "c2VjcmV0",
    "X-API-Key": "c2VjcmV0",
}


def test_echo_masks_credentials():
    request = {"headers": SECRETS, "query_string": "apikey=c2VjcmV0&access_token=c2VjcmV0&a=1"}
    told = echo(**request)
    assert "c2VjcmV0" not in json.dumps(told)
    assert told["request"]["headers"]["authorization"] == "REDACTED"
    assert told["request"]["query"] == {"apikey": "REDACTED", "access_token": "REDACTED", "a": "1"}
    shown = echo({"echo_credentials": True}, **request)["request"]
    assert (shown["headers"]["apikey"], shown["query"]["apikey"]) == ("c2VjcmV0", "c2VjcmV0")


def test_echo_masks_cookies():
    # The test client keeps cookies of its own.
    result = serve(gateway(RequestTermination(echo=True)), environ_of(HTTP_COOKIE="a=c2VjcmV0"))
    assert json.loads(result.body)["request"]["headers"]["cookie"] == "REDACTED"


def test_echo_masks_the_names_of_the_gateways_own_plugins():
    config = {"consumers": [{"username": "bob", "keyauth_credentials": [{"key": "c2VjcmV0"}]}]}
    plugins = [KeyAuth(key_names=["my-own-name"]), RequestTermination(echo=True)]
    answer = get(plugins, config, headers={"My-Own-Name": "c2VjcmV0"})
    assert (answer.status_code, "c2VjcmV0" in answer.text) == (503, False)


def test_echo_tells_route_service_and_captures():
    gate = {
        "routes": [{"name": "r", "paths": ["~/users/(?P<name>[^/]+)"], "service": "s"}],
        "services": [{"name": "s"}],
    }
    told = echo(gate=gate, path="/users/zoë")
    assert told["matched_route"]["name"] == "r"
    assert told["matched_service"]["name"] == "s"
    assert told["request"]["uri_captures"] == {"named": {"name": "zoë"}, "unnamed": ["zoë"]}


# -- through an app -----------------------------------------------------------------------------------


def test_a_body_that_was_not_read_is_left_to_the_server():
    stream = io.BytesIO(b"x" * 100)
    serve(gateway(RequestTermination()), environ_of(CONTENT_LENGTH="100", **{"wsgi.input": stream}))
    assert stream.tell() == 0


def test_is_good_wsgi():
    client = Client(LintMiddleware(gateway(RequestTermination(echo=True))))
    with client.post("/", data={"a": "b"}) as answer:
        assert answer.json["request"]["body"] == {"a": "b"}
