"""One worker, so that the log reads as KrakenD's; threads, because the gateway is its own backend."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8080"
workers, threads = 1, 4
