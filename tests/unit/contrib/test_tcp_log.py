"""tcp-log: configuration, lines to a real server, and through an app; at the end real gunicorn."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugmw import ConfigError
from plugmw.contrib.tcp_log import TCPLog, is_local
from plugmw.telemetry.queues import Queues
from plugmw.testing import gateway, get
from tests.support.plugins import made
from tests.support.sinks import Certificate, closed_port, tcp_sink
from tests.support.waiting import until

LOCAL = {"REMOTE_ADDR": "127.0.0.1"}


def to(sink, **config):
    return TCPLog(host="127.0.0.1", port=sink.port, **config)


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "host": ({"port": 1}, "host: missing"),
    "port": ({"host": "h"}, "port: missing, expected a port from 0 to 65535"),
    "a large port": ({"host": "h", "port": 65536}, "port: got 65536"),
    "timeout": ({"host": "h", "port": 1, "timeout": 0}, "timeout: got 0, expected a number above 0"),
    "keepalive": ({"host": "h", "port": 1, "keepalive": -1}, "keepalive: got -1"),
    "tls": ({"host": "h", "port": 1, "tls": 1}, "tls: got 1, expected a boolean"),
    "unknown": ({"host": "h", "port": 1, "sni": "a"}, 'unknown field "sni"'),
}


@pytest.mark.parametrize(("config", "problem"), BAD.values(), ids=BAD)
def test_refuses(config, problem):
    with pytest.raises(ConfigError) as caught:
        TCPLog(**config)
    assert problem in str(caught.value)


def test_a_file_without_certificates_is_refused(tmp_path):
    path = str(tmp_path / "missing")
    with pytest.raises(ConfigError, match=r"tls_ca_file: got .*missing"):
        gateway(TCPLog(host="h", port=1, tls=True, tls_ca_file=path))


WARNED = {
    "far and plain": ({"host": "logs.example"}, True),
    "far and by TLS": ({"host": "logs.example", "tls": True}, False),
    "near": ({"host": "127.0.0.1"}, False),
}


@pytest.mark.parametrize(("config", "warned"), WARNED.values(), ids=WARNED)
def test_warns_of_entries_that_go_readable(config, warned, caplog):
    gateway(TCPLog(port=1, **config))
    assert ("readable for all on the way: tls is off" in caplog.text) is warned


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.8.0.1", True), ("::1", True), ("10.0.0.1", False), ("h", False)],
)
def test_this_machine_is_known_by_its_names(host, local):
    assert is_local(host) is local


# -- phases -------------------------------------------------------------------------------------------


def test_an_exchange_is_a_line(serve):
    with tcp_sink() as sink:
        wrapped = serve(to(sink))
        assert get(wrapped, path="/request", environ=LOCAL).status_code == 200
        get(wrapped, path="/second")
        first, second = sink.entries(2)
        assert sink.connections == 1
    assert (first["client_ip"], first["request"]["uri"]) == ("127.0.0.1", "/request")
    assert "tls" not in first["request"]
    assert second["request"]["uri"] == "/second"


@pytest.mark.slow
def test_latencies_add_up(serve):
    import time

    def slow(environ, start_response):
        start_response("200 OK", [])
        time.sleep(0.05)
        yield b"x"

    with tcp_sink() as sink:
        get(serve(to(sink), app=slow))
        [entry] = sink.entries(1)
    latencies = entry["latencies"]
    assert 45 <= latencies["proxy"] < 3000
    assert 1 + latencies["request"] >= latencies["kong"] + latencies["proxy"]


def test_a_plugins_answer_has_no_tries(serve):
    with tcp_sink() as sink:
        answer = get(serve(to(sink), made("stop", access=lambda x: x.exit(200, "hello!"))))
        assert answer.text == "hello!"
        [entry] = sink.entries(1)
    assert (entry["tries"], entry["source"]) == ([], "kong")


def test_custom_fields(serve):
    fields = {
        "new_field": "return 123",
        "nested.keys": "return 456",
        r"escape\.dots": "return 789",
        r"nested.escape\.dots": "return 135",
        "route": "return nil",
    }
    with tcp_sink() as sink:
        wrapped = serve(to(sink, custom_fields_by_lua=fields), routes=[{"name": "r", "paths": ["/"]}])
        get(wrapped, environ=LOCAL)
        [entry] = sink.entries(1)
    assert (entry["new_field"], entry["escape.dots"]) == (123, 789)
    assert entry["nested"] == {"keys": 456, "escape.dots": 135}
    assert "route" not in entry
    assert entry["client_ip"] == "127.0.0.1"


def test_a_server_that_is_down_is_tried_again_and_loses_nothing(serve, caplog):
    port = closed_port()
    wrapped = serve(TCPLog(host="127.0.0.1", port=port))
    for number in range(20):
        assert get(wrapped, path=f"/{number}").status_code == 200
    until(lambda: "could not process" in caplog.text)
    with tcp_sink(port=port) as sink:
        assert [entry["request"]["uri"] for entry in sink.entries(20)] == [f"/{n}" for n in range(20)]
    reason = f"failed to connect to 127.0.0.1:{port}: Connection refused"
    assert f"tcp-log: handler could not process entries: {reason}" in caplog.text


def test_big_entries_are_one_line(serve):
    with tcp_sink() as sink:
        get(serve(to(sink)), headers={f"X-{n}": "x" * 8000 for n in range(13)})
        [line] = sink.wait(1)
    assert len(line) > 100_000
    assert json.loads(line)["request"]["headers"]["x-12"] == "x" * 8000


@pytest.mark.slow
def test_lines_of_many_threads_stay_whole(serve):
    with tcp_sink() as sink:
        wrapped = serve(to(sink))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: get(wrapped, path=f"/{n}"), range(200)))
        found = [entry["request"]["uri"] for entry in sink.entries(200)]
    assert sorted(found) == sorted(f"/{n}" for n in range(200))


def test_what_waits_is_sent_at_the_end(serve):
    with tcp_sink() as sink:
        wrapped = serve(to(sink))
        get(wrapped)
        wrapped.stop()
        assert len(sink.wait(1)) == 1


# -- TLS ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tls_is_verified_by_the_name_that_is_given(serve, tmp_path, caplog):
    certificate = Certificate(tmp_path, "logs.example", "127.0.0.9")
    with tcp_sink(tls=certificate.context()) as sink:
        trusted = {"tls": True, "tls_ca_file": str(certificate.file)}
        get(serve(to(sink, tls_sni="logs.example", **trusted)))
        sink.entries(1)
        wrong = serve(to(sink, **trusted))
        Queues.of(wrong.runtime).shutdown_timeout = 0.05
        get(wrong)
        until(lambda: f"failed to perform TLS handshake to 127.0.0.1:{sink.port}" in caplog.text)
        wrong.stop()
        get(serve(to(sink, tls=True, tls_verify=False)))
        sink.entries(2)
