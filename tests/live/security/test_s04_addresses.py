"""S4: one address per request, told by nobody who is not trusted, and the same one for every plugin."""

from __future__ import annotations

import json
import socket

import pytest

from tests.support import raw
from tests.support.waiting import until
from tests.support.wire import WORKERS

SOURCE = """
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [])
        return [b"served"]

    def gateway(**trust):
        # A year, so that no test runs over its end.
        return Gateway(site, {{"store": "memory://", **trust, "plugins": [
            {{"name": "ip-restriction", "config": {{"deny": ["6.6.6.6", "2001:db8::6"]}}}},
            {{"name": "rate-limiting", "config": {{"year": 1, "limit_by": "ip"}}}},
            {{"name": "file-log", "config": {{"path": {log!r}}}}},
        ]}})

    GATEWAYS = {{
        "/nobody": gateway(),
        "/local": gateway(trusted=["127.0.0.0/8", "10.0.0.0/8", "::ffff:11.0.0.0/104"]),
        "/unix": gateway(trusted=["unix:"]),
        "/hop": gateway(trusted=1),
        "/last": gateway(trusted=["127.0.0.1", "unix:"], real_ip_recursive=False),
    }}

    def app(environ, start_response):
        return GATEWAYS[environ["PATH_INFO"]](environ, start_response)
"""
FOR = "X-Forwarded-For: "
#: Header lines, and whom they stand for where 127.0.0.1 is trusted and nobody else near it.
LINES = {
    "none": ([], "127.0.0.1"),
    "one": ([f"{FOR}1.1.1.1"], "1.1.1.1"),
    "denied": ([f"{FOR}6.6.6.6"], "6.6.6.6"),
    "the first is anybody's": ([f"{FOR}1.1.1.2, 6.6.6.6"], "6.6.6.6"),
    "two lines are one list": ([f"{FOR}1.1.1.3", f"{FOR}6.6.6.6"], "6.6.6.6"),
    "the other way round": ([f"{FOR}6.6.6.6", f"{FOR}1.1.1.4"], "1.1.1.4"),
    "another name between": ([f"{FOR}6.6.6.6", "X-Real-IP: 9.9.9.9", f"{FOR}1.1.1.5"], "1.1.1.5"),
    "proxies of one's own": ([f"{FOR}1.1.1.6, 10.0.0.1", f"{FOR}127.0.0.2"], "1.1.1.6"),
    "a proxy as mapped IPv6": ([f"{FOR}1.1.1.7, ::ffff:10.0.0.1, ::ffff:b00:1"], "1.1.1.7"),
    "only proxies": ([f"{FOR}10.0.0.2, 10.0.0.3"], "10.0.0.2"),
    "mapped IPv6": ([f"{FOR}::ffff:6.6.6.6"], "6.6.6.6"),
    "mapped IPv6 in hexadecimal": ([f"{FOR}::FFFF:0606:0606"], "6.6.6.6"),
    "a port": ([f"{FOR}6.6.6.6:1234"], "6.6.6.6"),
    "brackets and a port": ([f"{FOR}[2001:db8::6]:1234"], "2001:db8::6"),
    "a zone": ([f"{FOR}2001:DB8:0::6%eth0"], "2001:db8::6"),
    "empty": (["X-Forwarded-For:"], "127.0.0.1"),
    "blank": (["X-Forwarded-For: \t , ,"], "127.0.0.1"),
    "empty members": ([f"{FOR},6.6.6.6, ,"], "6.6.6.6"),
    "garbage": ([f"{FOR}1.1.1.8, <garbage>"], ""),
    "unknown": ([f"{FOR}unknown"], ""),
    "a number": ([f"{FOR}101058054"], ""),
    "octal": ([f"{FOR}06.6.6.6"], ""),
    "too large": ([f"{FOR}6.6.6.256"], ""),
    "a name": ([f"{FOR}localhost"], ""),
    "garbage further away": ([f"{FOR}garbage, 6.6.6.6"], "6.6.6.6"),
    "other headers": (["X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "Client-IP: 6.6.6.6"], "127.0.0.1"),
    "another spelling": (["X_Forwarded_For: 6.6.6.6"], "127.0.0.1"),
}
#: A chain whose members count in another way than above, by gateway.
OTHERWISE = {
    "hop": {
        "proxies of one's own": "127.0.0.2",
        "a proxy as mapped IPv6": "11.0.0.1",
        "only proxies": "10.0.0.3",
    },
    "last": {
        "proxies of one's own": "127.0.0.2",
        "a proxy as mapped IPv6": "11.0.0.1",
        "only proxies": "10.0.0.3",
    },
    "unix": {
        "proxies of one's own": "127.0.0.2",
        "a proxy as mapped IPv6": "11.0.0.1",
        "only proxies": "10.0.0.3",
    },
}


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("s4")
    more = ["--bind", f"unix:{folder}/socket", *WORKERS[request.param]]
    source = SOURCE.format(log=f"{folder}/log")
    # Besides: the addresses that have used up their limit, by gateway.
    return folder, gunicorn_for_module(source, worker_class=request.param, args=more), {}


def expected(gateway, way, name):
    """Return who the client is, "" if nobody can tell."""
    peer = "127.0.0.1" if way == "tcp" else ""
    believed = {"nobody": (), "local": ("tcp",), "unix": ("unix",), "hop": ("tcp", "unix")}
    if way not in believed.get(gateway, ("tcp", "unix")):
        return peer
    found = OTHERWISE.get(gateway, {}).get(name, LINES[name][1])
    return peer if found == "127.0.0.1" else found


def ask(server, gateway, way, lines):
    folder, running, _ = server
    data = raw.request(f"/{gateway}", *lines)
    if way == "tcp":
        return raw.exchange(running.port, data).status
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(raw.TIMEOUT)
        client.connect(f"{folder}/socket")
        client.sendall(data)
        return raw.Answer(raw.read_all(client)).status


@pytest.mark.parametrize("way", ["tcp", "unix"])
@pytest.mark.parametrize("gateway", ["nobody", "local", "unix", "hop", "last"])
def test_s4_restriction_limit_and_log_go_by_the_same_address(server, gateway, way):
    log = server[0] / "log"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    found = [ask(server, gateway, way, lines) for lines, _ in LINES.values()]
    until(lambda: len(log.read_text().splitlines()) >= before + len(LINES))
    logged = [json.loads(line)["client_ip"] for line in log.read_text().splitlines()[before:]]
    clients = [expected(gateway, way, name) for name in LINES]
    assert dict(zip(LINES, logged)) == dict(zip(LINES, clients))
    seen = server[2].setdefault(gateway, set())
    for name, client, status in zip(LINES, clients, found):
        if client in ("", "6.6.6.6", "2001:db8::6"):
            assert status == 403, name
        else:
            assert status == (429 if client in seen else 200), (name, client)
            seen.add(client)
