"""S15: values of a request are put where templates say, and are themselves never read as templates."""

from __future__ import annotations

import ast
from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.test import Client

import plugmw
from plugmw import ConfigError, Gateway
from plugmw.errors import ConfigErrors
from plugmw.testing import hello_app
from tests.support.stub import Told, stub

SECRET = "secret-0123456789"


# -- what a template may be ------------------------------------------------------------------------------

EXPRESSIONS = [
    "$(7*7)",
    "$(headers.x.__class__)",
    "$(headers['x'].upper())",
    "$(__import__('os').system('id'))",
    "$(x)",
    "$(self.config)",
    "$(headers)",
    "$(headers.x and 1)",
    "$(headers[x])",
    "$(lambda: 1)",
    "$(query_params.__dict__.x)",
    "$(uri_captures[-1])",
    "$(environ.HTTP_X)",
    "$(os.environ)",
    "$(headers.x",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_s15_a_template_that_would_have_to_be_evaluated_is_refused_at_start_up(expression):
    entry = {"name": "request-transformer", "config": {"add": {"headers": [f"X:{expression}"]}}}
    with pytest.raises(ConfigError, match="expected headers"):
        Gateway(hello_app, {"store": "memory://", "plugins": [entry]})


def test_s15_names_of_sources_are_keys_and_no_attributes():
    entry = {"name": "request-transformer", "config": {"add": {"querystring": ["a:<$(shared.__class__)>"]}}}
    app = Gateway(
        lambda e, s: (s("200 OK", []), [e["QUERY_STRING"].encode()])[1],
        {"store": "memory://", "plugins": [entry]},
    )
    assert Client(app).get("/").data == b"a=%3C%3E"


def test_s15_responses_have_texts_and_no_templates():
    config = {"add": {"headers": ["X-Answer:$(headers.x-a)", "X-Other:{0.__class__}"]}}
    entry = {"name": "response-transformer", "config": config}
    answer = Client(Gateway(hello_app, {"store": "memory://", "plugins": [entry]})).get(
        "/", headers={"X-A": "1"}
    )
    assert answer.headers["X-Answer"] == "$(headers.x-a)"
    assert answer.headers["X-Other"] == "{0.__class__}"


@pytest.mark.slow
def test_s15_parameters_of_krakend_are_put_in_once_and_escaped():
    with stub(lambda asked: Told(200, [("Content-Type", "application/json")], b"{}")) as backend:
        krakend = {
            "version": 3,
            "host": [f"http://127.0.0.1:{backend.port}"],
            "endpoints": [
                {"endpoint": "/a/{id}/{other}", "backend": [{"url_pattern": "/b/{id}?x={id}&y={other}"}]}
            ],
        }
        gateway = Gateway.from_krakend(hello_app, krakend)
        client = Client(gateway)
        for spelled in (
            "{other}",
            "{Other}",
            "{{.Other}}",
            "$(other)",
            "a&y=evil",
            "a;b",
            "a b",
            "a+b",
            "{resp0_a}",
        ):
            assert client.get(f"/a/{quote(spelled)}/{SECRET}").status_code == 200
            path, _, query = backend.asked[-1].target.partition("?")
            assert path.startswith("/b/")
            assert SECRET not in path
            assert query == f"x={quote(spelled, safe='')}&y={SECRET}"
        count = len(backend.asked)
        for spelled in ("%252e%252e", "..", ".", "a%3Fb", "a%23b", "%25"):
            assert client.get(f"/a/{spelled}/x").status_code >= 300
        assert len(backend.asked) == count
        gateway.stop()


def test_s15_tyks_rewriting_is_refused_when_the_definition_is_read():
    rewrite = {"path": "x", "method": "GET", "match_pattern": "(.*)", "rewrite_to": "$1"}
    version = {"name": "v", "use_extended_paths": True, "extended_paths": {"url_rewrites": [rewrite]}}
    tyk = {
        "name": "a",
        "api_id": "a",
        "use_keyless": True,
        "proxy": {"listen_path": "/a/"},
        "version_data": {"not_versioned": True, "versions": {"v": version}},
    }
    with pytest.raises(ConfigErrors, match=r"extended_paths\.url_rewrites: has no counterpart"):
        Gateway.from_tyk(hello_app, tyk)


@pytest.mark.slow
def test_s15_no_text_is_formatted_by_what_may_be_a_clients():
    """``str.format`` walks attributes: it is only ever called on a constant."""
    found = []
    sources = [
        (path, path.read_text(encoding="utf-8")) for path in Path(plugmw.__file__).parent.rglob("*.py")
    ]
    for path, text in sources:
        for node in ast.walk(ast.parse(text if ".format" in text else "")):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            on = node.func.value
            constant = isinstance(on, ast.Constant) or (isinstance(on, ast.Name) and on.id.isupper())
            if node.func.attr == "format_map" or (node.func.attr == "format" and not constant):
                found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert not found
