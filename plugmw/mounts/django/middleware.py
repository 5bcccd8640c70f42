"""``request.consumer`` in views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plugmw.wsgi import keys


class ConsumerMiddleware:
    """Sets ``request.consumer`` to the authenticated consumer, or None."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        request.consumer = request.META.get(keys.CONSUMER)
        return self.get_response(request)
