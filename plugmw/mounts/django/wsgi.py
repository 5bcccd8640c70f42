"""The gateway round Django's WSGI handler, configured by ``settings.PLUGMW``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.conf import settings

from plugmw.errors import ConfigError
from plugmw.gateway import Gateway, GatewayOptions
from plugmw.mounts.starting import errors_alone

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from typing_extensions import Unpack

    from plugmw.documents import Document
    from plugmw.documents.files import Source


def wrap_django(
    application: WSGIApplication, config: Source | Document = None, **options: Unpack[GatewayOptions]
) -> Gateway:
    """Return the gateway to name ``application`` in ``wsgi.py``; ``runserver`` uses it too.

    ``config`` is a path or a mapping, ``settings.PLUGMW`` if None; ``options`` are those of
    :class:`~plugmw.gateway.Gateway`. Raises :class:`~plugmw.errors.ConfigErrors`. Django's test client
    calls views without any WSGI application, so it passes the gateway by: use ``werkzeug.test.Client``.
    """
    if config is None and not (options.get("plugins") and getattr(settings, "PLUGMW", None) is None):
        config = setting()
    with errors_alone():
        return Gateway(application, config, **options)


def setting() -> Source:
    """Return ``settings.PLUGMW``, a relative path made absolute from ``BASE_DIR``; ConfigError if missing."""
    config: Source = getattr(settings, "PLUGMW", None)
    if config is None:
        raise ConfigError("PLUGMW", "missing", "a path or a mapping", "settings")
    if isinstance(config, (str, os.PathLike)):
        return os.path.join(getattr(settings, "BASE_DIR", ""), config)
    return config
