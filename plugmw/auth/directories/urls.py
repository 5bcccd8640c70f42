"""Opening a consumer store by its URL."""

from __future__ import annotations

import os
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from plugmw.auth.directories.database import Database
from plugmw.auth.directories.sql import SQLDirectory
from plugmw.errors import ConfigError
from plugmw.stores.urls import redact

#: Seconds of each wait: for a connection, for an answer, for other threads.
TIMEOUT: Final = 1.0
KINDS: Final = "sqlite:///path or postgresql://user@host/database"


def open_directory(url: str, timeout: float = TIMEOUT) -> SQLDirectory:
    """Return the directory that the URL names, without connecting to it or opening files yet."""
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "sqlite":
        return SQLDirectory(_sqlite(url, timeout))
    if scheme in ("postgresql", "postgres"):
        return SQLDirectory(_postgres(url, timeout))
    raise ConfigError("consumer_store", f"got {redact(url)!r}", KINDS)


def _sqlite(url: str, timeout: float) -> Database[Any]:
    from plugmw.auth.directories.sqlite import SQLite

    parts = urlsplit(url)
    path = unquote(parts.path)
    # SQLAlchemy writes an absolute path with a slash more.
    path = "/" + path.lstrip("/")
    if parts.netloc or parts.query or parts.fragment or path.endswith("/") or "\0" in path:
        raise ConfigError("consumer_store", f"got {redact(url)!r}", "sqlite:///path/of/a/file")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        problem = f"got {redact(url)!r}"
        raise ConfigError("consumer_store", problem, f"a file in a folder that exists, {folder!r} does not")
    return SQLite(path, timeout)


def _postgres(url: str, timeout: float) -> Database[Any]:
    try:
        from plugmw.auth.directories.postgres import Postgres
    except ModuleNotFoundError as error:
        problem = f"got {redact(url)!r}, but psycopg is not installed"
        raise ConfigError("consumer_store", problem, "pip install 'plugmw[postgres]'") from error
    try:
        return Postgres(url, redact(url), timeout)
    except ValueError:
        # Its own message may quote a piece of a password.
        expected = "postgresql://user@host:port/database; special characters in a password as %2F and so on"
        raise ConfigError("consumer_store", f"got {redact(url)!r}", expected) from None
