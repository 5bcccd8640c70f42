"""The error template."""

from __future__ import annotations

import pytest

from plugmw.dialects.tyk.errors import error_answer
from plugmw.kernel.exchange import Exchange

XML = '<?xml version = "1.0" encoding = "UTF-8"?>\n<error>%s</error>\n'
JSON = '{\n    "error": "%s"\n}'


def answer(message="no", compat=False, **environ):
    made = error_answer(Exchange(environ, None), 418, message, compat)
    return made.status, made.body.decode(), dict(made.headers)


def test_the_template_is_json_with_the_generator():
    headers = {"Content-Type": "application/json", "X-Generator": "tyk.io"}
    assert answer() == (418, JSON % "no", headers)


@pytest.mark.parametrize("kind", ["application/xml", "text/xml", "application/soap+xml"])
@pytest.mark.parametrize("compat", [False, True])
def test_requests_of_xml_get_the_xml_template(kind, compat):
    headers = {"Content-Type": kind, "X-Generator": "tyk.io"}
    assert answer(CONTENT_TYPE=f"{kind}; charset=utf-8", compat=compat) == (418, XML % "no", headers)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/xml", "xml"),
        ("text/xml;q=0.5, application/json;q=0.4", "xml"),
        ("*/*", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("", "json"),
    ],
)
def test_without_a_content_type_accept_is_asked_unless_compat(accept, kind):
    assert answer(HTTP_ACCEPT=accept)[2]["Content-Type"] == f"application/{kind}"
    assert answer(HTTP_ACCEPT=accept, compat=True)[2]["Content-Type"] == "application/json"
    assert answer(HTTP_ACCEPT=accept, CONTENT_TYPE="text/plain")[2]["Content-Type"] == "application/json"


def test_texts_are_escaped_for_their_format():
    text = 'a"b\\c\n<d>&é'
    assert answer(text)[1] == JSON % 'a\\"b\\\\c\\n\\u003cd\\u003e\\u0026é'
    assert answer(text, CONTENT_TYPE="text/xml")[1] == XML % "a&quot;b\\c\n&lt;d&gt;&amp;é"
    assert answer("\udc80")[1] == JSON % "?"
