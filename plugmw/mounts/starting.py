"""What is wrong at the start, shown as its lines and nothing else, wherever a server lets us.

Under gunicorn, its ``--check-config`` and Flask's commands the errors come alone. Where an app is imported by
whatever prints a traceback of any exception (``python app.py``, uWSGI, mod_wsgi), they are its last lines.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final, NoReturn

from plugmw.errors import PlugmwError

#: Seconds for all workers of a server to come to the point of failing; gunicorn forks ten or more in one.
LINGER: Final = 3.0


@contextmanager
def errors_alone() -> Iterator[None]:
    """Raise what is wrong so that whoever starts the app shows the errors without a traceback."""
    try:
        yield
    except PlugmwError as error:
        _end(error)


def _end(error: PlugmwError) -> NoReturn:
    """Raise ``error`` as it is, or what is of its class and also what the server halts or reports for."""
    forms = [*_of_click(), *_of_gunicorn()]
    if "--check-config" in sys.argv and "gunicorn.app.base" in sys.modules:
        # It prints a traceback of every exception; this is what it means to do next.
        raise SystemExit(str(error)) from None
    if not forms:
        raise error
    with _one_of_all_workers() if "gunicorn.arbiter" in sys.modules else nullcontext():
        raise _as(error, forms) from None


def _of_gunicorn() -> list[type[Exception]]:
    """Return what the arbiter catches: in a worker the one, with ``--preload`` the other."""
    if "gunicorn.arbiter" not in sys.modules:
        return []
    from gunicorn.errors import AppImportError

    return [AppImportError, RuntimeError]


def _of_click() -> list[type[Exception]]:
    """Return what ends a command of Click, if one runs, as Flask's do."""
    if "click" not in sys.modules:
        return []
    import click

    return [] if click.get_current_context(silent=True) is None else [click.ClickException]


def _as(error: PlugmwError, forms: list[type[Exception]]) -> PlugmwError:
    """Return ``error`` as an exception of its own class and of these."""
    kind: type[PlugmwError] = type(type(error).__name__, (type(error), *forms), {})
    alone = PlugmwError.__new__(kind)
    for form in forms:
        vars(alone).update(vars(form(str(error))))
    vars(alone).update(vars(error))
    alone.args = error.args
    return alone


@contextmanager
def _one_of_all_workers() -> Iterator[None]:
    """Let one worker of this server fail, the others wait for the end that follows.

    Without this every worker prints the same lines, and gunicorn (23 to 27) ends with a traceback of its
    own when a second worker fails while it is already halting for the first.
    """
    with socket.socket(socket.AF_UNIX) as mark:
        try:
            # An abstract name: held while this process lives, and no file is left behind.
            mark.bind(f"\0plugmw-start-{os.getppid()}")
        except (OSError, ValueError):
            if sys.platform == "linux":
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                time.sleep(4 * LINGER)
        else:
            time.sleep(LINGER)
        yield
