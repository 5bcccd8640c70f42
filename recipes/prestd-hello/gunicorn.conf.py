"""Two workers with threads; each loads a plugin file at the first request for it."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 2
threads = 4
