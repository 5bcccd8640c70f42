"""Flask: the gateway round ``app.wsgi_app``, and the consumer where Flask code looks for it.

    app = Flask(__name__)
    PlugMW(app, "gateway.yaml")

or in an application factory, with ``PLUGMW_CONFIG`` in ``app.config``:

    plugmw = PlugMW()

    def create_app():
        app = Flask(__name__)
        app.config["PLUGMW_CONFIG"] = "gateway.yaml"
        plugmw.init_app(app)
        return app

    @app.get("/")
    def index():
        return f"hello {current_consumer.username}"      # also flask.g.consumer; None if nobody is known
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from plugmw.errors import ConfigError
from plugmw.gateway import Gateway, GatewayOptions
from plugmw.kernel.identity import Consumer
from plugmw.mounts.extras import need
from plugmw.mounts.starting import errors_alone
from plugmw.wsgi import keys

need("flask")

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from plugmw.documents import Document
    from plugmw.documents.files import Source

from flask import Flask, g, has_request_context, request  # noqa: E402
from werkzeug.local import LocalProxy  # noqa: E402


class PlugMW:
    """The Flask extension; ``app.extensions["plugmw"]`` is the gateway of an app."""

    def __init__(
        self, app: Flask | None = None, config: Source | Document = None, **options: Unpack[GatewayOptions]
    ) -> None:
        """Wrap ``app`` now, or each app later by :meth:`init_app`; arguments as there.

        ``options`` hold objects that belong to one app, so without an app there can be none.
        """
        self.config = config
        if app is not None:
            self.init_app(app, **options)
        elif options:
            raise TypeError(f"{', '.join(options)}: given without an app, expected in init_app")

    def init_app(
        self, app: Flask, config: Source | Document = None, **options: Unpack[GatewayOptions]
    ) -> None:
        """Wrap ``app.wsgi_app``.

        ``config`` is a path or a mapping; the one given to the class, then ``app.config["PLUGMW_CONFIG"]``
        stand in for it. A relative path is taken as ``app.config.from_file`` takes it: from the
        application's folder, or from its instance folder with ``instance_relative_config``. ``options``
        are those of :class:`~plugmw.gateway.Gateway`. Raises :class:`~plugmw.errors.ConfigErrors`, and
        ``RuntimeError`` for an app that has a gateway already.
        """
        if "plugmw" in app.extensions:
            raise RuntimeError("this Flask app has a gateway already, expected one PlugMW for each app")
        if config is None:
            config = self.config if self.config is not None else app.config.get("PLUGMW_CONFIG")
        if config is None and not options.get("plugins"):
            raise ConfigError("PLUGMW_CONFIG", "missing", "a path or a mapping", "app.config")
        if isinstance(config, (str, os.PathLike)):
            config = os.path.join(app.config.root_path, config)
        with errors_alone():
            gateway = Gateway(app.wsgi_app, config, **options)
        app.wsgi_app = gateway  # type: ignore[method-assign]
        app.extensions["plugmw"] = gateway
        app.before_request(_consumer_to_g)


def _consumer_to_g() -> None:
    g.consumer = _consumer()


def _consumer() -> Consumer | None:
    return request.environ.get(keys.CONSUMER) if has_request_context() else None


#: The authenticated :class:`~plugmw.kernel.identity.Consumer` of this request; without one false, and equal
#: to None.
current_consumer: Consumer = LocalProxy(_consumer)  # type: ignore[assignment]
