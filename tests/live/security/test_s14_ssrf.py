"""S14, with servers and processes."""

from __future__ import annotations

import json

import pytest

from tests.security.gates import WORKERS
from tests.security.test_s14_ssrf import everywhere, redirecting
from tests.support import raw
from tests.support.stub import Told, stub
from tests.support.waiting import until

#: What is on the way of every request: names for everywhere else, in each place that something could read.
FORGED = (
    "X-Forwarded-Host: {elsewhere}",
    "X-Forwarded-Server: {elsewhere}",
    "X-Forwarded-Port: {port}",
    "X-Host: {elsewhere}",
    "X-Original-URL: http://{elsewhere}/",
    "X-Rewrite-URL: http://{elsewhere}/",
    "Forwarded: host={elsewhere};proto=http",
    "Location: http://{elsewhere}/",
    "Referer: http://{elsewhere}/",
    "Origin: http://{elsewhere}",
    "X-B3-TraceId: http://{elsewhere}/",
    "Proxy: http://{elsewhere}/",
    "Proxy-Connection: keep-alive",
    "X-Amz-Invocation-Type: Event",
)
TARGETS = (
    "/{route}?url=http://{elsewhere}/&http_endpoint=http://{elsewhere}/&host={elsewhere}",
    "/{route}/http://{elsewhere}/",
    "/{route}//{elsewhere}/",
    "/{route}/@{elsewhere}/",
    "/{route}/..;@{elsewhere}/%2e%2e/%2f%2f{elsewhere}",
    "http://{elsewhere}/{route}",
    "/{route}?@{elsewhere}/#http://{elsewhere}/",
)
ROUTES = ("service", "lambda", "log")


def document(port):
    aws = {
        "aws_key": "AKIAEXAMPLE",
        "aws_secret": "secret",
        "aws_region": "eu-central-1",
        "host": "127.0.0.1",
        "port": port,
        "disable_https": True,
        "function_name": "f",
    }
    endpoint = f"http://127.0.0.1:{port}"
    galileo = {"service_token": "t", "host": "127.0.0.1", "port": port, "https": False, "flush_timeout": 0}
    return {
        "store": "memory://",
        "services": [{"name": "s", "url": f"{endpoint}/base"}],
        "routes": [
            {"name": "service", "paths": ["/service"], "service": "s"},
            {"name": "lambda", "paths": ["/lambda"]},
            {"name": "log", "paths": ["/log"]},
        ],
        "plugins": [
            {"name": "aws-lambda", "route": "lambda", "config": aws},
            {"name": "http-log", "config": {"http_endpoint": f"{endpoint}/http-log", "flush_timeout": 0}},
            {"name": "zipkin", "config": {"http_endpoint": f"{endpoint}/zipkin", "sample_ratio": 1}},
            {"name": "galileo", "config": galileo},
        ],
    }


SERVED = """
    import json
    from plugmw import Gateway
    from plugmw.testing import hello_app
    app = Gateway(hello_app, json.load(open({path!r})))
"""


@pytest.mark.parametrize("worker_class", WORKERS)
def test_s14_neither_request_nor_environment_nor_answer_says_where_to_ask(gunicorn, tmp_path, worker_class):
    with stub(lambda asked: Told(200)) as other, stub(redirecting(other.port)) as configured:
        elsewhere = f"127.0.0.1:{other.port}"
        path = tmp_path / "gateway.json"
        path.write_text(json.dumps(document(configured.port)))
        server = gunicorn(
            SERVED.format(path=str(path)),
            worker_class=worker_class,
            args=WORKERS[worker_class],
            env=everywhere(other.port),
        )
        forged = [line.format(elsewhere=elsewhere, port=other.port) for line in FORGED]
        for route in ROUTES:
            for target in TARGETS:
                target = target.format(route=route, elsewhere=elsewhere)
                data = raw.request(target, *forged).replace(b"test.example", elsewhere.encode())
                assert raw.exchange(server.port, data).status < 600
        kinds = ("/base", "/2015-03-31/functions/f/invocations", "/http-log", "/zipkin", "/1.1.0/single")
        asked = lambda: {kind for kind in kinds for one in configured.asked if one.target.startswith(kind)}  # noqa: E731
        until(lambda: len(asked()) >= 4)
        assert server.stop() == 0
        assert other.asked == []
        # Whatever the target was, what goes out is a path on the server that is configured.
        assert all(one.target.startswith("/") for one in configured.asked)
        assert {one.get("Host") for one in configured.asked} == {f"127.0.0.1:{configured.port}"}
