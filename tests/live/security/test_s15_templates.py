"""S15: values of a request are put where templates say, and are themselves never read as templates."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.security.gates import WORKERS
from tests.security.test_s15_templates import SECRET
from tests.support import raw

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
