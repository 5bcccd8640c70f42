"""Requests and responses as WSGI has them: pure functions over an environ and lists of headers."""
