"""Four workers, each of which takes a change by itself."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 4
