"""One worker, so that the log reads as KrakenD's."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8080"
workers = 1
