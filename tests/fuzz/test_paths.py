"""Paths, queries and their readings: what every plugin and every route sees of a target."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from plugmw import Gateway
from plugmw.dialects.kong.pdk.request import normalised_path
from plugmw.wsgi import request_target
from plugmw.wsgi.forms import pair_values, read_pairs, without_pair, write_pairs
from plugmw.wsgi.paths import TOO_MANY, full_path, interpretations, is_plain, normalise
from plugmw.wsgi.redaction import REDACTED, Redaction
from tests.fuzz.asking import ask, seen
from tests.fuzz.budget import tried
from tests.fuzz.strategies import headers
from tests.support.wsgi import environ_of

WORDS = (
    "/admin",
    "admin",
    "/",
    "//",
    "/.",
    "/..",
    "%2e",
    "%2f",
    "%5c",
    ";a=b",
    "\\",
    "%25",
    "%252e",
    "shop",
    "~",
)
PATHS = headers("/admin/users/7", "/shop/a/../b", "//shop//;x/%61", "/users/7/", "/", "*", words=WORDS)
QUERIES = headers(
    "a=1&b=2&b=&c&%61=x", "token=s;a=b", "a[]=1&a[0]=2", words=("=", "&", "&&", ";", "+", "%26", "%3d")
)


@pytest.fixture(scope="module")
def routed():
    document = {
        "routes": [
            {"name": "admin", "paths": ["/admin"]},
            {"name": "user", "paths": ["~/users/(?P<id>[^/]+)$"], "strip_path": True},
            {"name": "shop", "paths": ["/shop"], "strip_path": True},
        ],
        "plugins": [
            {"name": "request-termination", "route": "admin", "config": {"status_code": 403}},
            {
                "name": "request-transformer",
                "config": {"add": {"querystring": ["id:$(uri_captures.id or uri_captures[0])"]}},
            },
        ],
        "unrouted": "pass",
    }
    gateway = Gateway(seen, document)
    yield gateway
    gateway.stop()


@given(PATHS)
def test_a_path_has_one_normal_form(path):
    normal = tried(normalise, path)
    assert normal == normalise(normal)
    assert normal.startswith("/")
    assert not {"", ".", ".."}.intersection(normal[1:].rstrip("/").split("/")) or normal == "/"
    assert not is_plain(path) or normal == path


@given(PATHS)
def test_a_path_has_all_its_readings(path):
    found = tried(interpretations, path)
    assert path in found
    assert len(found) <= TOO_MANY + 5
    if len(found) < TOO_MANY:
        assert {normalise(one) for one in found} <= found


@given(PATHS, PATHS)
def test_a_mounted_path_is_the_whole_path(script, info):
    path = tried(full_path, {"SCRIPT_NAME": script, "PATH_INFO": info})
    assert path.startswith("/")


@given(PATHS)
def test_kongs_form_of_a_path_has_no_dots(path):
    # Decoded once, as in Kong: what is decoded from it may be an escape again.
    normal = tried(normalised_path, path)
    assert normalise(normal) == normal


@given(PATHS, QUERIES)
def test_a_target_is_told_and_replaced(path, query):
    environ = environ_of(path, QUERY_STRING=query, RAW_URI=f"{path}?{query}")
    assert isinstance(tried(request_target.sent, environ), str)


def lenient(environ, start_response):
    """Be an app that takes a path for what it may mean, and guards nothing."""
    path = unquote(environ["PATH_INFO"], "latin-1")
    path = re.sub(
        ";[^/]*", "", "".join(sign for sign in path if sign > " " and sign != "\x7f").replace("\\", "/")
    )
    path = posixpath.normpath("/" + path.lstrip("/"))
    is_secret = path == "/admin" or path.startswith("/admin/")
    return Response("secret" if is_secret else "open")(environ, start_response)


@pytest.fixture(scope="module")
def guarding():
    document = {
        "routes": [{"name": "admin", "paths": ["/admin"]}],
        "plugins": [{"name": "request-termination", "route": "admin", "config": {"status_code": 403}}],
        "unrouted": "pass",
    }
    gateway = Gateway(lenient, document)
    yield gateway
    gateway.stop()


def spelled(before, place, escape, after):
    word = "admin"
    return before + word[:place] + escape.format(ord(word[place]), word[place]) + word[place + 1 :] + after


SPELLED = st.builds(
    spelled,
    st.lists(st.sampled_from(["/", "//", "/./", "/x/../", "\\", "%2f", "/;a/", "%5c", " /"]), min_size=1).map(
        "".join
    ),
    st.integers(0, 4),
    st.sampled_from(["{1}", "%{0:02x}", "%25{0:02x}", "{1}\t"]),
    st.sampled_from(["", "/", "/users", ";x", ";x/y", "\\z", "%2fz", "/.", "/x/..", " ", "%20"]),
)


@given(st.one_of(PATHS, SPELLED))
def test_no_spelling_of_a_guarded_path_reaches_the_app(guarding, path):
    assert ask(guarding, PATH_INFO=path).body != b"secret"


@given(PATHS, QUERIES)
def test_any_target_has_an_answer(routed, path, query):
    ask(routed, PATH_INFO=path, QUERY_STRING=query)
    ask(routed, PATH_INFO=path, QUERY_STRING=query, RAW_URI=f"{path}?{query}")


# -- queries -----------------------------------------------------------------------------------------------


@given(QUERIES)
def test_a_query_goes_there_and_back(query):
    pairs = tried(read_pairs, query)
    written = tried(write_pairs, pairs)
    assert read_pairs(written) == pairs
    assert written.isascii()


@given(QUERIES)
def test_what_is_removed_from_a_query_is_not_in_it_any_more(query):
    for name in {name for name, _ in read_pairs(query)} | {"a"}:
        assert not pair_values(tried(without_pair, query, name), name)
        others = [pair for pair in read_pairs(query) if pair[0] != name]
        assert read_pairs(without_pair(query, name)) == others


@given(QUERIES)
def test_a_secret_in_a_query_stays_out_of_the_log(query):
    hide = Redaction.of(query=["token", "a"])
    logged = tried(hide.target, f"/?{query}")
    for name, value in read_pairs(logged.partition("?")[2]):
        assert name.lower() not in ("token", "a") or value in (None, REDACTED)
