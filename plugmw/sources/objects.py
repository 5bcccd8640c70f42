"""Objects named in a configuration as ``module:attribute``."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from plugmw.errors import LoadError


def resolve(reference: str) -> Any:
    """Import ``module:attribute.of.it``; raises :class:`LoadError` saying which part failed and why."""
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise LoadError(reference, f"got {reference!r}", "module:attribute")
    # gunicorn and console scripts differ in this: an app's own modules are found from where it is run.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise LoadError(reference, f"import failed: {type(error).__name__}: {error}") from error
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            known = ", ".join(sorted(n for n in vars(found) if not n.startswith("_"))[:12])
            raise LoadError(reference, f"{module_name} has no {part!r}", f"one of {known}") from None
    return found
