"""One worker, so that the log reads as KrakenD's."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 1
