"""``HTTPVars`` and ``URLQuery``: global names of a plugin file that mean the call in force.

prestd sets two package variables before it calls a function, and lets one call at a time into a library.
Here many calls run at once, in threads or greenlets, so the names are bound to nothing in the module: its
functions look for them among the builtins, and the builtins of a plugin file are a dict that answers for
the call in force. What a function gets is a plain dict, which every serialiser takes.

Outside of a call (in a thread that the function has started, or while its answer streams) both are empty.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Container
from functools import cached_property
from types import ModuleType
from typing import Final
from urllib.parse import parse_qs

from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.user_code import guarded
from plugmw.wsgi.text import decode

#: The names that prestd knows, in the order in which it asks for them.
VARIABLES: Final = ("HTTPVars", "URLQuery")


class Call(Exchange):
    """The exchange of a request for one function."""

    #: What the path says: ``file`` and ``func``.
    http_vars: dict[str, str]

    @cached_property
    def url_query(self) -> dict[str, list[str]]:
        """The values of the query by name, names in Go's order (sorted)."""
        text = decode(self.environ.get("QUERY_STRING", ""), "replace")
        return dict(sorted(parse_qs(text, keep_blank_values=True).items()))

    def run(self, function: Callable[..., object], *arguments: object) -> object:
        """Call a function with this call in force."""
        return guarded(self, None, function, *arguments)


class Builtins(dict[str, object]):
    """The builtins of a plugin file: Python's, and the variables of the call in force."""

    def __init__(self) -> None:
        super().__init__(vars(builtins))

    def __missing__(self, name: str) -> object:
        if name not in VARIABLES:
            return vars(builtins)[name]  # put there since, or a KeyError
        call = context.exchange()
        if not isinstance(call, Call):
            return {}
        return call.http_vars if name == "HTTPVars" else call.url_query


def declared(module: ModuleType) -> frozenset[str]:
    """Return which variables a module declares, with or without a value, and take the values away.

    Without them its functions find those of the call in force. Raises ``TypeError`` for a value of another
    type, which prestd could not set either.
    """
    annotated = _annotations(module)
    names = frozenset(name for name in VARIABLES if name in annotated or name in vars(module))
    for name in names:
        value = vars(module).pop(name, None)
        if not isinstance(value, dict | None):
            raise TypeError(f"{name}: got {type(value).__name__}, expected a dict")
    return names


if sys.version_info >= (3, 14):  # pragma: no cover (the other one before)
    import annotationlib

    def _annotations(module: ModuleType) -> Container[str]:
        # They may hold names that only type checkers know.
        return annotationlib.get_annotations(module, format=annotationlib.Format.FORWARDREF)

else:  # pragma: no cover

    def _annotations(module: ModuleType) -> Container[str]:
        return module.__annotations__
