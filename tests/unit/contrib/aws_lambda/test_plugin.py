"""aws-lambda: configuration, the call and its signature, what the function is told, what the client gets."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import logging
import re
from types import SimpleNamespace
from urllib.parse import parse_qsl, quote

import botocore.session
import pytest
from botocore.loaders import JSONFileLoader
from werkzeug.test import Client

from plugmw import ConfigError
from plugmw.contrib.aws_lambda import AWSLambda
from plugmw.kernel.plugin import Plugin
from plugmw.telemetry.log_entry import entry
from plugmw.testing import gateway
from tests.support.sinks import closed_port
from tests.support.stub import Asked, Told, stub

CONFIG = {
    "host": "127.0.0.1",
    "disable_https": True,
    "aws_key": "mock-key",
    "aws_secret": "mock-secret",
    "aws_region": "us-east-1",
    "function_name": "kongLambdaTest",
}
PATH = "/2015-03-31/functions/kongLambdaTest/invocations"
UNEXPECTED = {"message": "An unexpected error occurred"}
JSON = ("Content-Type", "application/json")
ID = ("x-amzn-RequestId", "foo")


def echo(asked):
    """Answer with what the function is told."""
    return Told(200, [ID, JSON], asked.body)


def says(data, *headers, status=200):
    """Make a function that always answers so."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return lambda asked: Told(status, [ID, JSON, *headers], body)


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch, tmp_path):
    for name in (
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture(autouse=True, scope="module")
def models_are_read_once():
    """Let botocore find and parse its descriptions of services once, and not 10 MB for each plugin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", staticmethod(functools.cache(JSONFileLoader().load_file)))
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield


@pytest.fixture
def invoke():
    """Send a request to a plugin in front of a function: (the client's answer, what Lambda was asked)."""
    made = []

    def call(answer=echo, config=None, plugins=(), document=None, environ=None, **request):
        with stub(answer) as server:
            plugin = AWSLambda(**{**CONFIG, "port": server.port, **(config or {})})
            made.append(plugin)
            client = Client(gateway(plugin, *plugins, app=never, **(document or {})), use_cookies=False)
            found = client.open(environ_overrides=environ or {}, buffered=True, **request)
            plugin.close()
            return found, server.asked

    return call


def never(environ, start_response):
    raise AssertionError("the app was called")


def told(asked):
    assert len(asked) == 1
    return json.loads(asked[0].body)


# -- the signature, worked out from Amazon's description of version 4 ------------------------------------


def signature(asked: Asked, secret: str) -> str:
    """Return the signature that this request must have."""
    scope, names, _ = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
        str(asked.get("Authorization")),
    ).groups()
    # A proxy is asked in the absolute form, a server in the origin form.
    path, _, query = asked.target.removeprefix(f"http://{asked.get('Host')}").partition("?")
    pairs = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in parse_qsl(query, True))
    headers = "".join(f"{name}:{' '.join(str(asked.get(name)).split())}\n" for name in names.split(";"))
    canonical = "\n".join(
        [
            *(
                asked.method,
                quote(path, safe="/-_.~"),
                "&".join(f"{n}={v}" for n, v in pairs),
                headers,
                names,
            ),
            hashlib.sha256(asked.body).hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{asked.get('X-Amz-Date')}\n{scope}\n{digest}"
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def is_signed(asked: Asked, secret: str = "mock-secret") -> bool:
    return str(asked.get("Authorization")).endswith("Signature=" + signature(asked, secret))


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "key alone": (
        {"aws_secret": None},
        "all or none of these fields must be set: 'config.aws_key', 'config.aws_secret'",
    ),
    "secret alone": ({"aws_key": None}, "all or none of these fields must be set"),
    "proxy": ({"proxy_url": "https://proxy.test"}, "proxy_url scheme must be http"),
    "status below": ({"unhandled_status": 99}, "got 99, value should be between 100 and 999"),
    "status above": ({"unhandled_status": 1000}, "got 1000, value should be between 100 and 999"),
    "status that no app can send": ({"unhandled_status": 700}, "got 700, which a WSGI app cannot send"),
    "no function": ({"function_name": None}, "function_name: got None"),
    "function with a query": ({"function_name": "a?b"}, "expected the name or the ARN of a function"),
    "host with a path": ({"host": "a/b"}, "host: got 'a/b', expected a host without a port"),
    "region": ({"aws_region": "a.evil.test/"}, "expected the name of a region"),
    "type": ({"invocation_type": "Later"}, "invocation_type: got 'Later'"),
    "metadata": ({"aws_imds_protocol_version": "v3"}, "aws_imds_protocol_version: got 'v3'"),
    "arrays": ({"empty_arrays_mode": "x"}, "empty_arrays_mode: got 'x'"),
    "no time": ({"timeout": 0}, "timeout: got 0"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        AWSLambda(**{**CONFIG, **config})
    assert message in str(caught.value)
    assert "mock-secret" not in str(caught.value)


def test_secrets_are_not_shown():
    shown = repr(AWSLambda(**CONFIG, proxy_url="http://user:pass@proxy.test").config)
    assert "mock" not in shown
    assert "pass@" not in shown


# -- the call -----------------------------------------------------------------------------------------

QUERY = {"key1": "some_value1", "key2": "some_value2", "key3": "some_value3"}


@pytest.mark.slow
def test_a_get_invokes_the_function_with_the_query(invoke):
    found, asked = invoke(path="/get", query_string=QUERY)
    assert (found.status_code, found.json) == (200, QUERY)
    assert (found.headers["x-amzn-RequestId"], found.headers.get("X-Amz-Function-Error")) == ("foo", None)
    assert (found.headers["Content-Length"], found.headers["Via"]) == (str(len(found.data)), "1.1 plugmw")
    (call,) = asked
    assert (call.method, call.target) == ("POST", PATH)
    assert (call.get("X-Amz-Invocation-Type"), call.get("X-Amz-Log-Type")) == ("RequestResponse", "Tail")
    assert re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=mock-key/\d{8}/us-east-1/lambda/aws4_request, ?"
        r"SignedHeaders=[^,]*host[^,]*, ?Signature=[0-9a-f]{64}",
        str(call.get("Authorization")),
    )
    assert re.fullmatch(r"\d{8}T\d{6}Z", str(call.get("X-Amz-Date")))
    assert is_signed(call)
    assert not is_signed(call, "another")
    assert not is_signed(Asked(call.method, call.target, call.headers, call.body + b" "))


def test_an_arn_with_a_qualifier_is_signed_as_it_is_sent(invoke):
    arn = "arn:aws:lambda:us-east-1:123456789012:function:orders"
    _, asked = invoke(config={"function_name": arn, "qualifier": "live"})
    assert asked[0].target == f"/2015-03-31/functions/{quote(arn, safe='')}/invocations?Qualifier=live"
    assert is_signed(asked[0])


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
def test_other_kinds_of_invocation_keep_their_status(invoke, kind, status):
    found, asked = invoke(says(b"", status=status), {"invocation_type": kind, "log_type": "None"})
    assert (found.status_code, found.data) == (status, b"")
    assert (asked[0].get("X-Amz-Invocation-Type"), asked[0].get("X-Amz-Log-Type")) == (kind, "None")


@pytest.mark.slow
def test_without_keys_the_environment_has_them_with_their_token(invoke, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "env-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = {"aws_key": None, "aws_secret": None, "aws_region": None, "aws_imds_protocol_version": "v2"}
    _, asked = invoke(config=config)
    assert "Credential=env-key/" in str(asked[0].get("Authorization"))
    assert "/eu-west-1/lambda/" in str(asked[0].get("Authorization"))
    assert asked[0].get("X-Amz-Security-Token") == "env-token"
    assert is_signed(asked[0], "env-secret")


ROLE = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><AssumedRoleId>A:kong</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/kong</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>role-key</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>2126-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""


@pytest.mark.slow
@pytest.mark.parametrize("level", [logging.NOTSET, logging.DEBUG])
def test_botocore_tells_what_it_sends_only_if_its_own_logger_is_told_to(invoke, caplog, level):
    library = logging.getLogger("botocore")
    before = library.level
    library.setLevel(level)
    caplog.set_level(logging.DEBUG)
    try:
        invoke(headers={"Authorization": "Bearer of-a-client"}, config={"forward_request_headers": True})
    finally:
        library.setLevel(before)
    assert ("of-a-client" in caplog.text) is (level == logging.DEBUG)


@pytest.mark.slow
def test_a_role_is_assumed_once_and_signs_the_calls():
    roles = stub(lambda asked: Told(200, [("Content-Type", "text/xml")], ROLE))
    with roles as sts, stub(echo) as server:
        plugin = AWSLambda(
            **{**CONFIG, "port": server.port},
            aws_assume_role_arn="arn:aws:iam::123456789012:role/r",
            aws_sts_endpoint_url=f"http://127.0.0.1:{sts.port}",
        )
        client = Client(gateway(plugin, app=never))
        assert [client.get("/").status_code, client.get("/").status_code] == [200, 200]
        plugin.close()
    (asked,) = sts.asked
    assert dict(parse_qsl(asked.body.decode())) == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "RoleSessionName": "kong",
    }
    assert is_signed(asked)
    assert [call.get("X-Amz-Security-Token") for call in server.asked] == ["role-token"] * 2
    assert all(is_signed(call, "role-secret") for call in server.asked)


@pytest.mark.slow
def test_a_proxy_is_used_if_configured_and_never_one_of_the_environment(invoke, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{closed_port()}")
    assert invoke()[0].status_code == 200
    with stub(echo) as proxy:
        config = {"host": "lambda.test", "port": 80, "proxy_url": f"http://127.0.0.1:{proxy.port}"}
        assert invoke(config=config)[0].status_code == 200
    assert proxy.asked[0].get("Host") == "lambda.test"
    assert is_signed(proxy.asked[0])


@pytest.mark.parametrize(
    ("region", "host"), [("eu-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")]
)
def test_the_host_is_that_of_the_region(region, host):
    from plugmw.contrib.aws_lambda.client import client

    made = client(AWSLambda(function_name="f", aws_key="k", aws_secret="s", aws_region=region).config)
    assert made.meta.endpoint_url == f"https://lambda.{region}.{host}"
    made.close()


# -- what the function is told ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_json_body_is_told(invoke):
    found, _ = invoke(method="POST", json={"key1": "some_value_json1"})
    assert (found.status_code, found.json) == (200, {"key1": "some_value_json1"})


@pytest.mark.slow
def test_a_json_list_stays_a_list(invoke):
    _, asked = invoke(method="POST", data=b"[{}, []]", headers=[JSON])
    assert told(asked) == [{}, []]


FORWARD = {f"forward_request_{part}": True for part in ("method", "uri", "headers", "body")}


@pytest.mark.slow
def test_text_is_told_as_text(invoke):
    _, asked = invoke(
        config=FORWARD,
        method="POST",
        path="/post",
        query_string="a=1&b",
        data="some text",
        headers={"Content-Type": "text/plain", "X-Y": "z"},
    )
    made = told(asked)
    assert made.pop("request_headers").items() >= {"x-y": "z", "content-type": "text/plain"}.items()
    assert made == {
        "request_method": "POST",
        "request_uri": "/post?a=1&b",
        "request_uri_args": {"a": "1", "b": True},
        "request_body": "some text",
        "request_body_args": {},
    }


OPAQUE = {
    "binary": ("application/octet-stream", True, "eA=="),
    "text with a charset": ("text/plain; charset=utf-8", True, "eA=="),
    "no type": (None, True, "eA=="),
    "base64 off": ("application/octet-stream", False, "x"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "encode", "body"), OPAQUE.values(), ids=OPAQUE)
def test_other_bodies_are_told_in_base64(invoke, kind, encode, body):
    config = {"forward_request_body": True, "base64_encode_body": encode}
    _, asked = invoke(config=config, method="POST", data=b"x", environ={"CONTENT_TYPE": kind or ""})
    flag = {"request_body_base64": True} if encode else {}
    assert told(asked) == {"request_body": body, "request_body_args": {}, **flag}


@pytest.mark.slow
def test_parsed_bodies_are_told_both_ways(invoke):
    _, asked = invoke(config={"forward_request_body": True}, method="POST", data={"a": "1"})
    assert told(asked) == {"request_body": "a=1", "request_body_args": {"a": "1"}}


@pytest.mark.slow
def test_only_what_is_asked_for_is_told(invoke):
    _, asked = invoke(config={"forward_request_method": True}, method="PUT", data=b"x")
    assert told(asked) == {"request_method": "PUT"}


GATEWAY = "/123/strip/more?boolean&multi-query=first&single-query=hello%20world&multi-query=second"


@pytest.mark.slow
def test_a_request_is_told_as_api_gateway_does(invoke):
    route = {"name": "r", "paths": ["~/(?P<version>\\d+)/strip"]}
    _, asked = invoke(
        config={"awsgateway_compatible": True},
        path=GATEWAY,
        data=b"text",
        headers=[
            ("single-header", "hello world"),
            ("User-Agent", "curl/7.54.0"),
            ("Host", "abc.myhost.test:80"),
        ],
        document={"routes": [route]},
        environ={"REMOTE_ADDR": "127.0.0.1"},
    )
    made = told(asked)
    headers, lines = made.pop("headers"), made.pop("multiValueHeaders")
    assert (headers["single-header"], lines["single-header"]) == ("hello world", ["hello world"])
    assert (headers["user-agent"], lines["user-agent"]) == ("curl/7.54.0", ["curl/7.54.0"])
    context = made.pop("requestContext")
    assert re.fullmatch("[0-9a-f]{32}", context.pop("requestId"))
    assert re.fullmatch(r"\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", context.pop("requestTime"))
    assert context.pop("requestTimeEpoch") >= 1700000000000
    assert context == {
        "path": "/123/strip/more",
        "protocol": "HTTP/1.1",
        "httpMethod": "GET",
        "domainName": "abc.myhost.test",
        "domainPrefix": "abc",
        "identity": {"sourceIp": "127.0.0.1", "userAgent": "curl/7.54.0"},
        "resourcePath": "/123/strip/more",
    }
    assert made == {
        "version": "1.0",
        "httpMethod": "GET",
        "path": "/123/strip/more",
        "resource": "/(?<version>\\d+)/strip",
        "pathParameters": {"version": "123"},
        "isBase64Encoded": True,
        "body": "dGV4dA==",
        "queryStringParameters": {"boolean": True, "multi-query": "first", "single-query": "hello world"},
        "multiValueQueryStringParameters": {
            "boolean": [True],
            "multi-query": ["first", "second"],
            "single-query": ["hello world"],
        },
    }


PLACES = {
    "no route": ({}, "/a/b", "/a/b"),
    "the longest path": ({"routes": [{"name": "r", "paths": ["~/x", "/a", "/a/b"]}]}, "/a/b/c", "/a/b"),
    "a route without paths": ({"routes": [{"name": "r", "methods": ["GET"]}]}, "/a", "/a"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("document", "path", "resource"), PLACES.values(), ids=PLACES)
def test_the_resource_is_the_path_of_the_route(invoke, document, path, resource):
    _, asked = invoke(
        config={"awsgateway_compatible": True, "base64_encode_body": False},
        path=path,
        document=document,
        headers={"Host": "[::1]"},
    )
    made = told(asked)
    assert (made["resource"], made["body"], made["isBase64Encoded"]) == (resource, "", False)
    assert made["requestContext"]["domainName"] == "[::1]"


@pytest.mark.parametrize(
    ("size", "skip", "left"), [(1024, True, 1024), (32768, True, 0), (32768, False, 32768)]
)
def test_a_large_body_is_left_out_and_logged(invoke, caplog, size, skip, left):
    config = {"forward_request_body": True, "skip_large_bodies": skip}
    _, asked = invoke(config=config, method="POST", data="x" * size, headers={"Content-Type": "text/plain"})
    assert told(asked)["request_body"] == "x" * left
    assert ("too large" in caplog.text) == (left == 0)


# -- what the client gets -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_function_that_fails_can_have_a_status(invoke):
    failed = says({"errorMessage": "x"}, ("X-Amz-Function-Error", "Unhandled"))
    assert invoke(failed)[0].status_code == 200
    found, _ = invoke(failed, {"unhandled_status": 412})
    assert (found.status_code, found.json) == (412, {"errorMessage": "x"})
    assert found.headers["X-Amz-Function-Error"] == "Unhandled"
    handled = says({}, ("X-Amz-Function-Error", "Handled"))
    assert invoke(handled, {"unhandled_status": 412})[0].status_code == 200


def test_the_functions_log_does_not_reach_the_client(invoke):
    assert "X-Amz-Log-Result" not in invoke(says({}, ("X-Amz-Log-Result", "c2VjcmV0")))[0].headers


EMPTY = {"statusCode": 200, "testbody": [], "isBase64Encoded": False}


@pytest.mark.slow
def test_empty_arrays_are_objects_unless_told_otherwise(invoke):
    assert re.search(rb'"testbody":\s*\{\}', invoke(says(EMPTY), {"empty_arrays_mode": "legacy"})[0].data)
    assert invoke(says(EMPTY), {"empty_arrays_mode": "correct"})[0].json == EMPTY
    assert invoke(lambda asked: Told(200, [("Content-Type", "text/plain")], b"[]"))[0].data == b"[]"


PROXY = {
    "status, headers and body": (
        {"statusCode": 201, "body": '{"key1":"v"}', "headers": {"X-Custom-Header": "Hello world!"}},
        (201, b'{"key1":"v"}', {"X-Custom-Header": "Hello world!", "Content-Length": "12"}),
    ),
    "status in digits": ({"statusCode": "201", "body": "x"}, (201, b"x", {"x-amzn-RequestId": "foo"})),
    "null for headers": ({"statusCode": 201, "body": "test", "multiValueHeaders": None}, (201, b"test", {})),
    "base64": ({"statusCode": 200, "body": "dGVzdA==", "isBase64Encoded": True}, (200, b"test", {})),
    "own request id": (
        {"statusCode": 200, "headers": {"x-amzn-RequestId": "bar"}},
        (200, b"", {"x-amzn-RequestId": "bar", "Content-Length": "0"}),
    ),
    "framing": (
        {"statusCode": 200, "headers": {"Transfer-Encoding": "chunked", "transfer-encoding": "chunked"}},
        (200, b"", {"Transfer-Encoding": None}),
    ),
    "no content": ({"statusCode": 204, "body": "x"}, (204, b"", {})),
}


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "expected"), PROXY.values(), ids=PROXY)
def test_a_function_may_say_the_whole_answer(invoke, answer, expected):
    found, _ = invoke(says(answer), {"is_proxy_integration": True}, method="POST", path="/post")
    status, body, headers = expected
    assert (found.status_code, found.data) == (status, body)
    assert {name: found.headers.get(name) for name in headers} == headers


def test_headers_with_many_values_are_many_lines(invoke):
    several = {"Access-Control-Allow-Origin": ["site1.com", "site2.com"]}
    answer = {"statusCode": 200, "headers": {"Age": "3600"}, "multiValueHeaders": several}
    found, _ = invoke(says(answer), {"is_proxy_integration": True}, method="POST")
    assert found.headers["Age"] == "3600"
    assert found.headers.getlist("Access-Control-Allow-Origin") == ["site1.com", "site2.com"]


NO_ANSWER = {
    "status out of range": ({"statusCode": 600}, "statusCode validation failed"),
    "body that is no text": ({"statusCode": 201, "body": 1234}, "body must be a string"),
    "flag": (
        {"statusCode": 200, "body": "dGVzdA=", "isBase64Encoded": "abc"},
        "isBase64Encoded must be a boolean",
    ),
    "nothing": (b"", "Expecting value"),
}


@pytest.mark.parametrize(("answer", "why"), NO_ANSWER.values(), ids=NO_ANSWER)
def test_an_answer_that_is_none_is_502(invoke, answer, why):
    found, _ = invoke(says(answer), {"is_proxy_integration": True}, method="POST")
    assert (found.status_code, found.json["message"]) == (502, "Bad Gateway")
    assert found.json["error"].startswith("could not JSON decode Lambda function response: ")
    assert why in found.json["error"]


FAILURES = {
    "an error of lambda": (
        says(
            b'{"Message":"Rate Exceeded. TooManyRequests mock-secret"}',
            ("x-amzn-ErrorType", "TooManyRequestsException"),
            status=429,
        ),
        {},
        {},
        "Lambda answered 429 'TooManyRequestsException'",
    ),
    "silence": (lambda asked: None, {"timeout": 100}, {}, "ReadTimeoutError"),
    "an answer cut short": (lambda asked: Told(200, [], b"abc", 10), {}, {}, "could not be invoked"),
    "too long an answer": (says(b"x" * 99), {}, {"max_response_body": 98}, "longer than 98 bytes"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "config", "document", "why"), FAILURES.values(), ids=FAILURES)
def test_a_call_that_fails_is_500_asked_once_and_its_reason_only_logged(
    invoke, caplog, answer, config, document, why
):
    found, asked = invoke(answer, config, document=document, query_string="a=hidden")
    assert (found.status_code, found.json, len(asked)) == (500, UNEXPECTED, 1)
    assert why in caplog.text
    assert not [word for word in ("hidden", "mock-secret", "mock-key") if word in caplog.text]


@pytest.mark.slow
def test_no_region_no_credentials_and_no_lambda_are_500(invoke, caplog):
    for config in ({"aws_region": None}, {"aws_key": None, "aws_secret": None}, {"port": closed_port()}):
        found, asked = invoke(config=config)
        assert (found.status_code, found.json, asked) == (500, UNEXPECTED, [])
    assert "no region" in caplog.text
    assert "NoCredentialsError" in caplog.text
    assert "EndpointConnectionError" in caplog.text


def test_an_answer_that_does_not_end_in_time_is_500(invoke, monkeypatch):
    from plugmw.contrib.aws_lambda import plugin as aws_lambda

    ticks = iter([0.0, 0.0])

    monkeypatch.setattr(aws_lambda, "time", SimpleNamespace(monotonic=lambda: next(ticks, 99.0)))
    assert invoke()[0].status_code == 500


@pytest.mark.slow
def test_the_log_tells_the_time_of_the_call_apart(invoke, monkeypatch):
    class Watch(Plugin):
        name, priority, needs_timings = "watch", 1, True

        def log(self, x):
            seen.append(entry(x))

    from plugmw.contrib.aws_lambda import plugin as aws_lambda

    seen, ticks = [], iter([0.0, 0.0, 0.0])

    monkeypatch.setattr(aws_lambda, "time", SimpleNamespace(monotonic=lambda: next(ticks, 7.5)))
    invoke(plugins=[Watch()])
    assert (seen[0]["latencies"]["proxy"], seen[0]["latencies"]["kong"], seen[0]["source"]) == (
        7500,
        0,
        "kong",
    )


def test_a_plugin_that_never_started_can_be_closed():
    AWSLambda(**CONFIG).close()
