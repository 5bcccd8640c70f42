"""A logger that keeps lines, and registerers to load."""

from __future__ import annotations

import logging
from itertools import count

import pytest

_names = count()


class Lines(logging.Handler):
    """Keeps every record as ``LEVEL: text``."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname}: {record.getMessage()}")


@pytest.fixture
def log():
    """A logger of its own; ``log.lines`` is what it was told."""
    handler = Lines()
    logger = logging.Logger(f"krakend-test-{next(_names)}", logging.DEBUG)
    logger.addHandler(handler)
    logger.lines = handler.lines
    return logger


#: A module that exposes one handler; it puts its name into the trace of every request.
HANDLER = """
class Registerer:
    def register_handlers(self, f):
        f({name!r}, self.factory)

    def factory(self, context, extra, h):
        def app(environ, start_response):
            environ.setdefault("trace", []).append({name!r})
            return h(environ, start_response)
        return app

HandlerRegisterer = Registerer()
"""

MODIFIER = """
class Registerer:
    def register_modifiers(self, f):
        f({name!r}, lambda extra: lambda wrapper: None, True, False)

ModifierRegisterer = Registerer()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make plugin files in ``plugins/`` of a working directory of its own; return a function for that."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()

    def write(name, source):
        (tmp_path / "plugins" / name).write_text(source, encoding="utf-8")

    return write
