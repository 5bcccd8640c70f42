"""A directory of whatever stands for one in code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from plugmw.auth import consumers
from plugmw.auth.directories.callables import CallableDirectory, Find
from plugmw.auth.directories.urls import open_directory
from plugmw.kernel.identity import Directory

#: A directory, the URL of a consumer store, a callable, or a list as in a configuration.
Consumers: TypeAlias = "Directory | str | Find | Sequence[Mapping[str, object]]"


def directory(source: Consumers) -> Directory:
    """Return a directory: ``source`` itself, or one of a list, a callable or the URL of a consumer store.

    ConfigErrors for a bad list, ConfigError for a bad URL; nothing is opened.
    """
    if isinstance(source, str):
        return open_directory(source)
    if callable(source) and not hasattr(source, "credential"):
        return CallableDirectory(source)
    return consumers.directory(source)
