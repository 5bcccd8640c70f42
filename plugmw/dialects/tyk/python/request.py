"""A request as hooks see it, and what they have made of it put back (``gateway/coprocess.go``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import attrs

from plugmw.dialects.go_http import canonical
from plugmw.dialects.tyk.python.messages import MiniRequestObject
from plugmw.dialects.tyk.session import TextMap
from plugmw.kernel.exchange import Exchange
from plugmw.schema.typedefs import http_method_problem
from plugmw.transform.rewriting import checked_path, grouped, replace_path, written
from plugmw.wsgi import keys, request_target
from plugmw.wsgi.forms import read_pairs, replace_query
from plugmw.wsgi.headers import headers_in
from plugmw.wsgi.paths import escape, full_path, unescape
from plugmw.wsgi.templates import Unrenderable
from plugmw.wsgi.text import decode, encode

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: Framing is the server's; there is no request without a Host.
_OURS: Final = frozenset(("content-length", "transfer-encoding"))


@attrs.frozen
class Changes:
    """What a hook has done to the headers and parameters of a request, to be done to another as well."""

    delete_headers: tuple[str, ...] = ()
    set_headers: Mapping[str, str] = {}
    delete_params: frozenset[str] = frozenset()
    add_params: Mapping[str, str] = {}

    @classmethod
    def of(cls, request: MiniRequestObject) -> Changes:
        """Return those of a request as a hook has left it."""
        return cls(
            tuple(request.delete_headers),
            dict(request.set_headers),
            frozenset(request.delete_params),
            dict(request.add_params),
        )

    def apply(self, x: Exchange) -> None:
        """Change a request; raises ``ValueError`` for headers that must not be sent."""
        self.apply_headers(x)
        query = x.environ.get("QUERY_STRING", "")
        changed = self.query(query)
        if changed != query:
            replace_query(x.environ, changed)

    def apply_headers(self, x: Exchange) -> None:
        """Change the headers alone."""
        for name in self.delete_headers:
            if name.lower() not in _OURS and name.lower() != "host":
                x.remove_request_header(name)
        for name, value in self.set_headers.items():
            if name.lower() not in _OURS:
                x.set_request_header(name, encode(value, "surrogateescape"))

    def query(self, query: str) -> str:
        """Return a query with the parameters changed."""
        before = grouped(read_pairs(query))
        after = {name: values for name, values in before.items() if name not in self.delete_params}
        after |= {name: [value] for name, value in self.add_params.items()}
        return query if after == before else written(dict(sorted(after.items())))


class Refused(Exception):
    """A hook asks for what cannot be done; the message says what."""


def request_object(x: Exchange, raw_only: bool = False) -> MiniRequestObject:
    """Return the request of an exchange; its body is read when the hook asks for it.

    A repeated header comes with its values joined: WSGI does not tell them apart.
    """
    environ = x.environ
    query = environ.get("QUERY_STRING", "")
    params = {name: values[0] or "" for name, values in grouped(read_pairs(query)).items()}
    return MiniRequestObject(
        headers=_headers(x),
        url=_url(environ),
        params=TextMap(params),
        method=x.method,
        request_uri=decode(request_target.sent(environ), "replace"),
        scheme=x.scheme,
        read=lambda: _body(x),
        raw_only=raw_only,
    )


def _body(x: Exchange) -> bytes:
    if x.phase != "access":
        # The app has read it; what is left is what somebody kept.
        kept = x.environ.get(keys.BODY)
        return kept[1] if kept is not None else b""
    return x.read_body()


def _headers(x: Exchange) -> TextMap:
    items = headers_in(x.environ, canonical)
    headers = TextMap({name: decode(value, "replace") for name, value in items})
    headers["Host"] = x.host
    return headers


def _url(environ: WSGIEnvironment) -> str:
    path = escape(full_path(environ))
    query = decode(environ.get("QUERY_STRING", ""), "replace")
    return f"{path}?{query}" if query else path


def apply_request(x: Exchange, request: MiniRequestObject, compat: bool = False) -> Changes:
    """Change the request to what a hook has made of it: body, headers, query, path, method.

    Returns what of it could be done to another request. Raises :class:`Refused`, and ``ValueError`` for
    headers that must not be sent.
    """
    body = request.changed(compat)
    if body is not None:
        x.replace_body(body)
    changes = Changes.of(request)
    changes.apply_headers(x)
    _apply_url(x.environ, request, changes, compat)
    if http_method_problem(request.method):
        raise Refused(f"method: got {request.method!r}, expected the name of an HTTP method")
    x.environ["REQUEST_METHOD"] = request.method
    return changes


def _apply_url(environ: WSGIEnvironment, request: MiniRequestObject, changes: Changes, compat: bool) -> None:
    query = environ.get("QUERY_STRING", "")
    base = query
    if request.url != _url(environ):
        path, asked = _parsed(request.url)
        _set_path(environ, path)
        base = query if compat else asked
    base = changes.query(base)
    if base != query:
        replace_query(environ, base)


def _parsed(url: str) -> tuple[str, str]:
    """Return path and query of a URL in WSGI's form; the host is the upstream's business."""
    if url.startswith("tyk://"):
        raise Refused(f"url: got {url!r}, but APIs do not call each other; expected a path or an http URL")
    try:
        parts = urlsplit(url)
        absolute = parts.scheme in ("http", "https") and bool(parts.netloc)
    except ValueError:
        absolute = False
    if not (absolute or url.startswith("/")) or not url.isprintable() or " " in url:
        raise Refused(f"url: got {url!r}, expected a path or an http URL")
    rest = url.partition("://")[2].partition("/")[2] if absolute else url[1:]
    path, _, query = encode(rest, "surrogateescape").partition("#")[0].partition("?")
    return unescape("/" + path), query


def _set_path(environ: WSGIEnvironment, path: str) -> None:
    """Give the app a path; what it is mounted under stays where it is."""
    mount = environ.get("SCRIPT_NAME", "").rstrip("/")
    if mount and path.startswith(mount + "/"):
        path = path[len(mount) :]
    try:
        replace_path(environ, checked_path(path))
    except Unrenderable as error:
        raise Refused(f"url: {error}") from None
