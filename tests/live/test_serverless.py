"""aws-lambda and azure-functions under real gunicorn of every kind, in front of stub functions."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.servers import require_module
from tests.support.stub import Told, stub

SOURCE = """
    import socket
    from plugmw import Gateway

    PORT = {port}
    real = socket.create_connection

    def connect(address, *args, **kwargs):
        return real(("127.0.0.1", PORT) if address[0] == "shop.functions.test" else address, *args, **kwargs)

    socket.create_connection = connect

    def app(environ, start_response):
        raise AssertionError("the app is not asked")

    app = Gateway(app, {{
        "store": "memory://",
        "routes": [{{"name": "lambda", "paths": ["/lambda"]}}, {{"name": "azure", "paths": ["/azure"]}}],
        "plugins": [
            {{"name": "aws-lambda", "route": "lambda", "config": {{
                "host": "127.0.0.1", "port": PORT, "disable_https": True, "aws_key": "k", "aws_secret": "s",
                "aws_region": "us-east-1", "function_name": "f", "forward_request_body": True,
            }}}},
            {{"name": "azure-functions", "route": "azure", "config": {{
                "appname": "shop", "hostdomain": "functions.test", "functionname": "f", "https": False,
            }}}},
            {{"name": "correlation-id", "config": {{"echo_downstream": True, "header_name": "X-Id"}}}},
        ],
    }})
"""


def answer(asked):
    """Echo what identifies a request, as each of the two services would."""
    return Told(200, [("Content-Type", "application/json")], asked.body or b"{}")


@pytest.mark.parametrize(
    ("worker_class", "more"),
    [("sync", []), ("gthread", ["--threads", "4"]), ("gevent", [])],
    ids=["sync", "gthread", "gevent"],
)
def test_answers_are_those_of_the_functions_and_never_mixed(gunicorn, worker_class, more):
    require_module("botocore")
    with stub(answer) as functions:
        source = SOURCE.format(port=functions.port)
        server = gunicorn(
            source,
            workers=2,
            worker_class=worker_class,
            args=["--config", "python:plugmw.mounts.gunicorn", *more],
        )

        def call(number):
            kind = "lambda" if number % 2 else "azure"
            body = json.dumps({"number": number}).encode()
            found = requests.post(f"{server.url}/{kind}", data=body, timeout=30)
            assert found.status_code == 200, found.text
            assert found.headers["X-Id"]
            return number, found.json()

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(call, range(40)))
        assert server.stop() == 0
    for number, told in answers:
        body = told if number % 2 == 0 else json.loads(base64.b64decode(told["request_body"]))
        assert body == {"number": number}
