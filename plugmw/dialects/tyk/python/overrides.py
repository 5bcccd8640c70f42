"""``return_overrides``: an answer from a hook instead of the upstream's (``gateway/coprocess.go``).

| code | override_error | answer |
|---|---|---|
| 0 and below | | none: the request goes on |
| below 400 | | code, headers, body |
| 400 and above | false | code, headers, the error template |
| 400 and above | true | code, headers, body |

``response_error``, if set, is the body.
"""

from __future__ import annotations

from plugmw.dialects.tyk.errors import NOT_AUTHORISED, error_answer
from plugmw.dialects.tyk.python.messages import ReturnOverrides
from plugmw.kernel.exchange import Exchange, own_headers
from plugmw.wsgi.answer import Exit, header_items, leave
from plugmw.wsgi.headers import hop_by_hop
from plugmw.wsgi.text import encode


def answer_of(x: Exchange, asked: ReturnOverrides, compat: bool = False) -> Exit | None:
    """Return the answer to raise, None if there is none; ``ValueError`` for one that cannot be sent."""
    code = asked.response_code
    if code <= 0:
        return None
    if not 200 <= code <= 599:
        raise ValueError(f"response_code: got {code!r}, expected a number between 200 and 599")
    body = asked.response_error or asked.response_body
    sendable = {name: value for name, value in asked.headers.items() if not hop_by_hop(name)}
    headers = header_items({name: encode(value, "surrogateescape") for name, value in sendable.items()})
    if code < 400 or asked.override_error:
        return _plain(code, body, headers)
    answer = error_answer(x, code, body or NOT_AUTHORISED, compat)
    answer.headers = own_headers(headers, answer.headers)
    return answer


def refused(asked: ReturnOverrides) -> bool:
    """Say whether the hook refuses: Tyk takes that for a failed authentication, whatever hook it is."""
    return asked.response_code >= 400 and not asked.override_error


def _plain(code: int, body: str, headers: list[tuple[str, str]]) -> Exit:
    try:
        leave(code, body.encode("utf-8", "replace").decode() or None, headers)
    except Exit as made:
        return made
