"""nginx's variables for ``kong.nginx.get_var``, as far as WSGI has them; any other is None (nginx: nil).

Names and meanings: https://nginx.org/en/docs/varindex.html. Values are WSGI's latin-1 text.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from plugmw.schema.typedefs import split_port
from plugmw.telemetry.log_entry import request_size
from plugmw.wsgi import request_target
from plugmw.wsgi.headers import basic_credentials, cgi_key, cookie_values

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

#: Variables that are an environ key.
_KEYS: Final = {
    "remote_addr": "REMOTE_ADDR",
    "remote_port": "REMOTE_PORT",
    "request_method": "REQUEST_METHOD",
    "args": "QUERY_STRING",
    "query_string": "QUERY_STRING",
    "scheme": "wsgi.url_scheme",
    "server_port": "SERVER_PORT",
    "server_name": "SERVER_NAME",
    "server_protocol": "SERVER_PROTOCOL",
    "content_type": "CONTENT_TYPE",
    "content_length": "CONTENT_LENGTH",
    "ssl_protocol": "SSL_PROTOCOL",
    "ssl_cipher": "SSL_CIPHER",
    "uri": "PATH_INFO",
    "document_uri": "PATH_INFO",
}


def _host(x: Exchange) -> str:
    """Return the Host header's name in lower case without a port, or the server's own name."""
    name = split_port(str(x.environ.get("HTTP_HOST") or ""))[0].lower()
    return name or str(x.environ.get("SERVER_NAME", ""))


def _request(x: Exchange) -> str:
    target = request_target.sent(x.environ)
    return f"{x.environ['REQUEST_METHOD']} {target} {x.environ.get('SERVER_PROTOCOL', 'HTTP/1.1')}"


def _remote_user(x: Exchange) -> str | None:
    """Return the user of basic authentication, whether or not anybody has checked it."""
    credentials = basic_credentials(str(x.environ.get("HTTP_AUTHORIZATION", "")))
    return None if credentials is None else credentials.partition(b":")[0].decode("latin-1")


def _is_args(x: Exchange) -> str:
    return "?" if x.environ.get("QUERY_STRING") else ""


def _status(x: Exchange) -> str | None:
    return str(x.status) if x.status else None


_COMPUTED: Final[dict[str, Callable[[Exchange], str | None]]] = {
    "host": _host,
    "is_args": _is_args,
    "kong_request_id": lambda x: x.request_id,
    "pid": lambda x: str(os.getpid()),
    "remote_user": _remote_user,
    "request": _request,
    "request_id": lambda x: x.request_id,
    "request_length": lambda x: str(request_size(x)),
    "request_uri": lambda x: request_target.sent(x.environ),
    "status": _status,
}


def _argument(x: Exchange, name: str) -> str | None:
    """Return the first argument of that name as it was sent; nginx looks at no case."""
    for pair in str(x.environ.get("QUERY_STRING", "")).split("&"):
        key, found, value = pair.partition("=")
        if found and key.lower() == name.lower():
            return value
    return None


def _cookie(x: Exchange, name: str) -> str | None:
    return next(iter(cookie_values(str(x.environ.get("HTTP_COOKIE", "")), name)), None)


def _in_environ(x: Exchange, key: str) -> str | None:
    value = x.environ.get(key)
    return None if value is None else str(value)


_FAMILIES: Final[dict[str, Callable[[Exchange, str], str | None]]] = {
    "arg_": _argument,
    "cookie_": _cookie,
    "http_": lambda x, name: _in_environ(x, cgi_key(name)),
}


def get(x: Exchange, name: str) -> str | None:
    """Return the value of a variable, None where there is none."""
    if name in _COMPUTED:
        return _COMPUTED[name](x)
    if name in _KEYS:
        return _in_environ(x, _KEYS[name])
    for prefix, read in _FAMILIES.items():
        if name.startswith(prefix):
            return read(x, name[len(prefix) :])
    return None
