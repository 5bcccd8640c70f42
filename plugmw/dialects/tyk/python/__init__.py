"""Tyk's own Python plugins, run unchanged in the process of the app."""

from plugmw.dialects.tyk.python.hooks import python_hooks as python_hooks
