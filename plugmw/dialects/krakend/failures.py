"""Errors between an endpoint and its backends, with texts that may be sent to clients.

Texts are sent only under ``return_error_msg``, and never name hosts; the cause (``__cause__``) goes into
the log.
"""

from __future__ import annotations

from http.client import HTTPException
from typing import Final

from plugmw.dialects.krakend.wrappers import Answer, answer_of, value_of
from plugmw.errors import PlugmwError
from plugmw.upstream.connections import NotConnected
from plugmw.upstream.forwarding import BadRequest
from plugmw.wsgi.body import BadLength, BodyTooLarge, Incomplete

TOO_LATE: Final = "context deadline exceeded"
#: Statuses for errors of the request itself; the answer has no text.
_OF_CLIENT: Final = {BodyTooLarge: 413, BadLength: 400, Incomplete: 400, BadRequest: 400}


class BackendError(PlugmwError):
    """A backend gave no good reply; the text says why."""

    def __str__(self) -> str:
        return str(self.args[0])


class MergeError(PlugmwError):
    """No backend of several gave a good reply; ``errors`` says why, in the order of the backends."""

    def __init__(self, errors: list[Exception]) -> None:
        super().__init__("\n".join(str(error) if has_text(error) else "" for error in errors))
        self.errors = errors


def has_text(error: BaseException) -> bool:
    """Say whether an exception has a text that is meant for clients."""
    return isinstance(error, (BackendError, MergeError)) or isinstance(value_of(error, "status_code"), int)


def is_crash(error: BaseException) -> bool:
    """Say whether an exception is unexpected: a fault in the code of a plugin, the app or plugmw."""
    return not has_text(error) and type(error) not in _OF_CLIENT


def reason_of(error: Exception) -> str:
    """Return why a backend did not answer, as it is counted; "" where it did, or was not asked."""
    cause = error.__cause__
    if str(error) == TOO_LATE:
        return "timeout"
    if isinstance(cause, NotConnected):
        return "connect"
    return "answer" if isinstance(cause, (OSError, HTTPException)) else ""


def reply_to(error: Exception, tell: bool, compat: bool) -> Answer:
    """Return status, body and headers for an error.

    Of several backends' errors the first with a status answers; in ``compat`` it is 500 with all texts.
    """
    status = _OF_CLIENT.get(type(error))
    if status is not None:
        return status, b"", []
    if isinstance(error, MergeError) and not compat:
        with_status = (one for one in error.errors if isinstance(value_of(one, "status_code"), int))
        error = next(with_status, error)
    return answer_of(error, tell and has_text(error))
