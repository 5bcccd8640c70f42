"""Run the supervisor by the path of this file, isolated, with nothing else of plugmw loaded.

Its modules import each other, and the one other module that they need, by their full names: these
two are registered here, so that Python does not look for the packages above them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Final

_HERE: Final = os.path.dirname(os.path.abspath(__file__))
_PLUGMW: Final = os.path.normpath(os.path.join(_HERE, *[os.pardir] * 4))


def _register(name: str, path: str) -> None:
    """Load a file as the module ``name``."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    _register("plugmw.concurrency.process", os.path.join(_PLUGMW, "concurrency", "process.py"))
    _register("plugmw.dialects.kong.servers.supervisor", os.path.join(_HERE, "__init__.py"))

    from plugmw.dialects.kong.servers.supervisor.loop import main

    main()
