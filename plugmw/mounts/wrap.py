"""A gateway round an app that is named, for servers that take a string: no code changes.

    gunicorn -c python:plugmw.mounts.gunicorn "plugmw:wrap('mysite.wsgi:application', 'gateway.yaml')"

The same in Python is ``plugmw.wrap(app, "gateway.yaml")``.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from plugmw.errors import LoadError, PlugmwError
from plugmw.gateway import Gateway, GatewayOptions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from typing_extensions import Unpack

    from plugmw.documents import Document
    from plugmw.documents.files import Source

#: Seconds for all workers of a server to come to the point of failing; gunicorn forks ten or more in one.
LINGER: Final = 3.0


def wrap(
    app: str | WSGIApplication | None, config: Source | Document = None, **options: Unpack[GatewayOptions]
) -> Gateway:
    """Return ``Gateway(app, config, **options)`` for an app named as on gunicorn's command line.

    ``app`` is ``module:name``, ``module`` (its ``application``), a factory call ``module:make('x')``, the app
    itself, or None for a gateway without one; ``config`` and ``options`` are those of
    :class:`~plugmw.gateway.Gateway`, a relative path is taken from the working directory. What is wrong with
    the names or the configuration is a :class:`~plugmw.errors.PlugmwError`; under gunicorn it ends the start
    with its lines and no traceback. An exception that the app's own code raises is left alone.
    """
    try:
        return Gateway(_named(app) if isinstance(app, str) else app, config, **options)
    except PlugmwError as error:
        _end(error)


def _named(reference: str) -> WSGIApplication:
    """Import the app by gunicorn's own rules."""
    from gunicorn.errors import AppImportError
    from gunicorn.util import import_app

    module = reference.partition(":")[0]
    try:
        app: WSGIApplication = import_app(reference)
    except AppImportError as error:
        raise LoadError(reference, str(error)) from None
    except ModuleNotFoundError as error:
        # Only the module that was asked for: one that it imports itself is the app's own failure.
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise LoadError(reference, str(error), "module:name, importable from here") from None
        raise
    return app


def _end(error: PlugmwError) -> NoReturn:
    """Raise ``error`` as it is, or under gunicorn in the form that it prints and halts for."""
    if "gunicorn.arbiter" not in sys.modules:
        raise error
    from gunicorn.errors import AppImportError

    class NoStart(AppImportError, RuntimeError):  # type: ignore[misc]
        """Caught by the arbiter: in a worker as the one, with ``--preload`` as the other."""

    with _one_of_all_workers():
        raise NoStart(str(error)) from None


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
