"""The response of an exchange as a ``webob.Response``, and back, in the response phase.

    res = take(x)
    res.status_code, res.text = 203, res.text.upper()
    put(x, res)

What was not touched goes out as it was. Content-Length is always right. When the body changes, headers
that describe its bytes (Content-Encoding, ETag, Content-MD5, Accept-Ranges, Digest) go, unless they were
set anew: a response that says gzip and holds plain text helps nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import webob

from plugmw.wsgi.answer import check_header

if TYPE_CHECKING:
    from plugmw.kernel.response import RespondingExchange

_FRAMING = ("content-length", "transfer-encoding")


class _Given(str):
    """A header value as the app gave it, told by its class from an equal one that was set since."""


def take(x: RespondingExchange, kind: Callable[..., Any] = webob.Response) -> Any:
    """Return a response like the exchange's, of WebOb's kind; changes count once it is :func:`put` back.

    Its Content-Length is left out: of a HEAD it would be that of a body that is not there.
    """
    items = [(name, _Given(value)) for name, value in x.header_list or () if name.lower() not in _FRAMING]
    return kind(app_iter=[x.body], status=x.status_line, headerlist=items)


def put(x: RespondingExchange, made: webob.Response) -> None:
    """Make ``made`` the exchange's response; raises ``ValueError`` for headers that must not be sent."""
    before = list(x.header_list or ())
    items = [item for item in made.headerlist if item[0].lower() not in _FRAMING]
    for name, value in items:
        if (name, value) not in before:
            check_header(name, value)
    if made.status_code != x.status:
        x.status = made.status_code
    if made.body != x.body:
        x.body = made.body
        outdated = set(before).difference(x.header_list or ())
        items = [item for item in items if not (isinstance(item[1], _Given) and item in outdated)]
    if x.status >= 200 and x.status != 204:
        # The kernel's, or the app's own where the body is its own too.
        items += [item for item in x.header_list or () if item[0].lower() == "content-length"]
    x.header_list = [(name, str(value)) for name, value in items]
