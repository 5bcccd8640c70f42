"""The directory of an ldap-auth case: accepted DN and password pairs instead of a server."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any
from unittest import mock


@contextlib.contextmanager
def directory(given: dict[str, Any] | None) -> Iterator[None]:
    """Answer binds from ``given["binds"]`` while it lasts; nothing is reachable if it says so.

    What opens connections is replaced, so that the plugin and its pool run as they are.
    """
    if given is None:
        yield
        return
    from plugmw.contrib.ldap_auth import ldap

    def connect(server: ldap.Server, end: float) -> ldap.Link:
        if not given["reachable"]:
            raise ldap.Unreachable("nothing is reachable")
        return _Link(given["binds"])

    with mock.patch("plugmw.contrib.ldap_auth.plugin.Pool", functools.partial(ldap.Pool, connect=connect)):
        yield


class _Link:
    """A connection to nothing: it knows who may bind."""

    def __init__(self, binds: dict[str, str]) -> None:
        self._binds = binds

    def bind(self, dn: str, password: str, end: float) -> str | None:
        return None if self._binds.get(dn) == password else "invalidCredentials"

    def has_news(self) -> bool:
        """Say that the directory has neither closed it nor sent anything unasked."""
        return False

    def close(self) -> None:
        """Hold nothing."""
