"""The log entry: its fields, what plugins change in it, what is left out, and its one line."""

from __future__ import annotations

import json
import logging

import pytest
from werkzeug.test import Client

from plugmw import Entry, Gateway, Plugin
from plugmw.kernel.identity import Consumer, Credential
from plugmw.telemetry import log_entry
from plugmw.wsgi.answer import Exit
from plugmw.wsgi.redaction import REDACTED, Redaction
from plugmw.wsgi.upstream_request import UpstreamRequest
from tests.support.plugins import made
from tests.support.wsgi import environ_of, serve


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Many", "1"), ("X-Many", "2")])
    return [b"hel", b"lo"]


def logged(*plugins, app=app, custom=(), redaction=None, config=None, **environ):
    """Send one request and return its entry."""
    entries = []

    class Log(Plugin):
        name, priority, needs_timings = "log", -1000, True

        def log(self, x):
            entries.append(log_entry.entry(x, custom, redaction))

    gateway = Gateway(app, config or {}, plugins=[*plugins, Log()])
    serve(gateway, environ_of(**environ))
    [entry] = entries
    return entry


# -- fields -------------------------------------------------------------------------------------------


def test_an_exchange_has_these_fields():
    entry = logged(
        path="/a",
        QUERY_STRING="b=1&b=2&b=3&c",
        HTTP_HOST="shop.example",
        HTTP_X_ONE="1",
        CONTENT_TYPE="text/plain",
        CONTENT_LENGTH="4",
        SERVER_PORT="8000",
    )
    assert entry.pop("started_at") > 1_600_000_000_000
    latencies = entry.pop("latencies")
    assert list(latencies) == ["request", "kong", "proxy", "receive"]
    assert latencies["request"] + 1 >= latencies["kong"] + latencies["proxy"] >= 0
    assert len(entry["request"].pop("id")) == 32
    assert entry == {
        "request": {
            "method": "GET",
            "uri": "/a?b=1&b=2&b=3&c",
            "url": "http://shop.example:8000/a?b=1&b=2&b=3&c",
            "querystring": {"b": ["1", "2", "3"], "c": True},
            "headers": {
                "host": "shop.example",
                "x-one": "1",
                "content-type": "text/plain",
                "content-length": "4",
            },
            "size": len(
                "GET /a?b=1&b=2&b=3&c HTTP/1.0\r\nhost: shop.example\r\nx-one: 1\r\n"
                "content-type: text/plain\r\ncontent-length: 4\r\n\r\n1234"
            ),
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "text/plain", "x-many": ["1", "2"]},
            "size": len("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Many: 1\r\nX-Many: 2\r\n\r\nhello"),
        },
        "upstream_uri": "/a?b=1&b=2&b=3&c",
        "upstream_status": "200",
        "tries": [],
        "client_ip": "127.0.0.1",
        "source": "upstream",
    }


def test_the_raw_target_is_told_where_the_server_knows_it():
    entry = logged(path="/a b", RAW_URI="/a%20b?x=%2f", QUERY_STRING="x=%2f")
    assert entry["request"]["uri"] == entry["upstream_uri"] == "/a%20b?x=%2f"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("h", "http://h:80/"),
        ("h:81", "http://h:81/"),
        ("[::1]", "http://[::1]:80/"),
        ("[::1]:8", "http://[::1]:8/"),
    ],
)
def test_the_port_is_always_in_the_url(host, url):
    assert logged(HTTP_HOST=host, SERVER_PORT="80")["request"]["url"] == url


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_the_usual_port_stands_in_for_one_nobody_knows(scheme, port):
    entry = logged(HTTP_HOST="h", SERVER_PORT="", **{"wsgi.url_scheme": scheme})
    assert entry["request"]["url"] == f"{scheme}://h:{port}/"


def test_a_plugins_answer_was_not_proxied():
    entry = logged(made("stop", access=lambda x: x.exit(418, "no")))
    assert (entry["source"], entry["upstream_uri"], entry["upstream_status"]) == ("kong", "", "")
    assert (entry["latencies"]["proxy"], entry["latencies"]["receive"], entry["tries"]) == (-1, 0, [])
    assert (entry["response"]["status"], entry["response"]["headers"]["content-length"]) == (418, "2")


def test_an_app_that_raises_was_an_error_of_ours():
    def broken(environ, start_response):
        raise RuntimeError

    entry = logged(app=broken)
    assert (entry["source"], entry["response"]["status"], entry["latencies"]["proxy"]) == ("kong", 500, -1)


def test_a_declared_length_that_is_no_number_counts_nothing():
    assert logged(CONTENT_LENGTH="+5")["request"]["size"] == logged(CONTENT_LENGTH="1_")["request"]["size"]


class Timed:
    """An exchange with given times."""

    source = "service"

    def __init__(self, begun=0.0, app_called=0.0, first_byte=0.0, ended=0.0):
        self.begun, self.app_called, self.first_byte, self.ended = begun, app_called, first_byte, ended


TIMES = {
    "all": (Timed(10, 10.003, 10.010, 10.020), (19, 3, 6, 9)),
    "without a body": (Timed(10, 10.25, 0, 10.5), (500, 250, 250, 0)),
    "not proxied": (Timed(10, 0, 0, 10.5), (500, 500, -1, 0)),
    "not measured": (Timed(), (0, 0, -1, 0)),
}


@pytest.mark.parametrize(("x", "expected"), TIMES.values(), ids=TIMES)
def test_latencies_are_whole_milliseconds(x, expected):
    found = tuple(log_entry.latencies(x).values())
    assert all(abs(one - other) <= 1 for one, other in zip(found, expected))
    assert 1 + found[0] >= found[1] + found[2]


def test_route_service_consumer_and_credential_are_described_without_secrets():
    config = {
        "routes": [{"name": "r", "paths": ["/"], "service": "s", "tags": ["x"]}],
        "services": [{"name": "s", "tags": ["y"]}],
    }

    def login(x):
        consumer = Consumer(id="1", username="alice", groups=("g",))
        x.authenticate(consumer, Credential(id="2", consumer_id="1", data={"key": "secret"}))

    entry = logged(made("login", access=login), config=config)
    assert entry["route"] == {
        "name": "r",
        "id": "r",
        "paths": ["/"],
        "service": {"name": "s"},
        **{
            key: entry["route"][key]
            for key in entry["route"]
            if key not in ("name", "id", "paths", "service")
        },
    }
    assert entry["service"]["name"] == "s"
    assert entry["consumer"] == {"id": "1", "username": "alice"}
    assert entry["authenticated_entity"] == {"id": "2", "consumer_id": "1"}
    assert "secret" not in json.dumps(entry)


def test_an_unmatched_request_has_no_route():
    config = {"routes": [{"name": "r", "paths": ["/a"]}], "unrouted": "404"}
    entry = logged(config=config, path="/b")
    assert entry["response"]["status"] == 404
    assert not {"route", "service", "consumer", "authenticated_entity"} & set(entry)


def test_what_is_sent_on_follows_a_stripped_path():
    config = {"routes": [{"name": "r", "paths": ["/api"], "strip_path": True}]}
    entry = logged(config=config, path="/api/x", QUERY_STRING="a=1")
    assert (entry["request"]["uri"], entry["upstream_uri"]) == ("/api/x?a=1", "/x?a=1")


def test_what_is_sent_on_is_under_the_services_path():
    x = Timed()
    x.environ, x.service_facts = {"PATH_INFO": "/x"}, {"path": "/base/"}
    assert log_entry._upstream_uri(x) == "/base/x"


def test_what_an_upstream_tells_is_told():
    def answer(environ, start_response):
        told = UpstreamRequest.of(environ)
        told.status = "500, 200"
        told.tries = [{"ip": "127.0.0.1", "port": 1}]
        return app(environ, start_response)

    entry = logged(app=answer)
    assert (entry["upstream_status"], entry["tries"]) == ("500, 200", [{"ip": "127.0.0.1", "port": 1}])


def test_ids_of_tracing_plugins_are_told():
    entry = logged(**{"plugmw.trace_id": {"w3c": "ab"}, "plugmw.correlation_id": "c"})
    assert (entry["trace_id"], entry["correlation_id"]) == ({"w3c": "ab"}, "c")


# -- TLS ----------------------------------------------------------------------------------------------


class Connection:
    def version(self):
        return "TLSv1.3"

    def cipher(self):
        return "TLS_AES_256_GCM_SHA384", "TLSv1.3", 256

    def getpeercert(self):
        return {"subject": ()}


class Gone:
    def version(self):
        raise OSError

    def cipher(self):
        return None


TLS = {
    "mod_ssl": (
        {"SSL_PROTOCOL": "TLSv1.2", "SSL_CIPHER": "AES", "SSL_CLIENT_VERIFY": "FAILED"},
        ("TLSv1.2", "AES", "FAILED"),
    ),
    "gunicorn": ({"gunicorn.socket": Connection()}, ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "SUCCESS")),
    "a connection that is gone": ({"gunicorn.socket": Gone()}, ("", "", "NONE")),
    "a proxy": ({}, ("", "", "NONE")),
}


@pytest.mark.parametrize(("environ", "told"), TLS.values(), ids=TLS)
def test_tls_is_told_as_far_as_the_server_tells(environ, told):
    entry = logged(**{"wsgi.url_scheme": "https", **environ})
    assert tuple(entry["request"]["tls"].values()) == told
    assert list(entry["request"]["tls"]) == ["version", "cipher", "client_verify"]


def test_without_tls_there_is_nothing_of_it():
    assert "tls" not in logged(SSL_PROTOCOL="TLSv1.2")["request"]


# -- what is left out ---------------------------------------------------------------------------------


def test_secrets_are_left_out_everywhere():
    def answer(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "s=secret"), ("X-Ok", "1")])
        return []

    entry = logged(
        app=answer,
        redaction=Redaction.of(["cookie", "set-cookie"], ["key"]),
        path="/a",
        QUERY_STRING="key=secret&a=1",
        RAW_URI="/a?k%65y=secret&a=1",
        HTTP_AUTHORIZATION="Basic secret",
        HTTP_PROXY_AUTHORIZATION="secret",
        HTTP_COOKIE="s=secret",
    )
    assert "secret" not in json.dumps(entry)
    assert entry["request"]["querystring"] == {"key": REDACTED, "a": "1"}
    assert entry["request"]["uri"] == "/a?k%65y=REDACTED&a=1"
    assert entry["response"]["headers"] == {"set-cookie": REDACTED, "x-ok": "1"}


def test_key_auths_names_are_left_out_by_default():
    from plugmw.contrib.key_auth import KeyAuth

    key_auth = KeyAuth(key_names=["x-own-key"], anonymous="nobody")
    config = {"consumers": [{"username": "nobody"}]}
    entry = logged(key_auth, config=config, HTTP_X_OWN_KEY="secret", QUERY_STRING="x-own-key=secret")
    assert "secret" not in json.dumps(entry)
    assert entry["request"]["headers"]["x-own-key"] == REDACTED


def test_request_headers_for_others_leave_out_what_authorizes():
    x = Timed()
    x.environ = {"HTTP_AUTHORIZATION": "secret", "HTTP_A": "b", "CONTENT_TYPE": ""}
    assert log_entry.request_headers(x) == {"authorization": REDACTED, "a": "b"}


def test_text_is_utf8_and_bytes_that_are_none_are_replaced():
    entry = logged(
        path="/", RAW_URI="/\xc3\xa9\xff", HTTP_X="\xc3\xa9\xff", HTTP_HOST="\xff", SERVER_PORT="1"
    )
    assert entry["request"]["uri"] == "/é\ufffd"
    assert entry["request"]["headers"]["x"] == "é\ufffd"
    assert entry["request"]["url"] == "http://\ufffd:1/é\ufffd"


# -- changes ------------------------------------------------------------------------------------------


def test_changes_of_plugins_come_before_custom_fields_and_the_last_wins():
    changing = made("changing", access=lambda x: log_entry.changes_of(x).append(("a", 1, "set")))
    assert logged(changing)["a"] == 1
    assert logged(changing, custom=[("a", lambda x: 2), ("a", lambda x: x.status)])["a"] == 200


def _raise(error):
    raise error


FAILING = {
    "raises": lambda x: _raise(KeyError("a")),
    "exits": lambda x: _raise(Exit(200, b"", [])),
    "no JSON": lambda x: {1},
}


@pytest.mark.parametrize("failing", FAILING.values(), ids=FAILING)
def test_a_custom_field_that_fails_is_left_out_and_told(failing, caplog):
    entry = logged(custom=[("bad", failing), ("good", lambda x: 1)])
    assert (entry["good"], "bad" in entry) == (1, False)
    [line] = caplog.records
    assert "log field 'bad' is left out" in line.getMessage()


def test_a_change_that_fails_is_left_out_and_told(caplog):
    changing = made("changing", access=lambda x: log_entry.changes_of(x).append(("source.x", 1, "set")))
    entry = logged(changing)
    assert entry["source"] == "upstream"
    assert "cannot set 'source.x': 'source' is no object" in caplog.text


def test_entries_share_nothing_with_the_configuration():
    value = {"deep": [1]}
    config = {"routes": [{"name": "r", "paths": ["/"], "service": "s"}], "services": [{"name": "s"}]}
    custom = [("own", lambda x: value), ("own.more", lambda x: 1), ("service.name", lambda x: "changed")]
    entries = []

    class Log(Plugin):
        name, needs_timings = "log", True

        def log(self, x):
            entries.append(log_entry.entry(x, custom))

    client = Client(Gateway(app, config, plugins=[Entry(Log())]))
    for _ in range(2):
        client.get("/", buffered=True)
    assert [entry["service"]["name"] for entry in entries] == ["changed", "changed"]
    assert entries[1]["own"] == {"deep": [1], "more": 1}
    assert value == {"deep": [1]}


CHANGES = {
    "a new field": (("b", 1), {"a": {"x": 1}, "b": 1}),
    "a nested field": (("a.y", 1), {"a": {"x": 1, "y": 1}}),
    "objects on the way": (("b.c.d", 1), {"a": {"x": 1}, "b": {"c": {"d": 1}}}),
    "a literal dot": ((r"a\.x", 1), {"a": {"x": 1}, "a.x": 1}),
    "a literal dot inside": ((r"a.b\.c", 1), {"a": {"x": 1, "b.c": 1}}),
    "taking away": (("a.x", None), {"a": {}}),
    "taking away what is not there": (("b.c", None), {"a": {"x": 1}}),
    "add what is there": (("a", 1, "add"), {"a": {"x": 1}}),
    "add what is not": (("b", 1, "add"), {"a": {"x": 1}, "b": 1}),
    "replace what is there": (("a", 1, "replace"), {"a": 1}),
    "replace what is not": (("b", 1, "replace"), {"a": {"x": 1}}),
    "replace inside what is not": (("b.c", 1, "replace"), {"a": {"x": 1}}),
}


@pytest.mark.parametrize(("change", "result"), CHANGES.values(), ids=CHANGES)
def test_a_change_is(change, result):
    entry = {"a": {"x": 1}}
    log_entry.change(entry, *change)
    assert entry == result


CYCLE: list[object] = []
CYCLE.append(CYCLE)
REFUSED = {
    "no names": ("..", 1),
    "through a number": ("a.x.y", 1),
    "through a list": ("l.x", 1),
    "a set": ("b", {1}),
    "a function inside": ("b", [{"c": print}]),
    "a key that is no text": ("b", {1: 1}),
    "not a number": ("b", float("nan")),
    "a cycle": ("b", CYCLE),
}


@pytest.mark.parametrize(("key", "value"), REFUSED.values(), ids=REFUSED)
def test_a_change_is_refused(key, value):
    with pytest.raises(ValueError):
        log_entry.change({"a": {"x": 1}, "l": []}, key, value)


# -- the line -----------------------------------------------------------------------------------------

TEXTS = {
    "newlines": 'a\n{"forged":true}\r\n',
    "separators of lines": "a\u2028b\u0085c\u2029",
    "control characters": "\0\x1b[31m\x7f",
    "text": "é \U0001f600",
    "what looks like an escape": "\\ud800 \\\\ud800",
}


@pytest.mark.parametrize("value", TEXTS.values(), ids=TEXTS)
def test_an_entry_is_one_line_of_ascii_that_says_the_same(value):
    line = log_entry.encode({"a": value, value: 1})
    assert line.isascii()
    assert line.replace("\x7f", "").isprintable()
    assert json.loads(line) == {"a": value, value: 1}


def test_lone_surrogates_are_replaced_and_pairs_kept():
    line = log_entry.encode({"a": "\ud800x\udc00\udfff \U0001f600 \\ud800\ud83d"})
    assert json.loads(line) == {"a": "\ufffdx\ufffd\ufffd \U0001f600 \\ud800\ufffd"}


@pytest.mark.parametrize("value", [float("nan"), {1}, CYCLE, 10**5000], ids=["NaN", "set", "cycle", "digits"])
def test_a_value_that_cannot_be_encoded_loses_only_itself(value):
    assert log_entry.encode({"a": 1, "bad": value, "b": 2}) == '{"a":1,"b":2}'


def test_a_long_entry_is_reduced_and_says_so():
    entry = logged(path="/" + "x" * 5000, QUERY_STRING="q=" + "y" * 5000, HTTP_X_BIG="z" * 5000)
    line = log_entry.encode(entry, 4000)
    found = json.loads(line)
    assert len(line) <= 4000
    assert found["truncated"] is True
    assert found["response"]["status"] == 200
    assert found["request"]["size"] == entry["request"]["size"]
    assert not {"headers", "querystring"} & {*found["request"], *found["response"]}
    assert entry["request"]["uri"].startswith(found["request"]["uri"])
    assert len(found["request"]["url"]) == len(found["upstream_uri"]) == log_entry.CUT
    assert log_entry.encode(entry, len(log_entry.encode(entry))) == log_entry.encode(entry)


def test_an_entry_that_is_long_in_other_ways_is_reduced_to_its_bones():
    entry = {**logged(REQUEST_METHOD="M" * 900), "own": "x" * 5000}
    found = json.loads(log_entry.encode(entry, 1000))
    assert (found["truncated"], found["response"]["status"]) == (True, 200)
    assert found["request"]["method"] == "M" * log_entry.CUT
    assert not {"own", "upstream_uri"} & set(found)


def test_an_entry_without_its_parts_is_reduced_too():
    found = json.loads(log_entry.encode({"own": "x" * 500, "request": "gone", "response": None}, 400))
    assert (found["truncated"], found["request"], found["latencies"]) == (True, None, None)


def test_no_entry_is_longer_than_a_mebibyte():
    line = log_entry.encode({"request": {"headers": {"a": "x" * 2 * log_entry.MAX_LENGTH}}})
    assert (json.loads(line), len(line) < 100) == ({"request": {}, "truncated": True}, True)


def test_the_log_of_the_gateway_says_nothing_otherwise(caplog):
    with caplog.at_level(logging.DEBUG):
        logged(custom=[("a", lambda x: 1)])
    assert caplog.records == []
