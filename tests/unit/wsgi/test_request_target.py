"""target: the request target as it was sent."""

from __future__ import annotations

import pytest

from plugmw.dialects.kong.pdk.service import ServiceRequest
from plugmw.kernel.context import running
from plugmw.testing import gateway
from plugmw.wsgi.forms import replace_query
from plugmw.wsgi.request_target import keep, sent
from tests.support.plugins import made
from tests.support.wsgi import environ_of, serve

SENT = {
    "raw target of gunicorn": ({"RAW_URI": "/a%2Fb/?q=%41"}, "/a%2Fb/?q=%41"),
    "raw target of others": ({"REQUEST_URI": "/a%2Fb"}, "/a%2Fb"),
    "both": ({"RAW_URI": "/a", "REQUEST_URI": "/b"}, "/a"),
    "absolute form": ({"RAW_URI": "http://h:80/a?b=c://d"}, "/a?b=c://d"),
    "absolute form without path": ({"RAW_URI": "http://h"}, "/"),
    "absolute form with a query only": ({"RAW_URI": "http://h?a=/b"}, "/?a=/b"),
    "a URL in the query": ({"RAW_URI": "/a?b=http://c/d"}, "/a?b=http://c/d"),
    "asterisk form": ({"RAW_URI": "*"}, "*"),
    "put together": (
        {"SCRIPT_NAME": "/m", "PATH_INFO": "/a b/\xc3\xa9:@", "QUERY_STRING": "q=%41"},
        "/m/a%20b/%C3%A9:@?q=%41",
    ),
    "raw target of a test client": ({"RAW_URI": "/a", "QUERY_STRING": "b"}, "/a?b"),
    "put together without query": ({"RAW_URI": "", "PATH_INFO": "/a"}, "/a"),
}


@pytest.mark.parametrize(("environ", "target"), SENT.values(), ids=SENT)
def test_is_what_was_sent(environ, target):
    assert sent(environ) == target


def test_stays_what_was_sent_when_the_query_is_replaced():
    environ = {"PATH_INFO": "/a", "QUERY_STRING": "key=1&b=2", "RAW_URI": "/a?key=1&b=2"}
    replace_query(environ, "b=2")
    replace_query(environ, "")
    assert (environ["RAW_URI"], sent(environ)) == ("/a", "/a?key=1&b=2")


def test_stays_what_was_sent_where_the_server_does_not_tell():
    environ = {"PATH_INFO": "/a", "QUERY_STRING": "key=1"}
    replace_query(environ, "")
    assert sent(environ) == "/a?key=1"


CHANGES = {
    "path": lambda request: request.set_path("/b"),
    "query": lambda request: request.set_raw_query("c=1"),
    "argument": lambda request: request.clear_query_arg("key"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("raw", [{"RAW_URI": "/a?key=1"}, {}], ids=["told", "not told"])
def test_stays_what_was_sent_when_a_kong_plugin_changes_it(change, raw):
    saw = []

    def access(x):
        running(x, None, change, ServiceRequest())
        saw.append(sent(x.environ))

    environ = environ_of("/a", QUERY_STRING="key=1", **raw)
    serve(gateway(made("changing", access=access)), environ)
    assert (saw, environ["PATH_INFO"] + environ["QUERY_STRING"] != "/akey=1") == (["/a?key=1"], True)


def test_what_is_kept_is_in_no_dump_of_the_environ():
    environ = {"RAW_URI": "/a?key=correct-horse"}
    keep(environ)
    del environ["RAW_URI"]
    assert "correct-horse" not in repr(environ)
