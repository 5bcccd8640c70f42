"""What a guard sees of a request: every way in which an app could read its method, host, path and query.

An entry that may be a guard holds for a request if it holds for one of these. Routes, the ``when`` of
entries, plugins and dialects all ask here, so that none of them is passed by another spelling:

- a method in another letter case, HEAD where an app answers with what it does for GET, and a method that an
  override header asks for;
- a host in any letter case, with or without its port and the dot at the end;
- a path in all its :func:`~plugmw.wsgi.paths.interpretations`: SCRIPT_NAME and PATH_INFO joined, also with
  the slash that frameworks put between them, and PATH_INFO alone where a client could have said the other;
- every value of a query argument: frameworks take the first, or the last;
- a header that comes twice as servers join it, and each of its values.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from plugmw.schema.patterns import LONGEST
from plugmw.wsgi.forms import pair_values
from plugmw.wsgi.paths import TOO_MANY, full_path, interpretations, is_plain, normalise
from plugmw.wsgi.urls import PORTS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: The methods of RFC 9110 section 9.1 and RFC 5789; none of them begins with another.
METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"))
#: Headers by which frameworks and middlewares take another method than that of the request.
OVERRIDES: Final = ("HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD", "HTTP_X_METHOD_OVERRIDE")
#: Headers by which servers and middlewares are told where an app is mounted: gunicorn's, ProxyFix's, others'.
_MOUNTS: Final = (
    *("HTTP_SCRIPT_NAME", "HTTP_X_SCRIPT_NAME", "HTTP_X_FORWARDED_SCRIPT_NAME"),
    *("HTTP_X_FORWARDED_PREFIX", "HTTP_X_PREFIX", "HTTP_X_BASE_PATH", "HTTP_X_FORWARDED_BASE_PATH"),
    *("HTTP_X_ROOT_PATH", "HTTP_X_FORWARDED_ROOT_PATH"),
)
#: Where werkzeug's ProxyFix keeps what it has replaced.
PROXY_FIX: Final = "werkzeug.proxy_fix.orig"
#: The environ keys of which :func:`methods` and :func:`paths` are.
READ: Final = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", *OVERRIDES, *_MOUNTS, PROXY_FIX)


# -- the method -------------------------------------------------------------------------------------------


def methods(environ: WSGIEnvironment) -> tuple[str, ...]:
    """Return the method as sent, and then every other one that an app could take it for.

    HEAD is not read as GET here, because an app may tell the two apart: :func:`covered` takes care of it.
    """
    method = str(environ["REQUEST_METHOD"])
    if method.isupper() and environ.keys().isdisjoint(OVERRIDES):
        return (method,)
    others = [method.upper()]
    others += [str(environ[key]).strip().upper() for key in OVERRIDES if environ.get(key)]
    return tuple(dict.fromkeys((method, *others)))


def covered(guarded: Iterable[str]) -> frozenset[str]:
    """Return the methods for which a guard on these holds: HEAD with GET, whose view answers it."""
    named = frozenset(guarded)
    return named | {"HEAD"} if "GET" in named else named


# -- the host ---------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def host_names(host: str, scheme: str) -> tuple[str, str]:
    """Return the name in a Host field, and the name with its port, in the one form that guards compare.

    That is in small letters, without the dot at the end (RFC 3986 section 3.2.2) and without user info; a
    port that is not there is the scheme's own.
    """
    name, port = split_host(host.rpartition("@")[2].strip().lower())
    name = name.rstrip(".")
    return name, f"{name}:{port or PORTS.get(scheme, 80)}"


def split_host(host: str) -> tuple[str, str]:
    """Split a host at the port, which is ``""`` if there is none, as there is in ``example.org:``."""
    name, colon, port = host.rpartition(":")
    if not colon or not (port.isdecimal() or not port):
        return host, ""
    return name, port.lstrip("0") or port


# -- the path ---------------------------------------------------------------------------------------------


class Paths(NamedTuple):
    """A path in all its readings."""

    #: The one that routes match and plugins see.
    normal: str
    #: All, the normal one and the path as it came among them; cut if there are too many.
    ways: Collection[str]
    #: Whether the path was made to have more readings than anybody looks at: a guard holds for it.
    too_many: bool = False

    @property
    def too_long(self) -> bool:
        """Whether patterns are tried on none of several readings, which are too long in all."""
        return self.too_many or (len(self.ways) > 1 and sum(map(len, self.ways)) > LONGEST)


def paths(environ: WSGIEnvironment) -> Paths:
    """Return every way to read the path of a request."""
    path = full_path(environ)
    script = str(environ.get("SCRIPT_NAME", ""))
    others = list(_cut_elsewhere(environ, script)) if script else []
    if not others and is_plain(path):
        return Paths(path, (path,))
    all_ways = [interpretations(each) for each in (path, *others)]
    too_many = any(len(ways) >= TOO_MANY for ways in all_ways)
    return Paths(normalise(path), frozenset().union(*all_ways), too_many)


def mounted_path(environ: WSGIEnvironment) -> str:
    """Return the path below a mount, ``""`` if there may be more ways to read where it is cut."""
    info = str(environ.get("PATH_INFO", ""))
    if not info.startswith("/") or not environ.keys().isdisjoint(_MOUNTS):
        return ""
    return full_path(environ)


def mount(environ: WSGIEnvironment) -> str:
    """Return SCRIPT_NAME, but nothing where a client could have said it."""
    script = str(environ.get("SCRIPT_NAME", ""))
    return "" if script and any(True for _ in _without_clients(environ, script.strip("/"))) else script


def _cut_elsewhere(environ: WSGIEnvironment, script: str) -> Iterable[str]:
    """Yield what apps read as the path that do not join SCRIPT_NAME and PATH_INFO as they are."""
    info = str(environ.get("PATH_INFO", ""))
    if not info.startswith("/"):
        # Of `/xadmin` under a mount at `/x` frameworks make `/admin` under it.
        info = f"/{info}"
        yield script.rstrip("/") + info
    for left in _without_clients(environ, script.strip("/")):
        yield left + info


def _without_clients(environ: WSGIEnvironment, script: str) -> Iterable[str]:
    """Yield what SCRIPT_NAME may be without what the server could have from a header, if it could.

    gunicorn takes all of it from loopback peers, and proxies there pass on what clients send. How a header
    is read, unquoted and split, is for each server to say: it could be whatever is left when characters go.
    """
    if environ.keys().isdisjoint(_MOUNTS):
        return
    # As gunicorn, the one place where whoever runs the server says where the app is.
    own = os.environ.get("SCRIPT_NAME", "").strip("/")
    if script == own:
        return
    headers = [str(environ[key]) for key in _MOUNTS if key in environ]
    said = False
    segments = script.split("/")
    for count in range(len(segments), 0, -1):
        mount = "/".join(segments[:count])
        if any(_is_left_of(header, mount) for header in headers):
            said = True
            yield script[len(mount) :]
    if said and own:
        yield f"/{own}"
    if said and PROXY_FIX in environ:
        yield str(environ[PROXY_FIX].get("SCRIPT_NAME") or "").rstrip("/")


def _is_left_of(header: str, text: str) -> bool:
    """Say whether ``text`` is what is left of a header when some of its characters are taken away."""
    characters = iter(header)
    return all(character in characters for character in text)


# -- the query --------------------------------------------------------------------------------------------


def arguments(environ: WSGIEnvironment, name: str) -> list[str]:
    """Return every value of a query argument, one empty text if it is not there."""
    values = pair_values(str(environ.get("QUERY_STRING", "")), name)
    return [value or "" for value in values] or [""]


# -- headers ----------------------------------------------------------------------------------------------


def header_values(environ: WSGIEnvironment, key: str) -> list[str]:
    """Return every value of the header under an environ key, one empty text if it is not there.

    Servers join the values of a header that comes twice with commas, and nobody can tell them from a value
    that has commas of its own: the first is all of it, the others what is between them.
    """
    return split_header(str(environ.get(key, "")))


def split_header(value: str) -> list[str]:
    """Return a header's value as it is and, if it has commas, what is between them."""
    if "," not in value:
        return [value]
    return list(dict.fromkeys((value, *(piece.strip(" \t") for piece in value.split(",")))))
