"""Sphinx with Furo; warnings are errors (``tox -e docs``, ``sh tests/run``)."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import plugmw  # noqa: E402

project = "plugmw"
copyright = "the plugmw contributors"
version = release = plugmw.__version__

extensions = ["plugin_fields"]
nitpicky = True
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"plugmw {version}"
