"""``request.consumer`` in views."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from plugmw.wsgi import keys

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class ConsumerMiddleware:
    """Sets ``request.consumer`` to the authenticated consumer, or None."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.consumer = request.META.get(keys.CONSUMER)
        return self.get_response(request)
