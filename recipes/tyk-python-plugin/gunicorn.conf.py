"""Two workers, which share what hooks store. What hooks log at info is shown."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 2
logconfig_dict = {
    "loggers": {"plugmw": {"level": "INFO", "handlers": ["error_console"], "propagate": False}},
}
