"""Plugins made in one line.

plugin = made("hello", 500, header_filter=lambda x: x.add_header("X-Hello", "world"))
journal = []; plugin = noting("a", journal, "access", "log")     # journal: ["a.access", "a.log"]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plugmw.plugin import Plugin


def made(name: str = "made", priority: float = 0, /, **members: Any) -> Any:
    """Return a plugin object; functions given are its phase methods, called without ``self``."""
    wrapped = {
        key: staticmethod(value) if callable(value) and not isinstance(value, type) else value
        for key, value in members.items()
    }
    return type(name.title().replace("-", ""), (Plugin,), {"name": name, "priority": priority, **wrapped})()


def noting(name: str, journal: list[str], *phases: str, priority: float = 0, **members: Any) -> Any:
    """Return a plugin that notes ``name.phase`` in ``journal`` and does nothing else."""

    def note(phase: str) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            journal.append(f"{name}.{phase}")
            return args[1] if phase == "body_filter" else None

        return called

    return made(name, priority, **{phase: note(phase) for phase in phases}, **members)


def nothing(*phases: str, name: str = "nothing", priority: float = 0, **members: Any) -> Any:
    """Return a plugin that does nothing in ``phases``."""
    return noting(name, [], *phases, priority=priority, **members)
