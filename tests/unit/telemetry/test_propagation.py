"""Trace headers: what is found in them, what is ignored, what goes out."""

from __future__ import annotations

import pytest

from plugmw.telemetry.propagation import ALL, Span, TraceContext, extract, inject, sized

T = "0af7651916cd43dd8448eb211c80319c"
SHORT = "8448eb211c80319c"
S, P = "b7ad6b7169203331", "b7ad6b7169203332"
D = int(S, 16)


def found(headers, formats=ALL):
    warnings = []
    return extract({k.lower(): v for k, v in headers.items()}.get, formats, warnings.append), warnings


GOOD = {
    "b3: all": (
        {"x-b3-traceid": T, "x-b3-spanid": S, "x-b3-parentspanid": P, "x-b3-sampled": "1"},
        TraceContext("b3", T, S, P, True, reuse=True),
    ),
    "b3: 8 bytes, capitals, false": (
        {"x-b3-traceid": SHORT.upper(), "x-b3-spanid": S, "x-b3-sampled": "false"},
        TraceContext("b3", SHORT, S, None, False, reuse=True),
    ),
    "b3: trace alone": ({"x-b3-traceid": T}, TraceContext("b3", T, reuse=True)),
    "b3: decision alone": ({"x-b3-sampled": "true"}, TraceContext("b3", sampled=True, reuse=True)),
    "b3: debug": ({"x-b3-flags": "1"}, TraceContext("b3", sampled=True, debug=True, reuse=True)),
    "b3 single: all": ({"b3": f"{T}-{S}-1-{P}"}, TraceContext("b3-single", T, S, P, True, reuse=True)),
    "b3 single: ids": ({"b3": f"{SHORT}-{S}"}, TraceContext("b3-single", SHORT, S, reuse=True)),
    "b3 single: debug": ({"b3": f"{T}-{S}-d"}, TraceContext("b3-single", T, S, None, True, True, reuse=True)),
    "b3 single: no": ({"b3": "0"}, TraceContext("b3-single", sampled=False, reuse=True)),
    "b3 single: debug alone": ({"b3": "d"}, TraceContext("b3-single", sampled=True, debug=True, reuse=True)),
    "b3 single: in tracestate": (
        {"tracestate": f"a=b, b3={T}-{S}-0"},
        TraceContext("b3-single", T, S, None, False, reuse=True),
    ),
    "b3 single: filled from the others": (
        {"b3": "1", "x-b3-traceid": T, "x-b3-spanid": S, "x-b3-parentspanid": P},
        TraceContext("b3-single", T, S, P, True, reuse=True),
    ),
    "b3 single: decision and parent from the others": (
        {"b3": f"{T}-{S}", "x-b3-sampled": "0", "x-b3-traceid": T, "x-b3-parentspanid": P},
        TraceContext("b3-single", T, S, P, False, reuse=True),
    ),
    "w3c": ({"traceparent": f"00-{T}-{S}-01"}, TraceContext("w3c", T, S, sampled=True)),
    "w3c: not sampled": ({"traceparent": f" 00-{T}-{S}-02 "}, TraceContext("w3c", T, S, sampled=False)),
    "w3c: beside an empty tracestate": (
        {"traceparent": f"00-{T}-{S}-01", "tracestate": "a=b"},
        TraceContext("w3c", T, S, sampled=True),
    ),
    "jaeger": ({"uber-trace-id": f"{T}:{S}:{P}:1"}, TraceContext("jaeger", T, S, P, True, reuse=True)),
    "jaeger: short, without a parent": (
        {"uber-trace-id": "1234:5:0:0"},
        TraceContext("jaeger", "1234".zfill(32), "5".zfill(16), None, False, reuse=True),
    ),
    "ot": (
        {"ot-tracer-traceid": SHORT, "ot-tracer-spanid": S, "ot-tracer-sampled": "1"},
        TraceContext("ot", SHORT, S, sampled=True, reuse=True),
    ),
    "datadog": (
        {
            "x-datadog-trace-id": str(D),
            "x-datadog-parent-id": "12",
            "x-datadog-sampling-priority": "2",
        },
        TraceContext("datadog", S, "c".zfill(16), sampled=True),
    ),
    "datadog: rejected by the user": (
        {"x-datadog-sampling-priority": "-1"},
        TraceContext("datadog", sampled=False),
    ),
    "aws: blanks, order, more keys": (
        {"x-amzn-trace-id": f"  Parent= {S};Self=1-2; Root =   1-{T[:8]}-{T[8:]}  ; Sampled   =1"},
        TraceContext("aws", T, S, sampled=True),
    ),
    "aws: undecided": (
        {"x-amzn-trace-id": f"Root=1-{T[:8]}-{T[8:]};Parent={S}"},
        TraceContext("aws", T, S),
    ),
    "gcp": ({"x-cloud-trace-context": f"{T}/{D};o=1"}, TraceContext("gcp", T, S, sampled=True)),
    "gcp: undecided": ({"x-cloud-trace-context": f"{T}/{D}"}, TraceContext("gcp", T, S)),
    "instana": (
        {"x-instana-t": T, "x-instana-s": S, "x-instana-l": "1,correlationType=web"},
        TraceContext("instana", T, S, sampled=True),
    ),
}


@pytest.mark.parametrize(("headers", "expected"), GOOD.values(), ids=GOOD)
def test_what_is_good_is_found(headers, expected):
    assert found(headers) == (expected, [])


BAD = {
    "b3 trace": {"x-b3-traceid": "1234", "x-b3-spanid": S},
    "b3 span": {"x-b3-traceid": T, "x-b3-spanid": "x"},
    "b3 parent": {"x-b3-traceid": T, "x-b3-spanid": S, "x-b3-parentspanid": "x"},
    "b3 zeros": {"x-b3-traceid": "0" * 32},
    "b3 decision": {"x-b3-sampled": "yes"},
    "b3 single": {"b3": "x"},
    "b3 single zeros": {"b3": f"{'0' * 32}-{S}"},
    "w3c version": {"traceparent": f"01-{T}-{S}-01"},
    "w3c zeros": {"traceparent": f"00-{'0' * 32}-{S}-01"},
    "w3c length": {"traceparent": f"00-{T}-{S}-0"},
    "jaeger": {"uber-trace-id": f"{T}:{S}:1"},
    "jaeger zeros": {"uber-trace-id": f"0:{S}:0:1"},
    "ot trace": {"ot-tracer-traceid": "x", "ot-tracer-spanid": S},
    "ot span": {"ot-tracer-traceid": T, "ot-tracer-spanid": "x"},
    "datadog trace": {"x-datadog-trace-id": str(2**64)},
    "datadog words": {"x-datadog-trace-id": "x"},
    "datadog priority": {"x-datadog-sampling-priority": "3"},
    "aws": {"x-amzn-trace-id": "Root=1-2-3"},
    "aws decision": {"x-amzn-trace-id": f"Root=1-{T[:8]}-{T[8:]};Parent={S};Sampled=?"},
    "gcp": {"x-cloud-trace-context": T},
    "gcp span": {"x-cloud-trace-context": f"{T}/{2**64}"},
    "instana": {"x-instana-t": T, "x-instana-s": "x"},
}


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD)
def test_what_is_broken_is_warned_of_and_ignored(headers):
    made, warnings = found(headers)
    assert made is None
    assert len(warnings) == 1
    assert "ignoring." in warnings[0]


def test_a_bad_parent_of_jaeger_only_warns():
    made, warnings = found({"uber-trace-id": f"{T}:{S}:{'1' * 17}:1"})
    assert (made, len(warnings)) == (TraceContext("jaeger", T, S, None, True, reuse=True), 1)


def test_the_first_format_that_finds_something_wins():
    headers = {"traceparent": f"00-{T}-{S}-01", "uber-trace-id": f"{T}:{P}:0:1"}
    assert found(headers)[0].format == "w3c"
    assert found(headers, ["jaeger", "w3c"])[0].format == "jaeger"
    assert found({"traceparent": "x", "uber-trace-id": f"{T}:{P}:0:1"})[0].format == "jaeger"
    assert found(headers, []) == (None, [])
    assert found({})[0] is None


SPAN = Span(T, S, P, True, length=32)
NEW = Span(T, S, None, False)
OUT = {
    "b3": (
        {"x-b3-traceid": T, "x-b3-spanid": S, "x-b3-parentspanid": P, "x-b3-sampled": "1"},
        {"x-b3-traceid": T, "x-b3-spanid": S, "x-b3-sampled": "0"},
    ),
    "b3-single": ({"b3": f"{T}-{S}-1-{P}"}, {"b3": f"{T}-{S}-0"}),
    "w3c": ({"traceparent": f"00-{T}-{S}-01"}, {"traceparent": f"00-{T}-{S}-00"}),
    "jaeger": ({"uber-trace-id": f"{T}:{S}:{P}:01"}, {"uber-trace-id": f"{T}:{S}:0:00"}),
    "ot": (
        {"ot-tracer-traceid": T, "ot-tracer-spanid": S, "ot-tracer-sampled": "1"},
        {"ot-tracer-traceid": SHORT, "ot-tracer-spanid": S, "ot-tracer-sampled": "0"},
    ),
    "datadog": (
        {
            "x-datadog-trace-id": str(int(SHORT, 16)),
            "x-datadog-parent-id": str(D),
            "x-datadog-sampling-priority": "1",
        },
        {
            "x-datadog-trace-id": str(int(SHORT, 16)),
            "x-datadog-parent-id": str(D),
            "x-datadog-sampling-priority": "0",
        },
    ),
    "aws": (
        {"x-amzn-trace-id": f"Root=1-{T[:8]}-{T[8:]};Parent={S};Sampled=1"},
        {"x-amzn-trace-id": f"Root=1-{T[:8]}-{T[8:]};Parent={S};Sampled=0"},
    ),
    "gcp": (
        {"x-cloud-trace-context": f"{T}/{D};o=1"},
        {"x-cloud-trace-context": f"{T}/{D};o=0"},
    ),
    "instana": (
        {"x-instana-t": T, "x-instana-s": S, "x-instana-l": "1"},
        {"x-instana-t": T, "x-instana-s": S, "x-instana-l": "0"},
    ),
}


@pytest.mark.parametrize(("format_", "headers"), OUT.items(), ids=OUT)
def test_every_format_is_written(format_, headers):
    assert (inject(format_, SPAN), inject(format_, NEW)) == headers


@pytest.mark.parametrize("format_", OUT)
def test_what_is_written_is_found_again(format_):
    made, warnings = found(inject(format_, SPAN))
    assert (made.format, made.span_id, made.sampled, warnings) == (format_, S, True, [])
    assert sized(made.trace_id, 16) == SHORT


def test_debug_is_passed_on_as_such():
    debug = Span(T, S, None, True, debug=True)
    assert inject("b3", debug) == {"x-b3-traceid": T, "x-b3-spanid": S, "x-b3-flags": "1"}
    assert inject("b3-single", debug) == {"b3": f"{T}-{S}-d"}


def test_the_length_of_an_id_follows_the_format():
    short = Span(SHORT, S, None, True, length=16)
    assert inject("b3-single", short)["b3"].startswith(f"{SHORT}-")
    assert inject("ot", short)["ot-tracer-traceid"] == SHORT
    assert inject("w3c", short)["traceparent"].startswith(f"00-{SHORT.zfill(32)}-")
