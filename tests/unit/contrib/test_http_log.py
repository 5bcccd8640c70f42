"""http-log: configuration, requests to a real server, and through an app; at the end real gunicorn."""

from __future__ import annotations

import base64

import pytest

from plugmw import ConfigError, Entry
from plugmw.contrib.http_log import HTTPLog, settings, split
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from plugmw.testing import gateway, get
from tests.support.sinks import closed_port, http_sink

URL = "http://myservice.test/path"
#: Fails soon and is tried again soon.
QUICK = {"initial_retry_delay": 0.001, "max_retry_delay": 0.001}


def to(sink, path="/post_log/http", **config):
    return HTTPLog(http_endpoint=f"http://127.0.0.1:{sink.port}{path}", **config)


# -- config -------------------------------------------------------------------------------------------

AUTH_TWICE = "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed"
BAD = {
    "no endpoint": ({}, "http_endpoint: missing, expected an http or https URL"),
    "another scheme": ({"http_endpoint": "ftp://u:secret@h/"}, "http_endpoint: got a secret value"),
    "method": ({"method": "GET"}, "method: got 'GET', expected one of POST, PUT, PATCH"),
    "content type": ({"content_type": "text/plain"}, "content_type: got 'text/plain'"),
    "timeout": ({"timeout": 0}, "timeout: got 0, expected a number above 0"),
    "keepalive": ({"keepalive": -1}, "keepalive: got -1, expected a number of at least 0"),
    "empty header": ({"headers": {"X-My-Header": ""}}, "headers.X-My-Header: length must be at least 1"),
    "host": ({"headers": {"X-A": "1", "hOST": "b"}}, "headers: cannot contain 'Host' header"),
    "length": ({"headers": {"coNTEnt-Length": "b"}}, "headers: cannot contain 'Content-Length' header"),
    "type": ({"headers": {"coNTEnt-Type": "b"}}, "headers: cannot contain 'Content-Type' header"),
    "header name": ({"headers": {"a b": "1"}}, "headers: header name: got 'a b'"),
    "header value": ({"headers": {"a": "secret\r\nb: c"}}, "headers: header a: the value has a control"),
    "header of no text": ({"headers": {"a": 1}}, "headers.a: got a secret value"),
    "authorization twice": (
        {"http_endpoint": "http://hi:there@h/", "headers": {"AuthoRIZATion": "bad"}},
        AUTH_TWICE,
    ),
    "batch": ({"queue": {"max_batch_size": 0}}, "queue.max_batch_size: got 0"),
    "concurrency": ({"queue": {"concurrency_limit": 2}}, "queue.concurrency_limit: got 2, expected 1 or -1"),
    "old batch": ({"queue_size": 0}, "queue_size: got 0"),
    "old delay": ({"flush_timeout": -1}, "flush_timeout: got -1"),
}


@pytest.mark.parametrize(("config", "problem"), BAD.values(), ids=BAD)
def test_refuses(config, problem):
    config = {"http_endpoint": URL, **config} if config else {}
    with pytest.raises(ConfigError) as caught:
        HTTPLog(**config)
    assert problem in str(caught.value)
    assert "secret\r" not in str(caught.value)
    assert "u:secret" not in str(caught.value)


ENDPOINTS = {
    "http://h": ("http://h/", {}),
    "https://h:8443/a/b?c=d#e": ("https://h:8443/a/b", {}),
    "http://user:p%40ss@h:80/x": ("http://h:80/x", {"Authorization": "user:p%40ss"}),
    "http://user:p@ss@h/x": ("http://h/x", {"Authorization": "user:p@ss"}),
    "http://@h/x": ("http://h/x", {"Authorization": ""}),
}


@pytest.mark.parametrize(("endpoint", "parts"), ENDPOINTS.items())
def test_an_endpoint_is_taken_apart(endpoint, parts):
    url, headers = split(endpoint)
    assert url == parts[0]
    assert list(headers) == list(parts[1])
    for value in headers.values():
        assert base64.b64decode(value.removeprefix("Basic ")).decode() == parts[1]["Authorization"]


OLD = {
    "none": ({}, {}),
    "given": ({"queue_size": 5, "flush_timeout": 7}, {"max_batch_size": 5, "max_coalescing_delay": 7}),
    "at their old defaults": ({"queue_size": 1, "flush_timeout": 2, "retry_count": 10}, {}),
    "beside the queue": (
        {"queue": {"max_entries": 3}, "queue_size": 5},
        {"max_entries": 3, "max_batch_size": 5},
    ),
}


@pytest.mark.parametrize(("config", "changed"), OLD.values(), ids=OLD)
def test_older_spellings_count_unless_they_have_their_old_default(config, changed):
    assert settings(HTTPLog(http_endpoint=URL, **config).config) == QueueConfig(**changed)


def test_older_spellings_are_told(caplog):
    gateway(HTTPLog(http_endpoint=URL, retry_count=10, queue_size=1))
    assert [record.getMessage() for record in caplog.records] == [
        "http-log: retry_count, queue_size are of older versions, use queue"
    ]


def test_secrets_do_not_show():
    plugin = HTTPLog(http_endpoint="http://u:secret@h/", headers={"X-Key": "hidden"})
    assert "secret" not in repr(plugin.config)
    assert "hidden" not in repr(plugin.config)


# -- phases: what is sent -----------------------------------------------------------------------------


def test_an_exchange_is_an_object(serve):
    with http_sink() as sink:
        wrapped = serve(to(sink))
        assert get(wrapped, path="/status/200", environ={"REMOTE_ADDR": "127.0.0.1"}).status_code == 200
        [request] = sink.wait(1)
    assert (request.method, request.path) == ("POST", "/post_log/http")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{sink.port}"
    assert (request.json["response"]["status"], request.json["client_ip"]) == (200, "127.0.0.1")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_methods_content_type_and_headers(serve, method):
    charset = "application/json; charset=utf-8"
    with http_sink() as sink:
        headers = {"X-Own": "1", "authorization": "token"}
        get(serve(to(sink, method=method, content_type=charset, headers=headers)))
        [request] = sink.wait(1)
    assert request.method == method
    assert [request.headers[name] for name in ("content-type", "x-own", "authorization")] == [
        charset,
        "1",
        "token",
    ]


def test_user_info_becomes_basic_auth(serve):
    with http_sink() as sink:
        get(serve(HTTPLog(http_endpoint=f"http://hi:there@127.0.0.1:{sink.port}/x?dropped=1")))
        [request] = sink.wait(1)
    assert request.headers["authorization"] == "Basic aGk6dGhlcmU="
    assert request.path == "/x"


def test_batches_are_arrays_even_of_one_entry(serve):
    with http_sink() as sink:
        wrapped = serve(to(sink, queue={"max_batch_size": 5, "max_coalescing_delay": 0.01}))
        get(wrapped)
        [request] = sink.wait(1)
        assert [entry["response"]["status"] for entry in request.json] == [200]


def test_a_batch_holds_what_came_before_it_was_full(serve):
    with http_sink() as sink:
        wrapped = serve(to(sink, queue={"max_batch_size": 3, "max_coalescing_delay": 3600}))
        for number in range(4):
            get(wrapped, path=f"/{number}")
        assert [entry["request"]["uri"] for entry in sink.wait(1)[0].json] == ["/0", "/1", "/2"]
        wrapped.stop()
        assert [entry["request"]["uri"] for entry in sink.wait(2)[1].json] == ["/3"]


ROUTES = {"routes": [{"name": name, "paths": [f"/{name}"]} for name in "ab"]}
BATCH = {"max_batch_size": 2, "max_coalescing_delay": 3600}
SHARED = {
    "the same target": ({}, True),
    "another path": ({"path": "/other"}, False),
    "another method": ({"method": "PUT"}, False),
    "other headers": ({"headers": {"X-Key": "of another route"}}, False),
    "another queue": ({"queue": {**BATCH, "max_entries": 5}}, False),
    "other fields": ({"custom_fields_by_lua": {"a": 1}}, True),
}


@pytest.mark.parametrize(("other", "shared"), SHARED.values(), ids=SHARED)
def test_entries_with_one_target_form_one_batch_and_others_never_mix(serve, other, shared):
    with http_sink() as sink:
        first, second = to(sink, queue=BATCH), to(sink, **{"queue": BATCH, **other})
        wrapped = serve(Entry(first, route="a"), Entry(second, route="b"), **ROUTES)
        get(wrapped, path="/a")
        get(wrapped, path="/b")
        if not shared:
            wrapped.stop()
        assert sorted(len(request.json) for request in sink.wait(1 if shared else 2)) == (
            [2] if shared else [1, 1]
        )


def test_a_changed_configuration_is_used_at_once(serve):
    with http_sink() as sink:
        for value in ("value1", "value2"):
            wrapped = serve(to(sink, headers={"key1": value}))
            get(wrapped)
            wrapped.stop()
        assert [request.headers["key1"] for request in sink.wait(2)] == ["value1", "value2"]


# -- phases: failures ---------------------------------------------------------------------------------


def test_a_failed_request_is_repeated_as_it_was(serve, caplog):
    with http_sink(500, 500, 200) as sink:
        get(serve(to(sink, queue=QUICK)))
        bodies = [request.body for request in sink.wait(3)]
    assert len(set(bodies)) == 1
    assert (
        f"http-log: handler could not process entries: request to 127.0.0.1:{sink.port} "
        "returned status code 500 and body ok"
    ) in caplog.text


def test_a_redirect_is_a_failure_and_not_followed(serve):
    with http_sink(302, 204) as sink:
        get(serve(to(sink, queue=QUICK)))
        assert [request.path for request in sink.wait(2)] == ["/post_log/http"] * 2


def test_a_server_that_closes_is_asked_again(serve):
    with http_sink(b"", 200) as sink:
        get(serve(to(sink, queue=QUICK)))
        sink.wait(2)


def test_never_retried_if_that_is_said(serve, caplog):
    with http_sink(500) as sink:
        wrapped = serve(to(sink, queue={"max_retry_time": -1}))
        get(wrapped)
        [queue] = Queues.of(wrapped.runtime).all()
        wrapped.stop()
        assert (len(sink.wait(1)), queue.lost) == (1, 1)
    assert "1 queue entries were lost" in caplog.text


def test_a_server_that_is_down_is_told_without_secrets(serve, caplog):
    port = closed_port()
    url = f"http://user:secret@127.0.0.1:{port}/token"
    wrapped = serve(HTTPLog(http_endpoint=url, headers={"X-Key": "hidden"}, queue={"max_retry_time": -1}))
    get(wrapped)
    wrapped.stop()
    assert f"failed request to 127.0.0.1:{port}: " in caplog.text
    assert not [word for word in ("secret", "hidden", "token", "dXNlcj") if word in caplog.text]


# -- through an app -----------------------------------------------------------------------------------


def test_a_failing_custom_field_sends_the_rest(serve, caplog):
    with http_sink() as sink:
        get(serve(to(sink, custom_fields_by_lua={"bad": lambda x: 1 / 0, "good": "return 1"})))
        [request] = sink.wait(1)
    assert request.json["good"] == 1
    assert "bad" not in request.json
    assert "log field 'bad' is left out: ZeroDivisionError" in caplog.text


@pytest.mark.slow
def test_certificates_are_verified(serve, tmp_path, caplog):
    from tests.support.sinks import Certificate

    certificate = Certificate(tmp_path)
    with http_sink(tls=certificate.context()) as sink:
        url = f"https://127.0.0.1:{sink.port}/"
        wrapped = serve(HTTPLog(http_endpoint=url, queue={"max_retry_time": -1}))
        get(wrapped)
        wrapped.stop()
        assert "certificate verify failed" in caplog.text
        assert sink.got == []
        get(serve(HTTPLog(http_endpoint=url, tls_ca_file=str(certificate.file))))
        sink.wait(1)
    plugin = HTTPLog(http_endpoint=url, tls_verify=False, tls_ca_file=str(certificate.file))
    gateway(plugin)
    assert plugin._verify is False
