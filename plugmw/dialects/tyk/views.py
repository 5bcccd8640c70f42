"""Requests, responses and writers of native hooks: WebOb's, with Go's names beside Python's.

    r.Header.Set("X-A", "1")      r.headers["X-A"] = "1"
    r.URL.Path                    r.url_path
    r.Body.read()                 r.body
    res.StatusCode = 203          res.status_code = 203
    rw.Header().Add("X-B", "2")   rw.header().add("X-B", "2")

A body may be read as often as needed, by every hook; to change it, set it (bytes, text or what has ``read``).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import webob
from webob.headers import EnvironHeaders, ResponseHeaders

from plugmw.dialects import go_http
from plugmw.kernel import context
from plugmw.kernel.runtime import DEFAULT_BODY_LIMIT
from plugmw.wsgi import body, keys, request_target
from plugmw.wsgi.answer import check_header, status_line
from plugmw.wsgi.forms import replace_query
from plugmw.wsgi.upstream_request import UpstreamRequest
from plugmw.wsgi.urls import origin


def body_bytes(data: object) -> bytes:
    """Return what stands for a body as bytes; raises ``TypeError`` for anything else."""
    if hasattr(data, "read"):
        data = data.read()
    if isinstance(data, str):
        return data.encode()
    if data is None or isinstance(data, (bytes, bytearray)):
        return bytes(data or b"")
    raise TypeError(f"body: got {type(data).__name__}, expected bytes, str or what has read()")


class Header(ResponseHeaders):  # type: ignore[misc]
    """Response headers: a multi-dict with Go's methods."""

    def Get(self, name: str) -> str:
        """Return the first value, ``""`` if there is none."""
        values = self.getall(name)
        return str(values[0]) if values else ""

    def Values(self, name: str) -> list[str]:
        return [str(value) for value in self.getall(name)]

    def Set(self, name: str, value: str) -> None:
        check_header(name, value)
        self[name] = value

    def Add(self, name: str, value: str) -> None:
        check_header(name, value)
        self.add(name, value)

    def Del(self, name: str) -> None:
        if name in self:
            del self[name]


class RequestHeader(EnvironHeaders):  # type: ignore[misc]
    """Request headers, live, with Go's methods; WSGI joins repeated ones by commas."""

    def Get(self, name: str) -> str:
        """Return the value, ``""`` if there is none."""
        return str(self.get(name, ""))

    def Values(self, name: str) -> list[str]:
        return [value.strip() for value in self.Get(name).split(",")] if name in self else []

    def Set(self, name: str, value: str) -> None:
        check_header(name, value)
        self[name] = value

    def Add(self, name: str, value: str) -> None:
        self.Set(name, f"{self[name]},{value}" if name in self else value)

    def Del(self, name: str) -> None:
        self.pop(name, None)


class Query(dict[str, list[str]]):
    """Go's ``url.Values``: a name has a list of values."""

    def Get(self, name: str) -> str:
        """Return the first value, ``""`` if there is none."""
        return next(iter(self.get(name, ())), "")

    def Set(self, name: str, value: str) -> None:
        self[name] = [value]

    def Add(self, name: str, value: str) -> None:
        self.setdefault(name, []).append(value)

    def Del(self, name: str) -> None:
        self.pop(name, None)

    def Encode(self) -> str:
        return urlencode(sorted(self.items()), doseq=True)


class URL:
    """The request's URL, live. ``Path`` is the one that routes and other plugins see."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def Path(self) -> str:
        return self._request.url_path

    @Path.setter
    def Path(self, path: str) -> None:
        self._request.url_path = path

    @property
    def RawQuery(self) -> str:
        return str(self._request.environ.get("QUERY_STRING", ""))

    @RawQuery.setter
    def RawQuery(self, query: str) -> None:
        check_header("RawQuery", query)
        replace_query(self._request.environ, query)

    def Query(self) -> Query:
        """Return the parameters; to change them, set ``RawQuery`` to what ``Encode()`` gives."""
        query = Query()
        for name, value in parse_qsl(self.RawQuery, keep_blank_values=True):
            query.Add(name, value)
        return query

    @property
    def Scheme(self) -> str:
        return str(self._request.scheme)

    @property
    def Host(self) -> str:
        return str(UpstreamRequest.of(self._request.environ).host or self._request.host)

    @Host.setter
    def Host(self, host: str) -> None:
        """Send the request to this host, and port if it names one, in place of the target's."""
        api = self._request.environ.get(keys.TYK_API)
        proxy = api.definition.get("proxy") if api is not None else None
        target = str(proxy.get("target_url")) if isinstance(proxy, Mapping) else ""
        scheme = "https" if target.lower().startswith("https:") else "http"
        if any(sign in host for sign in "/?#@"):
            raise ValueError(f"URL.Host: got {host!r}, expected a host, and a port if it is another")
        wish = UpstreamRequest.of(self._request.environ)
        _, wish.host, wish.port = origin(f"{scheme}://{host}")

    def String(self) -> str:
        return self.Path + (f"?{self.RawQuery}" if self.RawQuery else "")

    __str__ = String


class Request(go_http.Request):
    """A hook's request; what it changes, later plugins and the upstream see."""

    @property
    def body(self) -> bytes:
        """The whole body. Too large a one is answered 413 (``max_request_body``).

        On the way back it is what a hook before the upstream has read, ``b""`` if none has.
        """
        x = context.exchange()
        if x is not None and x.environ is self.environ:
            collected = self.environ.get(keys.BODY)
            # The upstream has it now, and there is nothing left to read.
            return x.read_body() if x.phase != "response" else collected[1] if collected else b""
        return body.read_request(self.environ, DEFAULT_BODY_LIMIT)

    @body.setter
    def body(self, data: object) -> None:
        body.replace_request(self.environ, body_bytes(data))

    @property
    def Header(self) -> RequestHeader:
        return RequestHeader(self.environ)

    @property
    def URL(self) -> URL:
        return URL(self)

    @property
    def Body(self) -> io.BytesIO:
        return io.BytesIO(self.body)

    @Body.setter
    def Body(self, data: object) -> None:
        self.body = data

    @property
    def Method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    @Method.setter
    def Method(self, method: str) -> None:
        self.environ["REQUEST_METHOD"] = method

    @property
    def Host(self) -> str:
        return str(self.host)

    @Host.setter
    def Host(self, host: str) -> None:
        check_header("Host", host)
        self.environ["HTTP_HOST"] = host

    @property
    def RequestURI(self) -> str:
        return request_target.sent(self.environ)

    @property
    def RemoteAddr(self) -> str:
        return f"{self.environ.get('REMOTE_ADDR', '')}:{self.environ.get('REMOTE_PORT', '')}".rstrip(":")

    @property
    def ContentLength(self) -> int:
        return len(self.body)

    @property
    def Proto(self) -> str:
        return str(self.environ.get("SERVER_PROTOCOL", "HTTP/1.1"))

    def UserAgent(self) -> str:
        return self.Header.Get("User-Agent")

    def FormValue(self, name: str) -> str:
        """Return the first value of a parameter, of the body before the query; ``""`` if there is none."""
        if str(self.environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
            pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
            field = next((value for key, value in pairs if key == name), None)
            if field is not None:
                return field
        return self.URL.Query().Get(name)


class Response(webob.Response):  # type: ignore[misc]
    """The upstream's response; Content-Length is counted anew after the hook."""

    @property
    def Header(self) -> Header:
        view: Header = Header.view_list(self.headerlist)
        return view

    @Header.setter
    def Header(self, headers: Any) -> None:
        items = headers.items() if hasattr(headers, "items") else headers
        self.headerlist = [(name, value) for name, value in items]

    @property
    def StatusCode(self) -> int:
        return int(self.status_code)

    @StatusCode.setter
    def StatusCode(self, status: int) -> None:
        self.status = status_line(status)

    @property
    def Status(self) -> str:
        return str(self.status)

    @property
    def Body(self) -> io.BytesIO:
        return io.BytesIO(self.body)

    @Body.setter
    def Body(self, data: object) -> None:
        self.body = body_bytes(data)

    @property
    def ContentLength(self) -> int:
        return len(self.body)

    @ContentLength.setter
    def ContentLength(self, length: int) -> None:
        """Take the call that a Go plugin has to make; the body's own length is what is sent."""


class ResponseWriter(go_http.ResponseWriter):
    """The answer to the client: ``status`` is 0 until something is written, which is to abort.

    ``items`` are the headers that it has from the start, live.
    """

    def __init__(self, items: list[tuple[str, str]] | None = None) -> None:
        super().__init__()
        if items is not None:
            self._items = items

    def header(self) -> Header:
        view: Header = Header.view_list(self._items)
        return view

    Header = header

    def WriteHeader(self, status: int) -> None:
        """Set the status; only the first call counts."""
        self.write_header(status)

    def Write(self, data: bytes | str) -> int:
        """Add to the body; return the number of bytes."""
        return self.write(data)
