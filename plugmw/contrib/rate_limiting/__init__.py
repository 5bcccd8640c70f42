"""Limit how many requests a client may make per second, minute, hour, day, month or year."""

from plugmw.contrib.rate_limiting.plugin import RateLimiting as RateLimiting
