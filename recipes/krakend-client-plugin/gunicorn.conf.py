"""One worker with four threads."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers, threads = 1, 4
