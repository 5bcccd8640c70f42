"""Two workers; init_worker runs in each of them after the fork. kong.log.notice is shown."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 2
logconfig_dict = {
    "loggers": {"plugmw": {"level": 25, "handlers": ["error_console"], "propagate": False}},
}
