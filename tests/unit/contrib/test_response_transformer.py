"""response-transformer: configuration, what is changed and what is not, and through apps of all kinds."""

from __future__ import annotations

import io
import json
import logging
from wsgiref.util import FileWrapper

import pytest
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.test import Client, create_environ

from plugmw import ConfigError, Plugin
from plugmw.contrib.response_transformer import ResponseTransformer
from plugmw.testing import gateway, get

ADD = {"add": {"json": ["p1:v1"]}}
JSON = "application/json"


def serving(body=b'{"p2":"v1"}', status="200 OK", kind=JSON, **headers):
    """Return an app that answers this; a list as body is sent chunk by chunk without a length."""
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]

    def app(environ, start_response):
        items = [("Content-Type", kind), *named] if kind else list(named)
        if isinstance(body, bytes):
            items.append(("Content-Length", str(len(body))))
        start_response(status, items)
        return [body] if isinstance(body, bytes) else iter(body)

    return app


def transformed(config, **app):
    return get(ResponseTransformer(**config), app=serving(**app))


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "add without a colon": (
        {"add": {"headers": ["just_a_key"]}},
        "add.headers[0]: invalid value: just_a_key",
    ),
    "json without a colon": ({"append": {"json": ["a:1", "b"]}}, "append.json[1]: invalid value: b"),
    "rename without a colon": ({"rename": {"headers": ["a"]}}, "rename.headers[0]: invalid value: a"),
    "rename of json without a colon": ({"rename": {"json": ["a"]}}, "rename.json[0]: invalid value: a"),
    "remove of a bad name": (
        {"remove": {"headers": ["a b"]}},
        "remove.headers[0]: 'a b' is not a valid header",
    ),
    "rename to a bad name": (
        {"rename": {"headers": ["a:b c"]}},
        "rename.headers[0]: 'b c' is not a valid header",
    ),
    "replace of a bad name": (
        {"replace": {"headers": ["ä:b"]}},
        "replace.headers[0]: 'ä' is not a valid header",
    ),
    "line break": (
        {"add": {"headers": ["a:b\nc"]}},
        "add.headers[0]: the value of 'a' has a control character",
    ),
    "hop-by-hop": (
        {"append": {"headers": ["Connection:close"]}},
        "append.headers[0]: 'Connection' is not for",
    ),
    "null list": ({"add": {"headers": None}}, "add.headers: got None, expected a list of strings"),
    "null record": ({"remove": None}, "remove: got None, expected a mapping"),
    "empty entry": ({"remove": {"json": [""]}}, "remove.json[0]: got ''"),
    "unknown type": (
        {"add": {"json_types": ["object"]}},
        "add.json_types[0]: got 'object', expected one of boolean",
    ),
    "types of headers": ({"remove": {"json_types": []}}, 'remove.json_types: unknown field "json_types"'),
    "no room": ({"max_body": 0}, "max_body: got 0, expected a number of at least 1"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        ResponseTransformer(**config)
    assert message in str(caught.value)


def test_without_rules_nothing_is_done():
    answer = transformed({})
    assert (answer.data, answer.headers["Content-Length"]) == (b'{"p2":"v1"}', "11")


# -- headers ------------------------------------------------------------------------------------------


def test_all_header_operations_at_once():
    config = {
        "remove": {"headers": ["h1:v1"]},
        "replace": {"headers": ["h2:v3"]},
        "add": {"headers": ["h3:v3"], "json": ["p1:v1"]},
        "append": {"headers": ["h3:v4"]},
    }
    answer = transformed(config, body=b"x", kind="text/plain", h1="v1", h2="v2")
    assert (answer.headers.get("h1"), answer.headers["h2"]) == (None, "v3")
    assert (answer.headers.getlist("h3"), answer.data) == (["v3", "v4"], b"x")


def test_cookies_are_never_joined():
    def app(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "0")])
        return []

    answer = get(ResponseTransformer(append={"headers": ["Set-Cookie:c=3"]}), app=app)
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2", "c=3"]


def test_status_is_never_changed():
    assert transformed({**ADD, "add": {"headers": ["a:b"]}}, status="418 Teapot").status == "418 Teapot"


class Refuse(Plugin):
    name, priority = "refuse", 1000

    def access(self, x):
        x.fail(401)


class Break(Plugin):
    name, priority = "break", 1000

    def access(self, x):
        raise KeyError("broken")


@pytest.mark.parametrize(("other", "status"), [(Refuse(), 401), (Break(), 500)], ids=["refused", "broken"])
def test_answers_of_other_plugins_are_changed_too(other, status):
    config = {"remove": {"json": ["request_id"]}, "add": {"json": ["p1:v1"], "headers": ["h1:v1"]}}
    answer = get([other, ResponseTransformer(**config)])
    assert (answer.status_code, answer.headers["h1"]) == (status, "v1")
    assert sorted(answer.json) == ["message", "p1"]
    assert answer.headers["Content-Length"] == str(len(answer.data))


# -- which bodies -------------------------------------------------------------------------------------

CHANGED = {
    "plain": JSON,
    "charset": "application/json; charset=utf-8",
    "suffix": "application/problem+json",
    "one of a list": "application/x-www-form-urlencoded, application/json",
}


@pytest.mark.parametrize("kind", CHANGED.values(), ids=CHANGED)
def test_json_is_changed(kind):
    answer = transformed(ADD, kind=kind)
    assert json.loads(answer.data) == {"p1": "v1", "p2": "v1"}
    assert answer.headers["Content-Length"] == str(len(answer.data))


ODD = b'{ "p2" : "v1" ,"p2":1.0}'
UNCHANGED = {
    "form": {"kind": "application/x-www-form-urlencoded"},
    "text/json": {"kind": "text/json"},
    "no type": {"kind": None},
    "compressed": {"Content_Encoding": "gzip"},
    "part": {"status": "206 Partial Content"},
}


@pytest.mark.parametrize("app", UNCHANGED.values(), ids=UNCHANGED)
def test_other_bodies_stay_byte_for_byte(app):
    answer = transformed(ADD, body=ODD, ETag='"1"', **app)
    assert (answer.data, answer.headers["Content-Length"], answer.headers["ETag"]) == (ODD, "24", '"1"')


def test_header_rules_alone_change_no_byte_of_json():
    answer = transformed({"add": {"headers": ["a:b"]}}, body=ODD, ETag='"1"')
    assert (answer.data, answer.headers["Content-Length"], answer.headers["ETag"]) == (ODD, "24", '"1"')


def test_there_is_no_body_filter_without_rules_for_bodies():
    plugins = [ResponseTransformer(**config) for config in ({"add": {"headers": ["a:b"]}}, ADD)]
    gateway(plugins[0])
    gateway(plugins[1])
    assert [hasattr(plugin, "body_filter") for plugin in plugins] == [False, True]


def test_identity_is_no_compression():
    assert transformed(ADD, Content_Encoding="Identity").json == {"p1": "v1", "p2": "v1"}


PASSED = {
    "no JSON": (b"{", True),
    "NaN": (b'{"a": NaN}', True),
    "not UTF-8": (b'{"a": "\xe4"}', True),
    "beyond floats": (b'{"a": 1e999}', True),
    "list": (b"[1, 2]", False),
    "text": (b' "a"', False),
    "number": (b" 1", False),
    "null": (b"null ", False),
    "empty": (b"", False),
}


@pytest.mark.parametrize(("body", "logged"), PASSED.values(), ids=PASSED)
def test_what_is_no_json_object_is_passed_on_unchanged(body, logged, caplog):
    with caplog.at_level(logging.WARNING):
        answer = transformed(ADD, body=body, ETag='"1"')
    assert (answer.data, answer.headers["Content-Length"]) == (body, str(len(body)))
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"')
    assert bool(caplog.records) is logged


def test_rules_that_find_nothing_leave_the_body_as_it_is():
    answer = transformed({"remove": {"json": ["z"]}}, body=ODD, ETag='"1"')
    assert (answer.data, answer.headers["ETag"]) == (ODD, '"1"')


# -- JSON operations ----------------------------------------------------------------------------------


def test_empty_lists_and_objects_stay_what_they_are():
    answer = transformed(ADD, body=b'{"p2":"v1","a":[],"o":{}}')
    assert answer.data == b'{"p2":"v1","a":[],"o":{},"p1":"v1"}'


def test_an_emptied_object_is_an_object():
    assert transformed({"remove": {"json": ["p2"]}}).data == b"{}"


def test_append_with_types():
    append = {
        "json": ["p1:v1", 'p3:"v1"', "p4:-1", "p5:false", "p6:true", "p7:x"],
        "json_types": ["string", "string", "number", "boolean", "boolean", "number"],
    }
    answer = transformed({"append": append}, body=b'{"p1":"v2","p4":"v2"}')
    assert answer.json == {"p1": ["v2", "v1"], "p3": ['"v1"'], "p4": ["v2", -1], "p5": [False], "p6": [True]}


def test_json_operations_go_in_order():
    config = {
        "remove": {"json": ["a:ignored"]},
        "rename": {"json": ["b:a"]},
        "replace": {"json": ["a:/x/y"]},
        "add": {"json": ["b:1"], "json_types": ["number"]},
        "append": {"json": ["b:2"]},
    }
    assert transformed(config, body=b'{"a":1,"b":2}').data == b'{"a":"/x/y","b":["2"]}'


def test_headers_about_the_old_bytes_go_with_them():
    answer = transformed(ADD, ETag='"1"', Content_MD5="x", Accept_Ranges="bytes", Last_Modified="y")
    assert not {"ETag", "Content-MD5", "Accept-Ranges"} & set(answer.headers.keys())
    assert answer.headers["Last-Modified"] == "y"


# -- through apps of all kinds ------------------------------------------------------------------------


def in_chunks(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.slow
def test_large_bodies_are_changed_as_a_whole():
    data = json.dumps({"p2": "ä" * 1_000_000}).encode()
    answer = transformed(ADD, body=in_chunks(data, 4096))
    assert answer.json == {"p1": "v1", "p2": "ä" * 1_000_000}
    assert answer.headers["Content-Length"] == str(len(answer.data))


def test_other_streams_stay_streams():
    given = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        for n in range(3):
            given.append(n)
            yield b"%d" % n

    stream = gateway(ResponseTransformer(**ADD), app=app)(create_environ(), lambda *a: None)
    chunks = iter(stream)
    assert (next(chunks), given) == (b"0", [0])
    stream.close()


def test_a_file_stays_a_file():
    file = FileWrapper(io.BytesIO(b"x"))

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return file

    config = {**ADD, "append": {"headers": ["a:b"]}}
    assert gateway(ResponseTransformer(**config), app=app)(create_environ(), lambda *a: None) is file


def test_a_file_of_json_is_changed():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", JSON)])
        return FileWrapper(io.BytesIO(b'{"a":1}'), 2)

    assert get(ResponseTransformer(**ADD), app=app).json == {"a": 1, "p1": "v1"}


def test_what_an_app_writes_is_body():
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", JSON), ("ETag", '"1"')])
        write(b'{"a"')
        return [b":1}"]

    answer = get(ResponseTransformer(**ADD), app=app)
    assert (answer.json, answer.headers.get("ETag")) == ({"a": 1, "p1": "v1"}, None)


def test_an_app_that_starts_late_is_changed():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", JSON)])
        yield b'{"a":1}'

    assert get(ResponseTransformer(**ADD), app=app).json == {"a": 1, "p1": "v1"}


def test_an_app_that_starts_again_has_only_its_second_body_changed():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", JSON)])
        yield b'{"a"'
        try:
            raise KeyError
        except KeyError:
            import sys

            start_response("500 Oh", [("Content-Type", JSON)], sys.exc_info())
        yield b'{"b":1}'

    started = []
    stream = gateway(ResponseTransformer(**ADD), app=app)(create_environ(), lambda *a: started.append(a))
    body = b"".join(stream)
    stream.close()
    assert (started[-1][0], json.loads(body)) == ("500 Oh", {"b": 1, "p1": "v1"})


def test_the_app_is_closed_once():
    closed = []

    class Body(list):
        def close(self):
            closed.append(1)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", JSON)])
        return Body([b"{}"])

    assert get(ResponseTransformer(**ADD), app=app).data == b'{"p1":"v1"}'
    assert closed == [1]


BODYLESS = {
    "HEAD": ("HEAD", "200 OK", None, None),
    "HEAD of something else": ("HEAD", "206 Partial Content", "7", '"1"'),
    "304": ("GET", "304 Not Modified", None, '"1"'),
    "204": ("GET", "204 No Content", None, '"1"'),
}


@pytest.mark.parametrize(("method", "status", "length", "etag"), BODYLESS.values(), ids=BODYLESS)
def test_answers_without_a_body_have_their_headers_changed(method, status, length, etag):
    def app(environ, start_response):
        items = [("Content-Type", JSON), ("ETag", '"1"')]
        start_response(status, [*items, ("Content-Length", "7")] if method == "HEAD" else items)
        return []

    answer = get(ResponseTransformer(add={"json": ["a:b"], "headers": ["h:v"]}), app=app, method=method)
    assert (answer.data, answer.headers["h"]) == (b"", "v")
    assert (answer.headers.get("Content-Length"), answer.headers.get("ETag")) == (length, etag)


LARGE = b'{"a":"%s"}' % (b"x" * 100)


@pytest.mark.parametrize("body", [LARGE, in_chunks(LARGE, 20)], ids=["with a length", "in chunks"])
def test_larger_bodies_are_passed_on_unchanged_and_logged(body, caplog):
    with caplog.at_level(logging.WARNING):
        answer = transformed({**ADD, "max_body": 99}, body=body, ETag='"1"')
    assert (answer.data, answer.headers["ETag"]) == (LARGE, '"1"')
    assert answer.headers.get("Content-Length") == ("108" if isinstance(body, bytes) else None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "larger than max_body, 99 bytes" in caplog.text


@pytest.mark.parametrize("body", [LARGE, in_chunks(LARGE, 20)], ids=["with a length", "in chunks"])
def test_larger_bodies_are_an_error_if_so_configured(body):
    answer = transformed({**ADD, "max_body": 99, "oversize": "fail"}, body=body)
    assert answer.status_code == 500
    assert answer.json["message"] == "An unexpected error occurred"


def test_the_gateway_says_how_large_a_body_may_be():
    config = {"max_response_body": 99}
    answer = get(ResponseTransformer(**ADD), config, app=serving(body=LARGE))
    assert answer.data == LARGE


def test_is_good_wsgi_on_both_sides():
    app = LintMiddleware(serving(body=[b'{"a"', b":1}"]))
    client = Client(LintMiddleware(gateway(ResponseTransformer(**ADD), app=app)))
    with client.get("/") as answer:
        assert answer.json == {"a": 1, "p1": "v1"}
