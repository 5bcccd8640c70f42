"""Refuse requests whose body is larger than a limit."""

from plugmw.contrib.request_size_limiting.plugin import RequestSizeLimiting as RequestSizeLimiting
