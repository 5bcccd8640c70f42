"""What errors are told as."""

from __future__ import annotations

import pytest

from plugmw.dialects.krakend.failures import BackendError, MergeError, has_text, is_crash, reply_to
from plugmw.dialects.krakend.wrappers import ModifierError
from plugmw.upstream.forwarding import BadRequest
from plugmw.wsgi.body import BadLength, BodyTooLarge, Incomplete

PLAIN = [("Content-Type", "text/plain; charset=utf-8")]


@pytest.mark.parametrize(
    ("error", "text", "crash"),
    [
        (BackendError("no"), True, False),
        (ModifierError("no", 403), True, False),
        (MergeError([]), True, False),
        (BodyTooLarge(5), False, False),
        (Incomplete(1, 2), False, False),
        (KeyError("secret"), False, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_has_a_text_or_is_a_crash_or_neither(error, text, crash):
    assert (has_text(error), is_crash(error)) == (text, crash)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackendError("no"), (500, b"no", PLAIN)),
        (KeyError("secret"), (500, b"", [])),
        (BodyTooLarge(5), (413, b"", [])),
        (BadLength("x"), (400, b"", [])),
        (Incomplete(1, 2), (400, b"", [])),
        (BadRequest(), (400, b"", [])),
        (ModifierError("no", 403, "a/b"), (403, b"no", [("Content-Type", "a/b")])),
        (MergeError([BackendError("a"), KeyError("secret"), BackendError("b")]), (500, b"a\n\nb", PLAIN)),
        (MergeError([BackendError("a"), ModifierError("c", 429)]), (429, b"c", PLAIN)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_is_told(error, told):
    assert reply_to(error, tell=True, compat=False) == told
    assert reply_to(error, tell=False, compat=False)[:2] == (told[0], b"")


def test_under_compat_several_errors_are_a_500():
    error = MergeError([BackendError("a"), ModifierError("c", 429, "", {"A": "1"})])
    assert reply_to(error, tell=True, compat=True) == (500, b"a\nc", PLAIN)
