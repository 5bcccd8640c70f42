"""Two workers; whichever comes first fetches the bundle, the other one finds it on disk."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 2
