"""Four workers, whose plugins start after the fork and are closed at the end."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 4
