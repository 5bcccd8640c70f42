"""S15: values of a request are put where templates say, and are themselves never read as templates."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.test import Client

import plugmw
from plugmw import ConfigError, Gateway
from plugmw.testing import hello_app
from tests.security.gates import WORKERS
from tests.support import raw
from tests.support.stub import Told, stub

SECRET = "secret-0123456789"
#: What engines of all kinds would evaluate; none has a character that a header may not have.
HOSTILE = [
    "$(headers.authorization)",
    "$($(headers.authorization))",
    "$(headers['authorization'])",
    "$(shared.secret)",
    "$(query_params.x or headers.authorization)",
    "$((headers.x))",
    "$",
    "$(",
    "$()",
    "{0}",
    "{x}",
    "{0.__class__.__init__.__globals__}",
    "{x.__class__.__mro__[1].__subclasses__()}",
    "{x!r:>1000000}",
    "{{7*7}}",
    "{{config}}",
    "{% for x in y %}{% endfor %}",
    "${7*7}",
    "${jndi:ldap://127.0.0.1/a}",
    "#{7*7}",
    "<%= 7*7 %>",
    "%(secret)s",
    "%s%s%s%n",
    "%1000000d",
    "`id`",
    "$(id)",
    "__import__('os')",
    "\\g<0>\\1\\0",
    "{env:HOME}",
    "{vault://env/home}",
    "{secret}",
]
TEMPLATE = "<$(headers.x_a)|$(query_params.q)|$(uri_captures.name)|$(headers['x-none'] or 'none')>"


def rules(*where):
    return {place: [f"X-Made:{TEMPLATE}" if place == "headers" else f"made:{TEMPLATE}"] for place in where}


SERVED = """
    import json
    from plugmw import Gateway

    def app(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode("latin-1")
        names = ("PATH_INFO", "QUERY_STRING", "HTTP_X_MADE", "HTTP_X_BODY")
        told = {{name: environ.get(name) for name in names}}
        sent = json.dumps({{**told, "body": body}}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("X-App", "called")])
        return [sent]

    app = Gateway(app, json.loads({text!r}))
"""


def document():
    made = rules("headers", "querystring", "body")
    path = {"replace": {"uri": "/to/$(uri_captures.name)/$(query_params.q)"}}
    return {
        "store": "memory://",
        "routes": [
            {"name": "made", "paths": ["~/made/(?P<name>[^/]*)"]},
            {"name": "path", "paths": ["~/path/(?P<name>[^/]*)"]},
        ],
        "plugins": [
            {"name": "request-transformer", "route": "made", "config": {"add": made}},
            {"name": "request-transformer", "route": "path", "config": path},
            {"name": "correlation-id", "config": {"header_name": "X-Id", "echo_downstream": True}},
        ],
    }


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    text = SERVED.format(text=json.dumps(document()))
    return gunicorn_for_module(text, worker_class=request.param, args=WORKERS[request.param])


FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.mark.slow
def test_s15_what_a_client_sends_is_no_template(server):
    for hostile in HOSTILE:
        target = f"/made/{quote(hostile, safe='')}?q={quote(hostile, safe='')}"
        lines = (f"X-A: {hostile}", f"Authorization: {SECRET}", "X-Id: {x}", FORM)
        answer = raw.get(server.port, target, *lines, method="POST", body=b"a=" + quote(hostile).encode())
        told = json.loads(answer.body)
        # A slash in a name does not fit the pattern of the route.
        made = f"<{hostile}|{hostile}|{hostile.split('/')[0]}|none>"
        assert told["HTTP_X_MADE"] == made, hostile
        assert f"made={quote(made, safe='')}" in told["QUERY_STRING"].split("&")
        assert f"made={quote(made, safe='')}" in told["body"].split("&")
        assert SECRET.encode() not in answer.body
        assert answer.header("x-id") == "{x}"


#: Bytes that would end a header; a raw one is refused by the server, and this is how they come in.
BREAKS = ["%0d%0aX-Evil:%201", "%0aX-Evil:%201", "%0d", "%00", "a%0d%0a%0d%0a<script>"]


@pytest.mark.slow
@pytest.mark.parametrize("broken", BREAKS)
def test_s15_a_line_break_in_a_result_refuses_the_request(server, broken):
    for target in (
        f"/made/x?q={broken}",
        f"/made/{broken}?q=x",
        f"/path/x?q={broken}",
        f"/path/{broken}?q=x",
    ):
        answer = raw.get(server.port, target, "X-A: 1")
        assert answer.status in (400, 500), target
        assert answer.header("x-app") is None
        assert answer.header("x-evil") is None
        assert b"<script>" not in answer.raw


@pytest.mark.slow
def test_s15_a_path_that_is_made_of_values_stays_one_path(server):
    for value in ("../../admin", "..", "/admin", "x?y=1", "x#y", "//host/", "%2e%2e"):
        answer = raw.get(server.port, f"/path/x?q={quote(value, safe='')}")
        if answer.status == 200:
            told = json.loads(answer.body)
            assert told["PATH_INFO"].startswith("/to/x/")
            assert told["QUERY_STRING"] == f"q={quote(value, safe='')}"
            assert ".." not in told["PATH_INFO"].split("/"), value
        else:
            assert answer.status in (400, 500), value


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


def test_s15_tyks_rewriting_is_left_out_with_a_warning(caplog):
    rewrite = {"path": "x", "method": "GET", "match_pattern": "(.*)", "rewrite_to": "$1"}
    version = {"name": "v", "use_extended_paths": True, "extended_paths": {"url_rewrites": [rewrite]}}
    tyk = {
        "name": "a",
        "api_id": "a",
        "use_keyless": True,
        "proxy": {"listen_path": "/a/"},
        "version_data": {"not_versioned": True, "versions": {"v": version}},
    }
    Gateway.from_tyk(hello_app, tyk)
    assert "extended_paths.url_rewrites: is left out" in caplog.text


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
