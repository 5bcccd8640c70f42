"""S20: whatever a client or an app writes, each request is one record in every log, and it is good JSON."""

from __future__ import annotations

import json

import pytest

from plugmw import Gateway
from plugmw.telemetry.log_entry import MAX_LENGTH
from tests.support.sinks import tcp_sink, udp_sink
from tests.support.wsgi import environ_of, serve


@pytest.mark.parametrize("name", ["file-log", "tcp-log", "udp-log", "syslog"])
def test_s20_a_record_has_a_largest_size(name, tmp_path):
    with tcp_sink() as tcp, udp_sink() as udp:
        sink = {"tcp-log": tcp, "udp-log": udp, "syslog": udp}.get(name)
        config = {
            "file-log": {"path": str(tmp_path / "log")},
            "syslog": {"address": f"127.0.0.1:{udp.port}"},
        }.get(name) or {"host": "127.0.0.1", "port": sink.port}

        def site(environ, start_response):
            start_response("200 OK", [("X-Big", "\x85" * MAX_LENGTH)])
            return []

        app = Gateway(site, {"store": "memory://", "plugins": [{"name": name, "config": config}]})
        environ = environ_of("/" + "\n" * MAX_LENGTH, RAW_URI="/" + "%0a" * MAX_LENGTH)
        assert serve(app, environ).status == "200 OK"
        found = (tmp_path / "log").read_bytes() if sink is None else sink.wait(1)[0]
        app.stop()
    line = found.rstrip(b"\n")
    assert len(line) <= {"file-log": MAX_LENGTH, "tcp-log": MAX_LENGTH}.get(name, 65_507)
    told = json.loads(line[line.index(b"{") :])
    assert (told["truncated"], told["response"]["status"]) == (True, 200)
