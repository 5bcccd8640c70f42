"""Two workers; libraries are loaded after the fork, at the first request for them."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 2
