"""A response as hooks see it, and what they have made of it put back (``gateway/coprocess.go``)."""

from __future__ import annotations

from collections.abc import Mapping

import webob

from plugmw.dialects.go_http import canonical
from plugmw.dialects.tyk.python.messages import Header, ResponseObject
from plugmw.kernel.response import RespondingExchange
from plugmw.wsgi.headers import hop_by_hop
from plugmw.wsgi.responses import put, take
from plugmw.wsgi.text import decode, encode


def response_object(x: RespondingExchange, raw_only: bool = False) -> ResponseObject:
    """Return the response of an exchange, its header names as Go spells them."""
    response = ResponseObject(status_code=x.status, read=lambda: x.body, raw_only=raw_only)
    for name, values in _grouped(take(x)).items():
        response.multivalue_headers.add(name, values)
        response.headers[name] = values[0]
    return response


def _grouped(res: webob.Response) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in res.headerlist:
        grouped.setdefault(canonical(name), []).append(decode(str(value), "replace"))
    return grouped


def apply_response(
    x: RespondingExchange, before: Mapping[str, str], response: ResponseObject, compat: bool = False
) -> None:
    """Make ``response`` the response; ``before`` are the ``headers`` that the hook was given.

    Raises ``ValueError`` for a status or headers that must not be sent.
    """
    body, res = response.changed(compat), take(x)
    if not 200 <= response.status_code <= 599:
        raise ValueError(f"status_code: got {response.status_code!r}, expected a number between 200 and 599")
    res.status_code = response.status_code
    # As the app gave them, where they are the same: what describes the old body goes with it.
    originals = {
        (canonical(name), decode(str(value), "replace")): (name, value) for name, value in res.headerlist
    }
    res.headerlist = [
        originals.get((canonical(name), value), (name, encode(value, "surrogateescape")))
        for name, values in _together(merged(before, response, compat)).items()
        for value in values
    ]
    if body is not None:
        res.body = body
    put(x, res)


def merged(before: Mapping[str, str], response: ResponseObject, compat: bool = False) -> list[Header]:
    """Return the headers to send: ``multivalue_headers``, in line with ``headers`` if those changed.

    A changed or new key replaces the first value, a removed one removes all. With ``compat`` every key of
    ``headers`` replaces the first value, and what is in ``multivalue_headers`` alone is dropped.
    """
    headers = response.headers
    if headers == before:
        return list(response.multivalue_headers)
    changed = {k: v for k, v in headers.items() if compat or before.get(k) != v}
    remaining = [
        h for h in response.multivalue_headers if h.key in headers or not (compat or h.key in before)
    ]
    for header in remaining:
        if header.key in changed:
            header.values[:1] = [changed.pop(header.key)]
    return remaining + [Header(key, [value]) for key, value in changed.items()]


def _together(headers: list[Header]) -> dict[str, list[str]]:
    """Return the values by name: of two spellings of one name the later counts."""
    names: dict[str, Header] = {}
    for header in headers:
        names[canonical(header.key)] = header
    return {header.key: header.values for header in names.values() if not hop_by_hop(header.key)}
