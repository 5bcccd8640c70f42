"""Make backend requests from a client's: headers, query, parameters in the path; pure functions.

By default a backend gets no header of the client but ``Content-Type``, and no query. With
``input_headers`` it gets those listed and no other; ``Content-Length`` and what concerns one connection
only never go on. KrakenD's own: ``X-Forwarded-For`` with the one client address that the gateway
believes, ``X-Forwarded-Host``, ``User-Agent`` (``X-Forwarded-Via`` beside a client's).

A parameter is escaped for the place in the pattern where it goes, so that it stays one value there, and
may not make a ``..`` of a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit

import attrs

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.krakend.model import APP, VERSION
from plugmw.dialects.krakend.wrappers import ModifierError, Values, by_name
from plugmw.upstream.forwarding import request_headers
from plugmw.wsgi import keys
from plugmw.wsgi.body import replace_request
from plugmw.wsgi.forms import read_pairs
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.paths import PATH_SAFE, SENDABLE, unescape
from plugmw.wsgi.proxies import Trusted
from plugmw.wsgi.readings import mount
from plugmw.wsgi.urls import origin

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

AGENT: Final = f"KrakenD {VERSION}"

_PLACE: Final = re.compile(r"\{([^{}]+)\}")
_FRAMING: Final = ("Content-Length", "Transfer-Encoding", "Host")
_FRAMING_KEYS: Final = frozenset(map(cgi_key, _FRAMING))
#: A segment that leads elsewhere, also with ``;parameters``, as Tomcat resolves it; for some ``\`` is
#: a slash too.
_DOTS: Final = re.compile(r"(?:^|(?<=[/\\])|(?<=%5C))\.\.?(?=$|[/\\;]|%5C)")
#: Prefixes of environ keys that a backend request takes over from the client's.
_SHARED: Final = ("wsgi.", keys.PREFIX, "REMOTE_", "SERVER_", "AUTH_TYPE", "SCRIPT_NAME")
_OWN: Final = (keys.TARGET, keys.BODY, keys.SERVICE)


class BadParameter(ModifierError):
    """A parameter has something in it that would change the meaning of a path."""

    def __init__(self) -> None:
        super().__init__("error: encoded url params", 400)


@attrs.frozen(eq=False)
class Call:
    """What clients need to know of a call beside its environ."""

    url: str
    #: When it must be over.
    deadline: Deadline
    #: The wrapped app.
    app: WSGIApplication


# -- from the client -------------------------------------------------------------------------------------


def check_parameters(values: Collection[str]) -> None:
    """Raise :class:`BadParameter` for what is still escaped, or would begin a query or a fragment."""
    for value in values:
        if _DOTS.search(value) or any(mark in value for mark in "%?#"):
            raise BadParameter


def capitalised(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return parameters under the names that modifiers see: ``id`` is ``Id``."""
    return {name[:1].upper() + name[1:]: value for name, value in parameters.items()}


def headers_of(environ: WSGIEnvironment, names: Collection[str], trusted: Trusted) -> Values:
    """Return the headers that ``input_headers`` lets through, and KrakenD's own."""
    listed = names or ("content-type",)
    headers = by_name(request_headers(environ))
    if "*" not in listed:
        headers = {name: values for name, values in headers.items() if name.lower() in listed}
    for name in _FRAMING:
        headers.pop(name, None)
    headers.pop("X-Forwarded-For", None)
    client = trusted.client(environ)
    if client is not None:
        headers["X-Forwarded-For"] = [str(client)]
    headers["X-Forwarded-Host"] = [trusted.host(environ)]
    headers["X-Forwarded-Via" if "User-Agent" in headers else "User-Agent"] = [AGENT]
    return headers


def held_back(environ: WSGIEnvironment, passed: Collection[str]) -> set[str]:
    """Return the names of the client's headers that do not go on."""
    return by_name(request_headers(environ)).keys() - passed - set(_FRAMING)


def query_of(environ: WSGIEnvironment, names: Collection[str]) -> Values:
    """Return the query's parameters that ``input_query_strings`` lets through, with all their values."""
    query: Values = {}
    for name, value in read_pairs(environ.get("QUERY_STRING", "")) if names else ():
        if "*" in names or name in names:
            query.setdefault(name, []).append(value or "")
    return query


def narrowed(
    values: Mapping[str, list[str]], names: Collection[str], fold: Callable[[str], str] = str
) -> Values:
    """Return what a backend's own list lets through; without a list that is everything.

    As in the original ``*`` is a name here and no wildcard.
    """
    return {name: list(found) for name, found in values.items() if not names or fold(name) in names}


# -- to the backend --------------------------------------------------------------------------------------


class Pattern:
    """A ``url_pattern``, with places for parameters in its path and its query."""

    def __init__(self, pattern: str) -> None:
        path, mark, query = pattern.partition("?")
        self._path, self._query = _PLACE.split(path), _PLACE.split(mark + query)
        #: How many such segments the pattern has itself.
        self._dots = len(_DOTS.findall(_PLACE.sub("x", path)))

    def fill(self, parameters: Mapping[str, object]) -> str:
        """Return path and query, ready to send; a parameter that is missing is empty."""
        path = _filled(self._path, parameters, PATH_SAFE)
        if len(_DOTS.findall(path)) > self._dots:
            raise BadParameter
        return path + _filled(self._query, parameters, "")


def _filled(pieces: list[str], parameters: Mapping[str, object], safe: str) -> str:
    texts = []
    for index, piece in enumerate(pieces):
        if index % 2:
            value = str(parameters.get(piece[:1].upper() + piece[1:], ""))
            texts.append(quote(value, safe=safe, errors="surrogateescape"))
        else:
            texts.append(quote(piece, safe=SENDABLE))
    return "".join(texts)


def with_query(url: str, query: Mapping[str, list[str]]) -> str:
    """Add parameters to a URL, sorted by name, behind those it has."""
    if not query:
        return url
    text = urlencode(sorted(query.items()), doseq=True, errors="surrogateescape")
    return f"{url}{'&' if '?' in url else '?'}{text}"


def environ_for(
    environ: WSGIEnvironment, call: Call, method: str, headers: Mapping[str, list[str]], body: bytes | None
) -> WSGIEnvironment:
    """Return the environ of a call to a backend; without a body of its own it has the client's stream.

    Raises ``ValueError`` for a URL that is none.
    """
    request = {k: v for k, v in environ.items() if k.startswith(_SHARED) and k not in _OWN}
    # Backend calls run concurrently: each has plugin state and an upstream result of its own.
    if keys.STATE in request:
        request[keys.STATE] = request[keys.STATE].copy()
    if keys.UPSTREAM in request:
        request[keys.UPSTREAM] = attrs.evolve(request[keys.UPSTREAM], buffer=False, status="", tries=[])
    request[keys.KRAKEND_CALL] = call
    request["REQUEST_METHOD"] = method.upper()
    _locate(request, environ, call.url)
    for name, values in headers.items():
        key = cgi_key(name)
        if key not in _FRAMING_KEYS:
            request[key] = ", ".join(values)
    if body is not None:
        replace_request(request, body)
        if not body and method.upper() not in ("POST", "PUT", "PATCH"):
            del request["CONTENT_LENGTH"]
    else:
        for key in ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
            if environ.get(key):
                request[key] = environ[key]
    return request


def _locate(request: WSGIEnvironment, environ: WSGIEnvironment, url: str) -> None:
    """Set what says where a request goes; the app stays at the host, and the prefix, it is known under."""
    if url.startswith(APP):
        target, script = url[len(APP) :], mount(environ)
        request["HTTP_HOST"] = environ.get("HTTP_HOST", "")
    else:
        scheme, host, port = origin(url)
        parts = urlsplit(url)
        target, script = parts.path + (f"?{parts.query}" if parts.query else ""), ""
        request["wsgi.url_scheme"] = scheme
        request["SERVER_NAME"], request["SERVER_PORT"] = host, str(port)
        request["HTTP_HOST"] = parts.netloc.rpartition("@")[2]
    raw = quote(target if target.startswith("/") else "/" + target, safe=SENDABLE, errors="surrogateescape")
    path = unescape(raw.partition("?")[0])
    inside = bool(script) and path.startswith(script + "/")
    request["SCRIPT_NAME"], request["PATH_INFO"] = (script, path[len(script) :]) if inside else ("", path)
    request["QUERY_STRING"] = raw.partition("?")[2]
    request["RAW_URI"] = request["REQUEST_URI"] = raw
