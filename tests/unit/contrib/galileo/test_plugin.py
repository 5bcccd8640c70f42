"""galileo: configuration, ALFs to a real collector, and through an app; at the end real gunicorn."""

from __future__ import annotations

import base64
import time

import pytest
from werkzeug.test import Client

from plugmw import ConfigError, Entry
from plugmw.contrib.galileo import Galileo, log_format
from plugmw.contrib.galileo import plugin as galileo
from plugmw.telemetry.queues import Queues
from plugmw.testing import gateway, get
from tests.support.plugins import made
from tests.support.sinks import http_sink
from tests.support.waiting import until


@pytest.fixture
def serve(serve, monkeypatch):
    """As for every plugin; tries follow at once."""
    pause = galileo._Patient.pause
    monkeypatch.setattr(galileo._Patient, "pause", lambda *args: pause(*args) and 0.001)
    return serve


def to(sink, **config):
    config = {"service_token": "abcd", "https": False, "flush_timeout": 0, **config}
    return Galileo(host="127.0.0.1", port=sink.port, **config)


def entries(sink, count=1):
    """Return the entries of all ALFs once there are so many."""
    until(lambda: sum(len(r.json["har"]["log"]["entries"]) for r in sink.got) >= count)
    return [entry for request in sink.got for entry in request.json["har"]["log"]["entries"]]


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "no token": ({"host": "h"}, "service_token: missing, expected a string"),
    "no host": ({"service_token": "s3cret"}, "host: missing, expected a string"),
    "token": ({"host": "h", "service_token": 5}, "service_token: got a secret value"),
    "size": ({"host": "h", "service_token": "a", "queue_size": 0}, "queue_size: got 0"),
    "flush": ({"host": "h", "service_token": "a", "flush_timeout": -1}, "flush_timeout: got -1"),
    "retries": ({"host": "h", "service_token": "a", "retry_count": -1}, "retry_count: got -1"),
    "timeout": ({"host": "h", "service_token": "a", "connection_timeout": 0}, "connection_timeout: got 0"),
}


@pytest.mark.parametrize(("config", "problem"), BAD.values(), ids=BAD)
def test_refuses(config, problem):
    with pytest.raises(ConfigError) as caught:
        Galileo(**config)
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_pauses_grow_until_the_tries_are_used_up():
    wrapped = gateway(plugin := Galileo(host="::1", service_token="a", retry_count=9))
    queue = Queues.of(wrapped.runtime).get("key", plugin._queue)
    assert [queue.pause(tries, 0) for tries in range(9)] == [4, 9, 16, 25, 36, 49, 60, 60, None]
    assert (queue.settings.max_bytes, queue.settings.max_batch_size) == (200 * 1024 * 1024, 1000)


# -- phases -------------------------------------------------------------------------------------------


def test_an_exchange_is_an_entry_of_an_alf(serve):
    with http_sink() as sink:
        get(serve(to(sink, environment="test")), path="/?hello=world")
        [request] = sink.wait(1)
    assert (request.method, request.path) == ("POST", "/1.1.0/single")
    assert request.headers["content-type"] == "application/json"
    assert [request.json[key] for key in ("version", "serviceToken", "environment")] == [
        "1.1.0",
        "abcd",
        "test",
    ]
    [entry] = request.json["har"]["log"]["entries"]
    assert entry["request"]["queryString"] == [{"name": "hello", "value": "world"}]
    assert b"\\/" not in request.body


@pytest.mark.slow
def test_times_add_up(serve):
    def slow(environ, start_response):
        start_response("200 OK", [])
        time.sleep(0.05)
        yield b"x"

    with http_sink() as sink:
        get(serve(to(sink), app=slow))
        [entry] = entries(sink)
    timings = entry["timings"]
    assert timings["wait"] >= 45
    assert entry["time"] == timings["send"] + timings["wait"] + timings["receive"]


def answering(body=b"message=hello", **extra):
    def app(environ, start_response):
        app.read = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "a/b")])
        return [body]

    return app


def test_bodies_are_not_recorded_unless_that_is_said(serve):
    with http_sink() as sink:
        get(serve(to(sink), app=answering()), method="POST", data=b"x" * 38)
        [entry] = entries(sink)
    assert (entry["request"]["bodySize"], entry["request"]["bodyCaptured"]) == (38, True)
    assert entry["response"]["bodySize"] == 13
    assert "postData" not in entry["request"]
    assert "content" not in entry["response"]


def test_recorded_bodies_are_whole_and_change_nothing(serve):
    data = bytes(range(256))
    app = answering(data[::-1])
    with http_sink() as sink:
        answer = get(serve(to(sink, log_bodies=True), app=app), method="POST", data=data)
        [entry] = entries(sink)
    assert (answer.data, answer.headers["Content-Length"], app.read) == (data[::-1], "256", data)
    assert base64.b64decode(entry["request"]["postData"]["text"]) == data
    assert base64.b64decode(entry["response"]["content"]["text"]) == data[::-1]
    assert entry["response"]["content"]["mimeType"] == "a/b"


def test_chunks_pass_as_they_come(serve):
    def stream(environ, start_response):
        start_response("200 OK", [])
        yield from (b"one", b"two", b"three")

    with http_sink() as sink:
        client = Client(serve(to(sink, log_bodies=True), app=stream))
        answer = client.get("/", buffered=False)
        assert list(answer.response) == [b"one", b"two", b"three"]
        answer.close()
        [entry] = entries(sink)
    assert base64.b64decode(entry["response"]["content"]["text"]) == b"onetwothree"


def test_a_body_the_app_does_not_read_is_not_read(serve):
    with http_sink() as sink:
        get(serve(to(sink, log_bodies=True)), method="POST", data=b"x" * 38)
        [entry] = entries(sink)
    assert entry["request"]["bodySize"] == 38
    assert "postData" not in entry["request"]


def test_a_body_a_plugin_has_read_is_recorded(serve):
    reader = made("reader", 10, access=lambda x: x.read_body())
    with http_sink() as sink:
        get(serve(to(sink, log_bodies=True), reader), method="POST", data=b"abc")
        [entry] = entries(sink)
    assert entry["request"]["postData"]["text"] == "YWJj"


def test_a_refusal_before_it_has_no_bodies(serve):
    stop = made("stop", 10, access=lambda x: x.exit(403, "no"))
    with http_sink() as sink:
        get(serve(to(sink, log_bodies=True), stop))
        [entry] = entries(sink)
    assert (entry["response"]["status"], entry["response"]["bodySize"]) == (403, 2)
    assert "content" not in entry["response"]


def test_a_huge_body_keeps_its_size_alone(serve):
    def huge(environ, start_response):
        start_response("200 OK", [])
        for _ in range(21):
            yield b"x" * 1024 * 1024

    with http_sink() as sink:
        get(serve(to(sink, log_bodies=True), app=huge))
        [entry] = entries(sink)
    assert entry["response"]["bodySize"] == 21 * 1024 * 1024
    assert "content" not in entry["response"]


def test_two_instances_record_for_themselves(serve):
    with http_sink() as sink:
        second = Entry(to(sink, log_bodies=True, environment="second"), instance="second")
        get(serve(to(sink, log_bodies=True), second), method="POST", data=b"a")
        entries(sink, 2)
    assert sorted(str(request.json.get("environment")) for request in sink.got) == ["None", "second"]


def test_secrets_are_left_out(serve):
    with http_sink() as sink:
        plugin = to(sink, redact_headers=["cookie"], redact_query=["key"])
        get(serve(plugin), path="/?key=secret", headers={"Cookie": "secret", "Authorization": "secret"})
        [request] = sink.wait(1)
    assert b"secret" not in request.body


# -- phases: sending ----------------------------------------------------------------------------------


def test_an_alf_holds_what_came_before_it_was_full(serve):
    with http_sink() as sink:
        wrapped = serve(to(sink, queue_size=3, flush_timeout=3600))
        for _ in range(4):
            get(wrapped)
        assert len(sink.wait(1)[0].json["har"]["log"]["entries"]) == 3
        wrapped.stop()
        assert len(sink.wait(2)[1].json["har"]["log"]["entries"]) == 1


@pytest.mark.parametrize("answer", [500, 503, 302, b""])
def test_a_failure_is_repeated(serve, answer):
    with http_sink(answer, 200) as sink:
        get(serve(to(sink)))
        first, second = sink.wait(2)
    assert first.body == second.body


@pytest.mark.parametrize(("status", "lost"), [(200, 0), (207, 0), (400, 1), (413, 1)])
def test_what_was_taken_or_refused_is_not_repeated(serve, status, lost, caplog):
    with http_sink(status) as sink:
        wrapped = serve(to(sink))
        get(wrapped)
        sink.wait(1)
        [queue] = Queues.of(wrapped.runtime).all()
        wrapped.stop()
        assert (len(sink.wait(1)), queue.lost, queue.sent) == (1, lost, 1 - lost)
    assert ("ALF refused, 127.0.0.1" in caplog.text) is bool(lost)
    assert "abcd" not in caplog.text


def test_tries_are_counted(serve, caplog):
    with http_sink(500) as sink:
        wrapped = serve(to(sink, retry_count=3))
        get(wrapped)
        [queue] = Queues.of(wrapped.runtime).all()
        until(lambda: queue.lost)
        assert len(sink.wait(3)) == 3


def test_an_alf_is_never_larger_than_its_limit(serve, monkeypatch, caplog):
    monkeypatch.setattr(log_format, "MAX_ALF", 3000)
    with http_sink() as sink:
        wrapped = serve(to(sink, queue_size=6, flush_timeout=3600))
        for number in range(6):
            get(wrapped, path=f"/{number}", headers={"X-Big": "x" * (5000 if number == 2 else 300)})
        found = entries(sink, 5)
        assert all(len(request.body) <= 3000 for request in sink.got)
    assert [entry["request"]["url"][-1] for entry in found] == ["0", "1", "3", "4", "5"]
    assert len(sink.got) > 1
    assert "ALF too large (> 20MB)" in caplog.text
