"""Plugins start after the fork and are closed at exit."""

from plugmw.mounts.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
