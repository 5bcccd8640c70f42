"""Bodies of requests: forms of every type, and what plugins make of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmw import Gateway
from plugmw.contrib.galileo.log_format import Copy
from plugmw.dialects.tyk.python.id_extractor import Missing, extractor
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Runtime
from plugmw.transform import rules
from plugmw.wsgi import forms
from tests.fuzz.asking import ask, seen
from tests.fuzz.budget import REFUSED, tried
from tests.fuzz.strategies import blobs, headers, texts, trees
from tests.support.wsgi import environ_of

JSON_BODY = {"a": "b", "c": [1, {"d": None}], "e": {"f": 1.5}, "secret": "s"}
FORM_BODY = b"a=b&c=1&c=2&secret=s&e%20f=%C3%A9"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    b'--b\r\nContent-Disposition: form-data; name="secret"; filename="f"\r\n'
    b"Content-Type: text/plain\r\n\r\ns\r\n--b--\r\n"
)
TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    'multipart/form-data; boundary="b"',
    "text/plain",
)
CONTENT = st.one_of(
    trees(JSON_BODY).map(lambda tree: json.dumps(tree).encode()),
    texts(json.dumps(JSON_BODY), words=("NaN", "1e999", "[" * 900, '{"a":' * 900, '"a":1,', "\\ud800")).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
    blobs(FORM_BODY, parts=(b"&", b"=", b"%", b"secret=", b"a[b]=c", b";")),
    blobs(
        PARTS,
        parts=(
            b"--b",
            b"--b--",
            b"\r\n",
            b"\n",
            b"\r",
            b'name="secret"',
            b"name*=utf-8''a%00",
            b"\r\n " * 50,
        ),
    ),
)
KINDS = st.one_of(
    st.sampled_from(TYPES),
    headers(*TYPES, words=("boundary", "charset=utf-16", "boundary*=utf-8''b", "+json")),
)


@given(KINDS, CONTENT)
def test_what_is_removed_from_a_body_is_not_in_it_any_more(kind, data):
    for name in ("secret", "a", ""):
        left = tried(forms.body_without, kind, data, name)
        assert isinstance(left, bytes)
        assert not tried(forms.body_values, kind, left, name)


@given(blobs(PARTS, parts=(b"--b", b"--b--", b"\r\n", b"\n", b"--b \t\r\n")))
def test_parts_go_there_and_back(data):
    found = tried(forms.read_parts, data, b"b", refuses=ValueError)
    if found is not REFUSED:
        written = tried(forms.write_parts, found, b"b")
        assert [part.name for part in forms.read_parts(written, b"b")] == [part.name for part in found]


@given(KINDS)
def test_a_content_type_has_one_media_type(value):
    kind, boundary = tried(forms.media_type, value)
    assert kind == kind.lower()
    assert isinstance(boundary, bytes)
    tried(rules.is_json, value)


CHANGE = {"querystring": ["q:$(headers.x_b)"], "body": ["n:$(headers.x_b)", "a:2"]}
NAMES = {"headers": ["x-b"], "querystring": ["a"], "body": ["secret"]}


@pytest.fixture(scope="module")
def changing():
    config = {
        "remove": NAMES,
        "rename": {"body": ["c:d"]},
        "replace": CHANGE,
        "add": CHANGE,
        "append": CHANGE,
    }
    document = {
        "max_request_body": 8000,
        "plugins": [
            {"name": "request-transformer", "config": config},
            {
                "name": "request-size-limiting",
                "config": {"allowed_payload_size": 7, "size_unit": "kilobytes"},
            },
            {
                "name": "key-auth",
                "config": {"key_in_body": True, "anonymous": "nobody", "hide_credentials": True},
            },
        ],
        "consumers": [{"username": "nobody"}],
    }
    gateway = Gateway(seen, document)
    yield gateway
    gateway.stop()


@given(KINDS, CONTENT, headers("a=1&b", "a=%0d%0a&q=1"), headers("v", "$(headers.host)"))
def test_any_body_is_changed_or_refused(changing, kind, data, query, value):
    ask(changing, data, REQUEST_METHOD="POST", CONTENT_TYPE=kind, QUERY_STRING=query, HTTP_X_B=value)


def echo(environ, start_response):
    """Answer with the body that was sent, as the type that the client names."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", environ.get("HTTP_X_TYPE") or "text/plain")])
    return [body[:50], body[50:]]


@pytest.fixture(scope="module")
def answering():
    change = {"json": ["a:$(x)", "n.b:2"], "headers": ["x-a:1"]}
    config = {
        "remove": {"json": ["secret"]},
        "rename": {"headers": ["x-a:x-c"]},
        "replace": change,
        "add": change,
    }
    gateway = Gateway(
        echo, {"plugins": [{"name": "response-transformer", "config": {**config, "append": change}}]}
    )
    yield gateway
    gateway.stop()


@given(st.sampled_from(TYPES), CONTENT)
def test_any_answer_is_changed_or_left_alone(answering, kind, data):
    ask(answering, data, REQUEST_METHOD="POST", HTTP_X_TYPE=kind)


EXTRACTORS = tuple(
    {"extract_from": "body", "extract_with": way, "extractor_config": options}
    for way, options in (
        ("xpath", {"xpath_expression": "/user/@id"}),
        ("xpath", {"xpath_expression": "/user/name"}),
        ("regex", {"regex_expression": "[a-z]=([^;&]*)", "regex_match_index": 1}),
    )
)


@given(
    texts(
        '<u:user id="7"><name>A</name></u:user>',
        "a=b&c=d;e",
        words=("<", ">", "&lt;", "<!DOCTYPE a>", "&a;", "<a>"),
    ),
    st.sampled_from(EXTRACTORS),
)
def test_a_session_is_found_in_a_body_or_missing(text, config):
    body = text.encode("utf-8", "surrogatepass")
    x = type("X", (Exchange,), {"runtime": Runtime()})(environ_of(CONTENT_LENGTH=str(len(body))), None)
    x.read_body = lambda: body
    found = tried(extractor(config), x, refuses=Missing)
    assert found is REFUSED or isinstance(found, str)


@given(st.lists(CONTENT, max_size=3))
def test_a_copy_of_a_body_is_bounded(chunks):
    copy = Copy()
    for chunk in chunks:
        tried(copy.add, chunk)
