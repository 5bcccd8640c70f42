"""Trace contexts in request headers: eight formats, read and written. Pure functions.

What is broken is warned of and ignored, never an error. Ids are lower-case hexadecimal text. Formats and
rules are Kong's (``kong/observability/tracing/propagation``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import attrs

Format = Literal["b3", "b3-single", "w3c", "jaeger", "ot", "datadog", "aws", "gcp", "instana"]
#: Returns a request header or None; takes a warning.
Get = Callable[[str], "str | None"]
Warn = Callable[[str], object]


@attrs.frozen
class TraceContext:
    """What a request says of its trace: in which format, ids as far as they are there, and a decision.

    ``reuse``: the span id is that of the request's own span, in formats where client and server share one.
    """

    format: Format
    trace_id: str | None = None
    span_id: str | None = None
    parent_id: str | None = None
    sampled: bool | None = None
    debug: bool = False
    reuse: bool = False


@attrs.frozen
class Span:
    """What goes out: the trace, the span that calls, its parent, the decision.

    ``length`` is that of the id that came in, in digits; None for a new trace.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    sampled: bool
    debug: bool = False
    length: int | None = None


_DECISIONS: Final = {"1": True, "true": True, "0": False, "false": False}
_TRACE: Final = re.compile(r"(?!0+$)(?:[0-9a-f]{16}|[0-9a-f]{32})")
_SPAN: Final = re.compile(r"(?!0+$)[0-9a-f]{16}")
_B3: Final = re.compile(r"([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d]))?(?:-([0-9a-f]{16}))?")
_W3C: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_JAEGER: Final = re.compile(r"(?!0+:)([0-9a-f]{1,32}):(?!0+:)([0-9a-f]{1,16}):([0-9a-f]*):([0-9a-f]{1,2})")
_AWS_ROOT: Final = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_GCP: Final = re.compile(r"(?!0{32})([0-9a-f]{32})/([0-9]{1,20})(?:;o=([01]))?")
_LARGEST: Final = 2**64


def _value(get: Get, name: str) -> str | None:
    value = get(name)
    return value.strip().lower() if value is not None else None


def _id(get: Get, warn: Warn, name: str, form: re.Pattern[str]) -> tuple[str | None, bool]:
    """Return (the id in a header or None, whether there was something else)."""
    value = _value(get, name)
    if value is None:
        return None, False
    if form.fullmatch(value):
        return value, False
    warn(f"{name} header invalid; ignoring.")
    return None, True


def _decision(get: Get, warn: Warn, name: str) -> bool | None:
    value = _value(get, name)
    if value is not None and value not in _DECISIONS:
        warn(f"{name} header invalid; ignoring.")
    return _DECISIONS.get(value or "")


def _b3(get: Get, warn: Warn) -> TraceContext | None:
    several = _b3_several(get, warn)
    single = _b3_single(get, warn)
    if single is None:
        return several
    # What the one header does not say, the others may.
    if single.trace_id is None:
        single = attrs.evolve(
            several, format="b3-single", sampled=single.sampled, debug=single.debug or several.debug
        )
    if single.sampled is None:
        single = attrs.evolve(single, sampled=several.sampled, debug=several.debug)
    return attrs.evolve(single, parent_id=single.parent_id or several.parent_id)


def _b3_single(get: Get, warn: Warn) -> TraceContext | None:
    value = _value(get, "b3")
    if value is None:
        states = (_value(get, "tracestate") or "").split(",")
        value = next((one.strip()[3:] for one in states if one.strip().startswith("b3=")), None)
    if value is None:
        return None
    if value in ("0", "1", "d"):
        return TraceContext("b3-single", sampled=value != "0", debug=value == "d", reuse=True)
    match = _B3.fullmatch(value)
    if not match or not (_TRACE.fullmatch(match[1]) and _SPAN.fullmatch(match[2])):
        warn("b3 single header invalid; ignoring.")
        return None
    sampled = None if match[3] is None else match[3] != "0"
    return TraceContext("b3-single", match[1], match[2], match[4], sampled, match[3] == "d", reuse=True)


def _b3_several(get: Get, warn: Warn) -> TraceContext:
    debug = _value(get, "x-b3-flags") == "1"
    sampled = True if debug else _decision(get, warn, "x-b3-sampled")
    trace_id, bad_trace = _id(get, warn, "x-b3-traceid", _TRACE)
    span_id, bad_span = _id(get, warn, "x-b3-spanid", _SPAN)
    parent_id, bad_parent = _id(get, warn, "x-b3-parentspanid", _SPAN)
    if bad_trace or bad_span or bad_parent or trace_id is None:
        trace_id = span_id = parent_id = None
    return TraceContext("b3", trace_id, span_id, parent_id, sampled, debug, reuse=True)


def _w3c(get: Get, warn: Warn) -> TraceContext | None:
    value = _value(get, "traceparent")
    match = _W3C.fullmatch(value) if value is not None else None
    if match is None:
        if value is not None:
            warn("invalid W3C traceparent header; ignoring.")
        return None
    return TraceContext("w3c", match[1], match[2], sampled=bool(int(match[3], 16) & 1))


def _jaeger(get: Get, warn: Warn) -> TraceContext | None:
    value = _value(get, "uber-trace-id")
    match = _JAEGER.fullmatch(value) if value is not None else None
    if match is None:
        if value is not None:
            warn("invalid jaeger uber-trace-id header; ignoring.")
        return None
    parent: str | None = match[3].zfill(16)
    if len(match[3]) not in range(1, 17):
        warn("invalid jaeger parent ID; ignoring.")
        parent = None
    elif parent == "0" * 16:
        parent = None
    sampled = bool(int(match[4], 16) & 1)
    return TraceContext("jaeger", match[1].zfill(32), match[2].zfill(16), parent, sampled, reuse=True)


def _ot(get: Get, warn: Warn) -> TraceContext:
    sampled = _decision(get, warn, "ot-tracer-sampled")
    trace_id, bad_trace = _id(get, warn, "ot-tracer-traceid", _TRACE)
    span_id, bad_span = _id(get, warn, "ot-tracer-spanid", _SPAN)
    if bad_trace or bad_span or trace_id is None:
        trace_id = span_id = None
    return TraceContext("ot", trace_id, span_id, sampled=sampled, reuse=True)


def _decimal(get: Get, warn: Warn, name: str) -> str | None:
    value = _value(get, name)
    if value is None:
        return None
    if not re.fullmatch("[0-9]{1,20}", value) or not 0 < int(value) < _LARGEST:
        warn(f"{name} header invalid; ignoring.")
        return None
    return f"{int(value):016x}"


def _datadog(get: Get, warn: Warn) -> TraceContext:
    trace_id = _decimal(get, warn, "x-datadog-trace-id")
    parent = _decimal(get, warn, "x-datadog-parent-id") if trace_id else None
    priority = _value(get, "x-datadog-sampling-priority")
    decisions = {"2": True, "1": True, "0": False, "-1": False}
    if priority is not None and priority not in decisions:
        warn("x-datadog-sampling-priority header invalid; ignoring.")
    return TraceContext("datadog", trace_id, parent, sampled=decisions.get(priority or ""))


def _aws(get: Get, warn: Warn) -> TraceContext | None:
    value = _value(get, "x-amzn-trace-id")
    if value is None:
        return None
    pairs = (piece.partition("=") for piece in value.split(";"))
    parts = {name.strip(): text.strip() for name, _, text in pairs}
    root, parent = _AWS_ROOT.fullmatch(parts.get("root", "")), parts.get("parent", "")
    sampled = parts.get("sampled")
    if root is None or not _SPAN.fullmatch(parent) or sampled not in (None, "0", "1"):
        warn("aws x-amzn-trace-id header invalid; ignoring.")
        return None
    return TraceContext("aws", root[1] + root[2], parent, sampled=None if sampled is None else sampled == "1")


def _gcp(get: Get, warn: Warn) -> TraceContext | None:
    value = _value(get, "x-cloud-trace-context")
    if value is None:
        return None
    match = _GCP.fullmatch(value)
    if match is None or not 0 < int(match[2]) < _LARGEST:
        warn("gcp x-cloud-trace-context header invalid; ignoring.")
        return None
    return TraceContext("gcp", match[1], f"{int(match[2]):016x}", sampled=_DECISIONS.get(match[3] or ""))


def _instana(get: Get, warn: Warn) -> TraceContext:
    trace_id, bad_trace = _id(get, warn, "x-instana-t", _TRACE)
    span_id, bad_span = _id(get, warn, "x-instana-s", _SPAN)
    if bad_trace or bad_span or trace_id is None:
        trace_id = span_id = None
    # Behind the level may stand a correlation.
    level = (_value(get, "x-instana-l") or "").partition(",")[0].strip()
    return TraceContext("instana", trace_id, span_id, sampled=_DECISIONS.get(level))


_EXTRACTORS: Final[Mapping[Format, Callable[[Get, Warn], TraceContext | None]]] = {
    "b3": _b3,
    "b3-single": _b3,
    "w3c": _w3c,
    "jaeger": _jaeger,
    "ot": _ot,
    "datadog": _datadog,
    "aws": _aws,
    "gcp": _gcp,
    "instana": _instana,
}
#: The order in which formats are looked for.
ALL: Final[tuple[Format, ...]] = ("b3", "w3c", "jaeger", "ot", "datadog", "aws", "gcp", "instana")


def extract(get: Get, formats: Iterable[Format], warn: Warn) -> TraceContext | None:
    """Return what the first format finds that finds a trace id or a decision; None if none does."""
    for format_ in formats:
        context = _EXTRACTORS[format_](get, warn)
        if context is not None and (context.trace_id is not None or context.sampled is not None):
            return context
    return None


# -- writing ---------------------------------------------------------------------------------------------


def sized(trace_id: str, digits: int) -> str:
    """Return a trace id with this many digits: the last ones, or zeros before."""
    return trace_id[-digits:].zfill(digits)


def inject(format_: Format, span: Span) -> dict[str, str]:
    """Return the headers that tell about ``span``."""
    return _INJECTORS[format_](span, sized(span.trace_id, _digits(format_, span)))


def _digits(format_: Format, span: Span) -> int:
    if format_ in ("b3", "b3-single", "jaeger", "instana"):
        return len(span.trace_id)
    if format_ == "ot":
        return span.length or 16
    return 16 if format_ == "datadog" else 32


def _flag(span: Span) -> str:
    return "1" if span.sampled else "0"


def _to_b3(span: Span, trace_id: str) -> dict[str, str]:
    headers = {"x-b3-traceid": trace_id, "x-b3-spanid": span.span_id}
    if span.parent_id:
        headers["x-b3-parentspanid"] = span.parent_id
    return headers | ({"x-b3-flags": "1"} if span.debug else {"x-b3-sampled": _flag(span)})


def _to_b3_single(span: Span, trace_id: str) -> dict[str, str]:
    parts = [trace_id, span.span_id, "d" if span.debug else _flag(span)]
    return {"b3": "-".join([*parts, span.parent_id] if span.parent_id else parts)}


def _to_w3c(span: Span, trace_id: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{span.span_id}-0{_flag(span)}"}


def _to_jaeger(span: Span, trace_id: str) -> dict[str, str]:
    return {"uber-trace-id": f"{trace_id}:{span.span_id}:{span.parent_id or '0'}:0{_flag(span)}"}


def _to_ot(span: Span, trace_id: str) -> dict[str, str]:
    return {
        "ot-tracer-traceid": trace_id,
        "ot-tracer-spanid": span.span_id,
        "ot-tracer-sampled": _flag(span),
    }


def _to_datadog(span: Span, trace_id: str) -> dict[str, str]:
    return {
        "x-datadog-trace-id": str(int(trace_id, 16)),
        "x-datadog-parent-id": str(int(span.span_id, 16)),
        "x-datadog-sampling-priority": _flag(span),
    }


def _to_aws(span: Span, trace_id: str) -> dict[str, str]:
    root = f"1-{trace_id[:8]}-{trace_id[8:]}"
    return {"x-amzn-trace-id": f"Root={root};Parent={span.span_id};Sampled={_flag(span)}"}


def _to_gcp(span: Span, trace_id: str) -> dict[str, str]:
    return {"x-cloud-trace-context": f"{trace_id}/{int(span.span_id, 16)};o={_flag(span)}"}


def _to_instana(span: Span, trace_id: str) -> dict[str, str]:
    return {"x-instana-t": trace_id, "x-instana-s": span.span_id, "x-instana-l": _flag(span)}


_INJECTORS: Final[Mapping[Format, Callable[[Span, str], dict[str, str]]]] = {
    "b3": _to_b3,
    "b3-single": _to_b3_single,
    "w3c": _to_w3c,
    "jaeger": _to_jaeger,
    "ot": _to_ot,
    "datadog": _to_datadog,
    "aws": _to_aws,
    "gcp": _to_gcp,
    "instana": _to_instana,
}
