"""Gateways as users build them; checked by mypy, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugmw import Entry, Gateway, Plugin, wrap
from plugmw.testing import get

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Hello(Plugin):
    name, priority = "hello", 500


def of_documents(app: WSGIApplication) -> list[Gateway]:
    return [
        Gateway(app, "gateway.yaml", store="memory://"),
        Gateway.from_kong(app, "kong.yaml", strict=True, compat="kong"),
        Gateway.from_tyk(None, ["one.json", "other.json"]),
        wrap("mysite.wsgi:application", {"plugins": []}, dialect="krakend", reload=False),
    ]


def of_plugins(app: WSGIApplication) -> Gateway:
    return wrap(app, plugins=[Hello(), Entry(Hello(), route="api"), {"name": "cors"}])


status: int = get([Hello(), Entry(Hello())], path="/x", headers={"A": "b"}).status_code


def mistakes(app: WSGIApplication) -> None:
    Gateway.from_kong(app, "kong.yaml", dialect="kong")  # type: ignore[call-arg]
    wrap(app, 5)  # type: ignore[arg-type]
    wrap(app, stores="memory://")  # type: ignore[call-arg]
    wrap(app, dialect="nginx")  # type: ignore[arg-type]
