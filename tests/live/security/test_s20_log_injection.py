"""S20: whatever a client or an app writes, each request is one record in every log, and it is good JSON."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.support.rsyslog import rsyslog
from tests.support.sinks import tcp_sink, udp_sink
from tests.support.waiting import until
from tests.support.wire import WORKERS, side_by_side, talk

SOURCE = """
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [("X-Odd", "\\xe9\\x85"), ("X-Json", '"\\\\"}}')])
        return [b"served"]

    CUSTOM = {{"custom_fields_by_lua": {{"said": "tests.live.security.test_s20_log_injection:said"}}}}
    app = Gateway(site, {{"store": "memory://", "plugins": [
        {{"name": "file-log", "config": {{"path": {file!r}, **CUSTOM}}}},
        {{"name": "tcp-log", "config": {{"host": "127.0.0.1", "port": {tcp}, **CUSTOM}}}},
        {{"name": "udp-log", "config": {{"host": "127.0.0.1", "port": {udp}, **CUSTOM}}}},
        {{"name": "syslog", "config": {{"address": {unix!r}, **CUSTOM}}}},
        {{"name": "syslog", "instance": "far", "priority": 5, "config": {{
            "address": "127.0.0.1:{syslog}", "format": "5424", **CUSTOM}}}},
    ]}})
"""
#: What would begin a record of its own, end one, or confuse who looks at it.
FAKE = '{"client_ip":"6.6.6.6","request":{"uri":"/fake"}}'
PATHS = [
    "/plain",
    f"/%0a{FAKE.replace(' ', '')}",
    f"/%0d%0a<14>kong: {FAKE}".replace(" ", "%20"),
    "/%0a%3C14%3E1%202026-01-01T00:00:00Z%20h%20kong%20-%20-%20-%20fake",
    "/%00%1b[31m%1b]0;title%07%08%7f",
    "/%c2%85%e2%80%a8%e2%80%a9%ff%fe%80",
    "/%ed%a0%80%ed%b0%80",
    "/\\n\\u000a\\\\\"'</script>",
    '/?%0a=%0d%0a&a=%00&b="\\',
    "/" + "%0a" * 2000,
]
#: Header lines, of which gunicorn lets some through.
LINES = [
    b"X-Json: " + FAKE.encode(),
    b'User-Agent: "\\\\", "client_ip": "6.6.6.6"',
    b"X-Bytes: \x80\x85\xa0\xe2\x80\xa8\xff",
    b"X-Tabs: a\tb \t<14>kong:",
    b"Referer: %0a%0d\\r\\n",
    b"Host: t\\n" + FAKE.replace(" ", "").encode(),
    b"X-Control: a\x1bb",
    b"X-Feed: a\nb",
    b'Authorization: Basic "\\n{',
]


def said(x):
    """Give a field of the entry, as a function of a configuration would: what was asked, and worse."""
    return x.environ["PATH_INFO"] + x.environ["QUERY_STRING"] + "\u2028\ud800\x1b[31m\r\n{"


def requests():
    """Yield (name, raw request); the name is in a header, by which records are told apart."""
    number = 0
    for target in PATHS:
        for line in (b"X-Nothing: 1", *LINES):
            host = b"" if line.startswith(b"Host") else b"Host: t\r\n"
            head = f"GET {target} HTTP/1.1\r\nX-Name: {number}\r\nConnection: close\r\n".encode()
            yield str(number), head + host + line + b"\r\n\r\n"
            number += 1


@pytest.fixture(params=WORKERS)
def logs(request, gunicorn):
    """Serve with every log; yield the server and what reads the records of each."""
    # Unix sockets have short paths.
    with (
        tempfile.TemporaryDirectory() as name,
        rsyslog(Path(name)) as daemon,
        tcp_sink() as tcp,
        udp_sink() as udp,
    ):
        file = Path(name, "log")
        places = {"file": str(file), "tcp": tcp.port, "udp": udp.port}
        source = SOURCE.format(**places, unix=daemon.socket, syslog=daemon.port)
        more = ["--config", "python:plugmw.mounts.gunicorn", *WORKERS[request.param]]
        server = gunicorn(source, worker_class=request.param, args=more)
        yield (
            server,
            {
                "file": lambda: file.read_bytes().split(b"\n")[:-1],
                "tcp": lambda: list(tcp.got),
                "udp": lambda: list(udp.got),
                "syslog": lambda: [message.text for message in daemon.messages()],
            },
        )


def test_s20_one_request_is_one_record_in_every_log(logs):
    server, read = logs
    every = list(requests())
    served = []
    # A few at a time: of datagrams that nobody has read yet, the system keeps only so many.
    for begin in range(0, len(every), 8):
        some = every[begin : begin + 8]
        answers = side_by_side(lambda request: talk(server.port, request[1]), some)
        served += [name for (name, _), answer in zip(some, answers) if b"200 OK" in answer[:20]]
        for log, records in read.items():
            count = len(served) * (2 if log == "syslog" else 1)
            until(lambda: len(records()) >= count, what=f"not {count} records in {log}")
    # Most get through the server.
    assert len(served) > 0.7 * len(every)
    server.stop()
    for log, records in read.items():
        count = len(served) * (2 if log == "syslog" else 1)
        found = records()
        assert len(found) == count, log
        entries = [json.loads(record) for record in found]
        for record in found:
            text = record if isinstance(record, str) else record.decode("ascii")
            assert text.strip(" ").isprintable(), (log, text)
        assert {entry["client_ip"] for entry in entries} == {"127.0.0.1"}
        # Of long ones not all that was asked is there, but who answered what is.
        whole = [entry for entry in entries if not entry.get("truncated")]
        names = sorted(entry["request"]["headers"]["x-name"] for entry in whole)
        assert set(names) <= set(served), log
        assert len(names) == len(set(names)) * (2 if log == "syslog" else 1), log
        assert {entry["response"]["status"] for entry in entries} == {200}
        assert all(entry["said"].endswith("\u2028\ufffd\x1b[31m\r\n{") for entry in whole), log
