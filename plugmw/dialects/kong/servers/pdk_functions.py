"""Functions that Kong has for plugin servers only, or has under another name in process."""

from __future__ import annotations

from typing import Any

from plugmw.dialects.kong.pdk import kong
from plugmw.dialects.kong.pdk.client import Table
from plugmw.dialects.kong.servers import nginx_variables
from plugmw.dialects.kong.servers.converters import plain_or_none
from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange


def _exchange(name: str) -> Exchange:
    x = context.exchange()
    if x is None:
        raise RuntimeError(f"{name} cannot be called outside a request")
    return x


def get_shared(name: str) -> object:
    return plain_or_none(_exchange("kong.ctx.shared.get").ctx.get(name))


def set_shared(name: str, value: object) -> None:
    ctx = _exchange("kong.ctx.shared.set").ctx
    if value is None:
        ctx.pop(name, None)
    else:
        ctx[name] = value


def _private(name: str) -> dict[Any, Any]:
    _exchange(name)
    private = kong.ctx.plugin
    return {} if private is None else private


def get_private(name: str) -> object:
    return plain_or_none(_private("kong.ctx.plugin.get").get(name))


def set_private(name: str, value: object) -> None:
    _private("kong.ctx.plugin.set")[name] = value


def _nginx_ctx() -> dict[str, object]:
    ctx: dict[str, object] = _exchange("kong.nginx.get_ctx").state(_nginx_ctx).setdefault("ctx", {})
    return ctx


def get_nginx_ctx(name: str) -> object:
    return _nginx_ctx().get(name)


def set_nginx_ctx(name: str, value: object) -> None:
    _nginx_ctx()[name] = value


def get_var(name: str) -> str | None:
    """Return an nginx variable as far as WSGI has it."""
    return nginx_variables.get(_exchange("kong.nginx.get_var"), name)


def get_tls_version() -> str:
    return str(_exchange("kong.nginx.get_tls1_version_str").environ.get("SSL_PROTOCOL") or "")


def get_start_time() -> float:
    return _exchange("kong.nginx.req_start_time").started


def _with_id(value: Table | None) -> Table | None:
    return value if value and value.get("id") else None


def authenticate(consumer: Table | None = None, credential: Table | None = None) -> None:
    kong.client.authenticate(_with_id(consumer), _with_id(credential))
