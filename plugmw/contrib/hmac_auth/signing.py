"""Signed requests (draft-cavage-http-signatures-00, as Kong reads it): dates, the text that is signed."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.request_target import sent

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def signing_text(environ: WSGIEnvironment, names: Sequence[str]) -> bytes:
    """Return the text that is signed: one line for each name."""
    return "\n".join(_line(environ, name) for name in names).encode("latin-1")


def _line(environ: WSGIEnvironment, name: str) -> str:
    key = cgi_key(name)
    value = environ.get(key)
    # Servers set these two empty when there is no such header.
    if value or (value is not None and key.startswith("HTTP_")):
        return f"{name}: {value}"
    method = environ["REQUEST_METHOD"]
    if name == "@request-target":
        return f"{name}: {method.lower()} {sent(environ)}"
    if name == "request-line":
        version = environ.get("SERVER_PROTOCOL", "HTTP/1.1")
        return f"{method} {sent(environ)} {version}{'' if '.' in version else '.0'}"
    return f"{name}:"


def signature(secret: bytes, algorithm: str, text: bytes) -> bytes:
    """Sign a text."""
    return hmac.digest(secret, text, algorithm.removeprefix("hmac-"))


def http_time(text: str) -> int | None:
    """Read an HTTP date (RFC 9110 section 5.6.7) in unix seconds: its three forms, None for all else."""
    found = next(filter(None, (form(text) for form in _FORMS)), None)
    if found is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 2000 if year < 70 else 1900  # as nginx reads them
    month = _MONTHS.find(found["month"]) // 3 + 1
    try:
        day = datetime(year, month, int(found["day"]), tzinfo=timezone.utc)
        moment = day.replace(hour=int(found["h"]), minute=int(found["m"]), second=int(found["s"]))
    except ValueError:
        return None
    return int(moment.timestamp())


_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_CLOCK: Final = r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
_FORMS: Final = tuple(
    re.compile(form, re.ASCII).fullmatch
    for form in (
        rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_CLOCK} GMT",
        rf"[A-Z][a-z]+, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{{2}})-(?P<year>\d\d) {_CLOCK} GMT",
        rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})",
    )
)
