"""aws-lambda: configuration, the call and its signature, what the function is told, what the client gets."""

from __future__ import annotations

import io
import zipfile

import pytest
import requests
from werkzeug.test import Client

from plugmw.contrib.aws_lambda import AWSLambda
from plugmw.testing import gateway
from tests.unit.contrib.aws_lambda.test_plugin import CONFIG
from tests.unit.contrib.aws_lambda.test_plugin import (
    _no_credentials_of_this_machine as _no_credentials_of_this_machine,
)

# -- another implementation of the service ------------------------------------------------------------


@pytest.fixture
def moto(monkeypatch):
    """A moto server with one function, which without Docker answers what it is told; its port."""
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mock-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mock-secret")
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    port = running.get_host_and_port()[1]
    url = f"http://127.0.0.1:{port}"
    # What it holds belongs to the process, not to the server.
    requests.post(f"{url}/moto-api/reset", timeout=10)
    requests.post(f"{url}/moto-api/config", json={"lambda": {"use_docker": False}}, timeout=10)
    made = {"region_name": "us-east-1", "endpoint_url": url}
    role = boto3.client("iam", **made).create_role(
        RoleName="shop", AssumeRolePolicyDocument="{}", Path="/service-role/"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", "def handler(event, context):\n    return event\n")
    boto3.client("lambda", **made).create_function(
        FunctionName="kongLambdaTest",
        Runtime="python3.11",
        Role=role["Role"]["Arn"],
        Handler="code.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    yield port
    running.stop()


@pytest.mark.filterwarnings("ignore")
def test_moto_takes_the_call(moto):
    plugin = AWSLambda(**CONFIG, port=moto)
    found = Client(gateway(plugin)).get("/", query_string={"key": "value"}, buffered=True)
    assert found.status_code == 200
    plugin.close()
