"""The directory of an ldap-auth case: accepted DN and password pairs instead of a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def directory(given: dict[str, Any] | None) -> Iterator[None]:
    """Answer binds from ``given["binds"]`` while it lasts; nothing is reachable if it says so."""
    if given is None:
        yield
        return
    from plugmw.contrib.ldap_auth import LDAPAuth
    from plugmw.ldap import Unreachable

    def binder(dn: str, password: str, config: Any) -> str | None:
        if not given["reachable"]:
            raise Unreachable("nothing is reachable")
        return None if given["binds"].get(dn) == password else "invalidCredentials"

    LDAPAuth.binder, before = staticmethod(binder), LDAPAuth.binder
    try:
        yield
    finally:
        LDAPAuth.binder = before
