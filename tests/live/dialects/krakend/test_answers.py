"""What KrakenD's own engine answered to the same requests for the same files, asked of ours.

``answers.json`` holds groups: a configuration (``endpoints``, ``extra_config``, ``root``), requests, the
answer to each and, where it matters, what the backend was asked. ``backend`` says how the backend answers
a path. They were observed on Lura at commit caa4317 (2026-08-04) with gin 1.12, the encodings of
krakend-xml b86a2d7, and the 404 and 405 pages of KrakenD CE. ``{backend}`` and ``{gateway}`` stand for
ports, ``*`` for a version.

A case that has ``compat`` runs in that mode: its text says what we do otherwise by default. One that has
``ours`` has another answer in both modes, for the reason in ``why``.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from pathlib import Path

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from plugmw import Gateway
from tests.support.stub import Told, stub

HERE = Path(__file__).parent
ANSWERS = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))
CASES = [(group, case) for group in ANSWERS["groups"] for case in group["cases"]]
IDS = [f"{g['name']}: {c['request'].get('method', 'GET')} {c['request']['target']}" for g, c in CASES]
#: What servers and connections add, and what says nothing about a gateway.
CONNECTION = ("date", "server", "connection", "content-length", "transfer-encoding")


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args):
        pass


def reply(asked):
    """Be the backend."""
    found = ANSWERS["backend"].get(asked.target.partition("?")[0])
    if found is None:
        return Told(404, [("Content-Type", "text/plain")], b"no such page")
    time.sleep(found.get("delay", 0))
    headers = [(name, value) for name, value in found.get("headers", [])]
    return Told(found.get("status", 200), headers, found.get("body", "").encode())


@pytest.fixture(scope="module")
def backend():
    with stub(reply) as server:
        yield server


class Served:
    """Hands requests to the gateway of the case that is asked."""

    def __init__(self):
        self.gateway = None

    def __call__(self, environ, start_response):
        return self.gateway(environ, start_response)


@pytest.fixture(scope="module")
def gateways(backend):
    """Serve a group's configuration from now on; return the port, which is the same for all."""
    gateways, served = {}, Served()
    server = make_server("127.0.0.1", 0, served, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()

    def serve(group, compat):
        name = group["name"], compat
        if name not in gateways:
            gateways[name] = Gateway.from_krakend(None, document(group, backend.port), compat=compat)
        served.gateway = gateways[name]
        return server.server_port

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()
    for gateway in gateways.values():
        gateway.stop()


def document(group, port):
    return {
        "version": 3,
        "timeout": "2s",
        "host": [f"http://127.0.0.1:{port}"],
        "plugin": {"folder": str(HERE), "pattern": "answers_plugins.py"},
        "endpoints": group["endpoints"],
        "extra_config": group.get("extra_config", {}),
        **group.get("root", {}),
    }


def send(port, request):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    method, body = request.get("method", "GET"), request.get("body", "").encode()
    connection.putrequest(method, request["target"], skip_accept_encoding=True)
    for name, value in request.get("headers", []):
        connection.putheader(name, value)
    if body or method in ("POST", "PUT", "PATCH"):
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    found = {"status": answer.status, "headers": told(answer.getheaders()), "body": answer.read().decode()}
    connection.close()
    return found


def told(headers):
    return sorted([name.lower(), value] for name, value in headers if name.lower() not in CONNECTION)


def general(value, **ports):
    """Put names for ports and versions."""
    text = json.dumps(value)
    for name, port in ports.items():
        text = text.replace(f":{port}", f"{{{name}}}")
    return json.loads(re.sub(r'Version [^ "\\]+', "Version *", text))


@pytest.mark.parametrize(("group", "case"), CASES, ids=IDS)
def test_answers_as_the_original(gateways, backend, group, case):
    port = gateways(group, "compat" in case)
    before = len(backend.asked)
    answer = general(send(port, case["request"]), gateway=port, backend=backend.port)
    expected = {**case, **case.get("ours", {})}
    assert answer == expected["answer"]
    if "asked" in case:
        asked = [seen(one) for one in backend.asked[before:]]
        assert general(asked, gateway=port, backend=backend.port) == expected["asked"]


def seen(asked):
    headers = [item for item in told(asked.headers) if item[0] != "host"]
    return {"method": asked.method, "target": asked.target, "headers": headers, "body": asked.body.decode()}
