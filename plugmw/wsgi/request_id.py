"""The id of a request, for logs and for the bodies of errors: the same wherever it is asked for."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def request_id(environ: WSGIEnvironment) -> str:
    """Return a random id, 32 hexadecimal digits, kept in ``environ["plugmw.request_id"]``."""
    known = environ.get(keys.REQUEST_ID)
    if known is None:
        known = environ[keys.REQUEST_ID] = uuid.uuid4().hex
    return str(known)
