"""A gateway round an app that is named, for servers that take a string: no code changes.

    gunicorn -c python:plugmw.mounts.gunicorn "plugmw:wrap('mysite.wsgi:application', 'gateway.yaml')"

The same in Python is ``plugmw.wrap(app, "gateway.yaml")``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugmw.errors import LoadError
from plugmw.gateway import Gateway, GatewayOptions
from plugmw.mounts.starting import errors_alone

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from typing_extensions import Unpack

    from plugmw.documents import Document
    from plugmw.documents.files import Source


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
    with errors_alone():
        return Gateway(_named(app) if isinstance(app, str) else app, config, **options)


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
