"""Templates: the grammar, where values come from, what is never done."""

from __future__ import annotations

import pytest

from plugmw.kernel.exchange import Exchange
from plugmw.routing.router import Route
from plugmw.wsgi.templates import Unrenderable, finder, parse
from tests.support.wsgi import environ_of

VALUES = {
    ("headers", "host"): "example.org",
    ("headers", "x-empty"): "",
    ("headers", "evil"): "$(headers.host)",
    ("query_params", "q"): "1",
    ("uri_captures", "id"): "7",
    ("uri_captures", 0): "/users/7",
    ("uri_captures", 1): "seven",
    ("shared", "key"): "s",
}


def render(text, values=VALUES):
    return parse(text).render(lambda source, key: values.get((source, key)))


GOOD = {
    "plain": ("abc", "abc"),
    "empty": ("", ""),
    "dot": ("<$(headers.host)>", "<example.org>"),
    "single quotes": ("$(headers['host'])", "example.org"),
    "double quotes": ('$(uri_captures["id"])', "7"),
    "number": ("$(uri_captures[1])", "seven"),
    "whole match": ("$(uri_captures[0])", "/users/7"),
    "blanks": ("$(  query_params.q  )", "1"),
    "several": ("$(query_params.q)-$(shared.key)", "1-s"),
    "missing": ("a$(headers.nothing)b", "ab"),
    "default": ("$(headers.nothing or 'none')", "none"),
    "first that exists": ("$(headers.a or query_params.q or 'z')", "1"),
    "an empty value exists": ("$(headers['x-empty'] or 'z')", ""),
    "text": ("$('$(not.expanded)')", "$(not.expanded)"),
    "text in double quotes": ('$("a\'b")', "a'b"),
    "parenthesis in a text": ("$(headers.a or ')')!", ")!"),
    "or without blanks": ("$(headers['a']or'z')", "z"),
    "hash has no meaning": ("a#b$('#')", "a#b#"),
    "dollar alone": ("$5 (five)", "$5 (five)"),
    "a rendered value is no template": ("$(headers.evil)", "$(headers.host)"),
}


@pytest.mark.parametrize(("text", "made"), GOOD.values(), ids=GOOD)
def test_renders(text, made):
    assert render(text) == made


BAD = {
    "call": "$(ERROR())",
    "arithmetic": "$(query_params.q + 1)",
    "assignment": "$(a = 1)",
    "name alone": "$(headers)",
    "unknown source": "$(os.environ)",
    "attribute": "$(headers.host.__class__)",
    "underscores of python": "$(__import__('os'))",
    "minus in a name": "$(headers.x-name)",
    "number for headers": "$(headers[0])",
    "empty": "$()",
    "empty name": "$(headers[''])",
    "open end": "$(headers.host",
    "open or": "$(headers.host or )",
    "open text": "$('abc)",
    "two values": "$(headers.a headers.b)",
    "second one bad": "$('good') $(bad)",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_refuses(text):
    with pytest.raises(ValueError, match=r"got .*expected headers\.name"):
        parse(text)


def test_refuses_expressions_when_they_are_off():
    assert parse("plain", enabled=False).fixed
    with pytest.raises(ValueError, match="expected plain text as templates are off"):
        parse("$(headers.host)", enabled=False)


def test_says_whether_every_request_gets_the_same():
    assert (parse("a").fixed, parse("a$('b')").fixed) == (True, False)


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "\0", "\ud800"])
def test_refuses_to_render_what_must_not_be_sent_without_showing_it(value):
    with pytest.raises(Unrenderable, match=r"^a value has a line break, NUL or half a character$"):
        render("$(query_params.q)", {("query_params", "q"): value})


# -- where values come from ---------------------------------------------------------------------------


def found(text, route=None, **environ):
    x = type("X", (Exchange,), {"route": route})(environ_of(**environ), print)
    return parse(text).render(finder(x))


SOURCES = {
    "header": ("$(headers.x_tenant)", {"HTTP_X_TENANT": "a"}, "a"),
    "header in its own spelling": ("$(headers['X-Tenant'])", {"HTTP_X_TENANT": "a"}, "a"),
    "header of UTF-8": ("$(headers.x)", {"HTTP_X": "\xc3\xa9"}, "é"),
    "content type that is none": ("$(headers.content_type or 'z')", {"CONTENT_TYPE": ""}, "z"),
    "query": ("$(query_params.q)", {"QUERY_STRING": "q=a%20b&q=c"}, "a b"),
    "query without a value": ("$(query_params.q or 'z')", {"QUERY_STRING": "q"}, ""),
    "no query": ("$(query_params.q or 'z')", {}, "z"),
    "shared text": ("$(shared.k)", {"plugmw.ctx": {"k": "v"}}, "v"),
    "shared number": ("$(shared.k)", {"plugmw.ctx": {"k": 1.5}}, "1.5"),
    "shared truth": ("$(shared.k)", {"plugmw.ctx": {"k": True}}, "true"),
    "shared untruth": ("$(shared.k)", {"plugmw.ctx": {"k": False}}, "false"),
    "shared nothing": ("$(shared.k or 'z')", {"plugmw.ctx": {"k": None}}, "z"),
    "captures of another router": (
        "$(uri_captures.id)/$(uri_captures[1])/$(uri_captures[2] or 'z')",
        {"wsgiorg.routing_args": (("p",), {"id": 5})},
        "5/p/z",
    ),
    "no captures": ("$(uri_captures.id or uri_captures[0] or uri_captures[1] or 'z')", {}, "z"),
}


@pytest.mark.parametrize(("text", "environ", "made"), SOURCES.values(), ids=SOURCES)
def test_finds(text, environ, made):
    assert found(text, **environ) == made


def test_finds_what_the_route_captured():
    route = Route("r", paths=["~/users/(?P<name>[^/]+)/(.+)"])
    text = "$(uri_captures.name) $(uri_captures[1]) $(uri_captures[2]) $(uri_captures[0])"
    assert found(text, route, path="/users/zo\xc3\xab/x/y") == "zoë zoë x/y /users/zoë/x/y"


def test_refuses_shared_values_that_are_no_text():
    with pytest.raises(Unrenderable, match=r"shared\.k is a dict, expected text or a number"):
        found("$(shared.k)", **{"plugmw.ctx": {"k": {"a": 1}}})
