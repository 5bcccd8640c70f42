"""Plugins made in one line.

plugin = made("hello", 500, header_filter=lambda x: x.add_header("X-Hello", "world"))
journal = []; plugin = noting("a", journal, "access", "log")     # journal: ["a.access", "a.log"]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin


def made(name: str = "made", priority: float = 0, /, **members: Any) -> Any:
    """Return a plugin object; functions given are its phase methods, called without ``self``."""
    wrapped = {
        key: staticmethod(value) if callable(value) and not isinstance(value, type) else value
        for key, value in members.items()
    }
    if members.get("authenticates"):
        wrapped.setdefault("credential_names", ())
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


def wrapping(app: Any) -> Any:
    """Wrap an app in a middleware that does nothing."""

    def middle(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return middle


ALL = ("rewrite", "access", "header_filter", "body_filter", "log", "init_worker")
#: Sets of plugins that change nothing, in every phase and mixture; made anew for each gateway.
KINDS: dict[str, Callable[[], list[Any]]] = {
    "none": list,
    "everything": lambda: [nothing(*ALL)],
    "rewrite": lambda: [nothing("rewrite")],
    "access": lambda: [nothing("access")],
    "header_filter": lambda: [nothing("header_filter")],
    "body_filter": lambda: [nothing("body_filter")],
    "body_filter that keeps the length": lambda: [nothing("body_filter", keeps_length=True)],
    "response": lambda: [nothing("response")],
    "response that does not want it": lambda: [nothing("response", wants_body=lambda x: False)],
    "log": lambda: [nothing("log")],
    "wrap": lambda: [made(wrap=wrapping)],
    "early header asked and taken back": lambda: [
        made(access=lambda x: x.add_header("X-A", "1"), header_filter=lambda x: x.remove_header("X-A"))
    ],
    "chosen by when": lambda: [Entry(nothing(*ALL), when=lambda x: True)],
    "not chosen": lambda: [Entry(nothing(*ALL), when=lambda x: False)],
    "open": lambda: [Entry(nothing(*ALL), on_error="open")],
    "response over body_filter and log": lambda: [
        nothing("response", name="r", priority=2),
        nothing("body_filter", "log", name="b", priority=1),
    ],
    "cut by a wrapper": lambda: [
        nothing(*ALL, name="outer", priority=3),
        made("middle", 2, wrap=wrapping),
        nothing(*ALL, name="inner", priority=1),
    ],
    "body_filter inside, response outside": lambda: [
        nothing("response", "log", name="outer", priority=3),
        made("middle", 2, wrap=wrapping),
        nothing("body_filter", "log", name="inner", priority=1),
    ],
}


def filters(kind: str) -> bool:
    """Say whether a kind of :data:`KINDS` filters bodies chunk by chunk."""
    return "body_filter" in kind or kind in ("everything", "chosen by when", "open", "cut by a wrapper")


def buffers(kind: str) -> bool:
    """Say whether a kind reads answers whole."""
    return "response" in kind and kind != "response that does not want it"
