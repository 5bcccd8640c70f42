"""Values of request headers, by themselves and through every plugin that looks at some."""

from __future__ import annotations

import re
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmw import Gateway
from plugmw.contrib import cors
from plugmw.dialects.kong import kong
from plugmw.telemetry.propagation import ALL, Span, extract, inject
from plugmw.wsgi import answer
from plugmw.wsgi.proxies import Trusted, parse_address
from tests.fuzz.asking import ask, seen
from tests.fuzz.budget import tried
from tests.fuzz.strategies import headers
from tests.support.kong import plugin

T, S, P = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
ADDRESSES = (
    "10.0.0.1",
    "::1",
    "[::1]:80",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "10.0.0.1:99",
    "unknown",
    "_x",
    "1.2.3.256",
)

# -- addresses ---------------------------------------------------------------------------------------------

FORWARDED = headers(*ADDRESSES, "192.0.2.1, 10.0.0.1,127.0.0.1", words=(*ADDRESSES, ",", ", "))


@given(FORWARDED)
def test_an_address_is_one_or_none(text):
    found = tried(parse_address, text)
    assert found is None or ip_address(str(found)) == found


@given(FORWARDED, FORWARDED, st.sampled_from([{}, {"hops": 2}, {"recursive": False}]))
def test_the_client_is_an_address_or_nobody(forwarded, peer, options):
    peers = () if "hops" in options else ("127.0.0.0/8", "unix:")
    trusted = Trusted(peers, **options)
    for remote in ("127.0.0.1", "", peer):
        found = tried(trusted.client, {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded})
        assert found is None or ip_address(str(found)) == found
        if not trusted.trusts({"REMOTE_ADDR": remote}):
            assert found == parse_address(remote)


# -- traces ------------------------------------------------------------------------------------------------

TRACES = {
    "x-b3-traceid": (T, S),
    "x-b3-spanid": (S,),
    "x-b3-parentspanid": (P,),
    "x-b3-sampled": ("1", "0", "true"),
    "x-b3-flags": ("1",),
    "b3": (f"{T}-{S}-1-{P}", f"{S}-{S}-d", "0"),
    "tracestate": (f"a=b,b3={T}-{S}-1",),
    "traceparent": (f"00-{T}-{S}-01",),
    "uber-trace-id": (f"{T}:{S}:{P}:01", f"{S}:{S}:0:3"),
    "ot-tracer-traceid": (T, S),
    "ot-tracer-spanid": (S,),
    "ot-tracer-sampled": ("1", "false"),
    "x-datadog-trace-id": ("12345678901234567890",),
    "x-datadog-parent-id": ("7",),
    "x-datadog-sampling-priority": ("1", "-1", "2"),
    "x-amzn-trace-id": (f"Root=1-{T[:8]}-{T[8:]};Parent={S};Sampled=1",),
    "x-cloud-trace-context": (f"{T}/123;o=1",),
    "x-instana-t": (T,),
    "x-instana-s": (S,),
    "x-instana-l": ("1,correlationType=web;correlationId=1", "0"),
}
TRACED = st.fixed_dictionaries(
    {},
    optional={
        name: headers(*good, words=(T, S, "-", ":", "0" * 16, "0" * 32)) for name, good in TRACES.items()
    },
)
_ID = re.compile("[0-9a-f]{16}(?:[0-9a-f]{16})?").fullmatch


@given(TRACED)
def test_a_trace_is_found_or_not_there(sent):
    warnings = []
    for formats in (ALL, *((one,) for one in ALL)):
        found = tried(extract, sent.get, formats, warnings.append)
        if found is None:
            continue
        for part in (found.trace_id, found.span_id, found.parent_id):
            assert part is None or (_ID(part) and int(part, 16)), found
        assert found.sampled in (True, False, None)


@given(TRACED, st.sampled_from(ALL))
def test_a_trace_goes_on_as_it_came(sent, form):
    found = extract(sent.get, ALL, lambda warning: None)
    if found is None or found.trace_id is None:
        return
    span = Span(
        found.trace_id,
        found.span_id or S,
        found.parent_id,
        bool(found.sampled),
        found.debug,
        len(found.trace_id),
    )
    again = extract(inject(form, span).get, (form,), lambda warning: None)
    if again.trace_id is not None:  # formats that have shorter ids may have nothing but zeros left
        assert again.trace_id.endswith(found.trace_id[-16:]) or found.trace_id.endswith(
            again.trace_id.lstrip("0")
        )
        assert again.sampled == (span.sampled or span.debug)


# -- everything at once ------------------------------------------------------------------------------------

ORIGINS = ("https://shop.example", "http://a.shop.example:80", "null", "https://[::1]:8443")
GOOD = {
    "ACCEPT": ("text/html;q=0.9, application/json;q=0.5,*/*;q=0.1", "application/xml", "application/grpc"),
    "ACCEPT_ENCODING": ("gzip, br;q=0.5, *;q=0",),
    "ACCESS_CONTROL_REQUEST_METHOD": ("PUT",),
    "ACCESS_CONTROL_REQUEST_HEADERS": ("x-a, x-b",),
    "CONTENT_DIGEST": ("sha-256=:a:",),
    "COOKIE": ('a=b; apikey=k; c="d e"',),
    "EXPECT": ("100-continue",),
    "HOST": ("shop.example:8000", "[::1]:80", "user@shop.example", "a.b.c."),
    "ORIGIN": ORIGINS,
    "TE": ("trailers",),
    "CONNECTION": ("close, X-Real-IP", "upgrade"),
    "USER_AGENT": ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", "curl/8", "Googlebot/2.1"),
    "X_FORWARDED_FOR": ("192.0.2.1, 10.0.0.1",),
    "X_FORWARDED_HOST": ("a.example:99, b.example",),
    "X_FORWARDED_PORT": ("443",),
    "X_FORWARDED_PROTO": ("https", "http, https"),
    "X_FORWARDED_PATH": ("/a/b",),
    "X_FORWARDED_PREFIX": ("/a",),
    "X_REQUEST_ID": ("r-1",),
    "X_HEADER": ("$(headers.host)", "value"),
    **{name.upper().replace("-", "_"): good for name, good in TRACES.items()},
}
SENT = st.fixed_dictionaries(
    {},
    optional={
        f"HTTP_{name}": headers(*good, words=("*/*", ";q=", ",", "a.example", "https://", "null", "gzip"))
        for name, good in GOOD.items()
    }
    | {
        "CONTENT_TYPE": headers(
            "application/json; charset=utf-8", "text/plain", "multipart/form-data; boundary=b"
        ),
        "CONTENT_LENGTH": headers("0", "5", "12"),
        "REQUEST_METHOD": st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "PROPFIND", "get"]),
        "REMOTE_ADDR": st.sampled_from(["127.0.0.1", "", "10.9.8.7", "::ffff:10.0.0.1", "unix:", "x"]),
        "SERVER_PORT": st.sampled_from(["80", "443", "", "0"]),
    },
)


def asked(phase):
    """Return a handler that asks everything that Kong's handlers can ask of a request."""

    def method(config):
        request = kong.request
        for name in dir(request):
            if name in ("get_header", "get_query_arg", "get_raw_body", "get_body"):
                continue
            if name.startswith("get_"):
                getattr(request, name)()
        request.get_header("accept")
        request.get_query_arg("a")
        for name in ("get_ip", "get_forwarded_ip", "get_port", "get_forwarded_port"):
            getattr(kong.client, name)()
        if phase == "access":
            request.get_raw_body()
            request.get_body()
        kong.client.get_protocol()

    return plugin("asking", 500, **{phase: method})


PLUGINS = [
    {"name": "correlation-id", "config": {"header_name": "X-Request-ID", "echo_downstream": True}},
    {
        "name": "cors",
        "config": {
            "origins": ["https://shop.example", r"(.*)\.shop\.example"],
            "credentials": True,
            "max_age": 5,
        },
    },
    {"name": "bot-detection", "config": {"deny": ["evil.*bot"]}},
    {"name": "ip-restriction", "config": {"deny": ["203.0.113.0/24"]}},
    {"name": "request-size-limiting", "config": {"allowed_payload_size": 1, "size_unit": "kilobytes"}},
    {"name": "key-auth", "config": {"anonymous": "nobody", "key_in_body": True}},
    {"name": "jwt", "config": {"anonymous": "nobody", "cookie_names": ["a"]}},
    {
        "name": "rate-limiting",
        "config": {"minute": 1_000_000, "limit_by": "header", "header_name": "x-header"},
    },
    {"name": "response-ratelimiting", "config": {"limits": {"a": {"minute": 1_000_000}}}},
    {
        "name": "request-transformer",
        "config": {
            "add": {"querystring": ["a:$(headers.host)"], "body": ["b:$(headers['user-agent'] or 'none')"]},
            "append": {"querystring": ["q:$(headers.x_header)"], "body": ["b:$(headers.accept)"]},
        },
    },
    {"name": "response-transformer", "config": {"add": {"headers": ["x-c:1"], "json": ["a:b"]}}},
    {"name": "zipkin", "config": {"sample_ratio": 1, "http_response_header_for_traceid": "x-trace"}},
    {"name": "file-log", "config": {"path": "/dev/null"}},
    {"name": "prometheus", "config": {"per_consumer": True}},
]


@pytest.fixture(scope="module", params=["access", "header_filter", "log"])
def everything(request):
    document = {
        "trusted": ["127.0.0.1", "10.0.0.0/8"],
        "consumers": [{"username": "nobody", "keyauth_credentials": [{"key": "k"}]}],
        "routes": [
            {"name": "all", "paths": ["/"]},
            {"name": "b", "hosts": ["*.b.example"], "headers": {"x-a": ["1"]}},
        ],
        "plugins": PLUGINS,
    }
    gateway = Gateway(seen, document, plugins=[asked(request.param)])
    yield gateway
    gateway.stop()


@given(SENT, headers("q=1&a=b&apikey=k", "a&a=1"), st.binary(max_size=20))
def test_any_headers_have_an_answer(everything, sent, query, body):
    length = sent.pop("CONTENT_LENGTH", None)
    result = ask(everything, b"" if length else body, QUERY_STRING=query, **sent)
    assert not result.status.startswith("500")
    # A good length without a body is a client that went away, whom nobody answers.
    if length is not None and not length.strip("0 \t").isdigit():
        ask(everything, QUERY_STRING=query, CONTENT_LENGTH=length, **sent)


@given(headers(*ORIGINS, words=("evil.example", "shop.example", ".", "://")))
def test_an_origin_is_a_listed_one_or_none(origin):
    origins = cors.Origins(["https://shop.example", r"https://[a-z]+\.shop\.example"])
    allowed, varies = tried(origins.allowed, origin)
    assert varies
    assert allowed is None or re.fullmatch(r"https://([a-z]+\.)?shop\.example", allowed)


@given(headers(*GOOD["ACCEPT"], words=("*/*", ";q=", "json", "q=1.5", "text/*")))
def test_an_error_has_a_form_for_any_client(accept):
    tried(answer.negotiate, accept)
    made = tried(answer.error_exit, 401, 'no "<&>', None, accept, "r")
    assert made.status == 401
