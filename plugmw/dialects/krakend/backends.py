"""One backend of an endpoint: from the endpoint's request to the part of the reply that it gives.

    query filter -> method and path -> (concurrent calls) -> host -> header filter -> modifiers -> client

and back: status check, decoding, formatting, modifiers. With the encoding ``no-op`` status, headers and
body are taken as they are, the body as it comes. ``client`` is any WSGI app: the HTTP client, an
``http-client`` plugin, or the wrapped app.

The order is Lura's (``proxy/factory.go``). Unless ``compat``, a modifier's changes of path and query count.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import attrs

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.go_http import ResponseWriter, canonical
from plugmw.dialects.krakend.encoding import DecodeError, decode, is_encoding
from plugmw.dialects.krakend.failures import TOO_LATE, BackendError
from plugmw.dialects.krakend.formatting import formatter
from plugmw.dialects.krakend.forwarding import Call, Pattern, environ_for, narrowed, with_query
from plugmw.dialects.krakend.http_client import Unpacked, is_gzip
from plugmw.dialects.krakend.model import Backend, Endpoint
from plugmw.dialects.krakend.modifiers import Modifiers
from plugmw.dialects.krakend.pool import Pool, discard
from plugmw.dialects.krakend.trial import InTurn, Trial, TriedCall
from plugmw.dialects.krakend.wrappers import (
    ModifierError,
    RequestWrapper,
    ResponseWrapper,
    as_request,
    as_response,
    by_name,
    is_response,
)
from plugmw.wsgi.headers import first
from plugmw.wsgi.paths import PATH_SAFE

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

#: Of the endpoint's timeout, what concurrent calls may take (``proxy/concurrent.go`` of Lura).
CONCURRENT_SHARE: Final = 0.75
NOOP: Final = "no-op"
_GOOD: Final = (200, 201)


def reply_encoding(endpoint: Endpoint) -> str:
    """Return the encoding of replies: an unknown one is the one backend's (``getRender`` of Lura)."""
    wanted = endpoint.output_encoding
    if not is_encoding(wanted) and len(endpoint.backend) == 1:
        wanted = endpoint.backend[0].encoding
    return wanted


@attrs.frozen(eq=False)
class Origin:
    """The client's request that a backend call belongs to, and the limits of that call."""

    environ: WSGIEnvironment
    app: WSGIApplication
    #: When the endpoint's time is over.
    deadline: Deadline
    #: Bytes of a backend's body that is read whole.
    limit: int


class Streamed(ResponseWrapper):
    """A backend's response passed through; the body is streamed unless it is read. To be closed."""

    def __init__(
        self, status: int, headers: list[tuple[str, str]], pieces: Iterable[bytes], limit: int
    ) -> None:
        super().__init__(status_code=status, headers=by_name(headers), read=lambda: self._whole(limit))
        #: The backend's own, before modifiers.
        self.backend_headers = list(headers)
        #: The body as the backend gave it, once it was read.
        self.original: bytes | None = None
        self._pieces = pieces

    def _whole(self, limit: int) -> bytes:
        self.original = joined(self.stream(), limit)
        return self.original

    def stream(self) -> Iterable[bytes]:
        """Return the body as it comes, to be closed by the caller; once."""
        pieces, self._pieces = self._pieces, ()
        return pieces

    def close(self) -> None:
        discard(self.stream())


class BackendProxy:
    """Sends requests to one backend and shapes its responses. Thread-safe."""

    def __init__(
        self,
        backend: Backend,
        endpoint: Endpoint,
        client: WSGIApplication,
        modifiers: Modifiers,
        pool: Pool | InTurn,
        compat: bool = False,
        trial: Trial | None = None,
    ) -> None:
        self.backend = backend
        self.calls = endpoint.concurrent_calls
        self.noop = reply_encoding(endpoint) == NOOP
        self._timeout = endpoint.timeout
        self._method = endpoint.method
        self._pattern = Pattern(backend.url_pattern)
        self._client = client
        self._modifiers = modifiers
        self._pool = pool
        self._compat = compat
        self._trial = trial
        self._format: Callable[[dict[str, object]], dict[str, object]] = formatter(backend)
        wish = backend.extra_config.get("backend/http")
        self._wish: dict[str, object] = wish if isinstance(wish, dict) else {}

    def run(self, request: RequestWrapper, origin: Origin) -> ResponseWrapper:
        """Return the response to an endpoint's request; raises what went wrong."""
        query = narrowed(request.query, self.backend.input_query_strings)
        path = self._pattern.fill(request.params)
        if self.calls < 2:
            return self._ask(request, path, query, origin)
        shorter = attrs.evolve(origin, deadline=origin.deadline.within(self._timeout * CONCURRENT_SHARE))
        return self._first(lambda: self._ask(request, path, query, shorter), shorter.deadline)

    def _first(self, call: Callable[[], ResponseWrapper], deadline: Deadline) -> ResponseWrapper:
        """Return the first complete response of several equal calls, else any, else raise an error."""
        best: ResponseWrapper | Exception = BackendError(TOO_LATE)
        with closing(self._pool.gather([call] * self.calls, deadline)) as ended:
            for _, result in ended:
                if isinstance(result, Exception):
                    best = best if isinstance(best, ResponseWrapper) else result
                    continue
                discard(best)
                best = result
                if result.is_complete:
                    break
        if isinstance(best, ResponseWrapper):
            return best
        raise best

    # -- one call ---------------------------------------------------------------------------------

    def _ask(
        self, request: RequestWrapper, path: str, query: dict[str, list[str]], origin: Origin
    ) -> ResponseWrapper:
        hosts = self.backend.host
        host = random.choice(hosts) if self._trial is None else hosts[0]  # noqa: S311 (no secret)
        sent = self._request(request, host, path, query)
        modified = self._modifiers.on_request(sent)
        if is_response(modified):
            return as_response(modified, by_data=not self.noop)
        response = self._reply(as_request(modified), host, path, query, origin)
        response.request, response.context = modified, request.context
        try:
            changed = as_response(self._modifiers.on_response(response), by_data=not self.noop)
        except BaseException:
            response.close()
            raise
        if changed is not response:
            response.close()
        return changed

    def _request(
        self, request: RequestWrapper, host: str, path: str, query: dict[str, list[str]]
    ) -> RequestWrapper:
        own = self._compat or request.method == self._method
        backend_request = RequestWrapper(
            method=self.backend.method if own else request.method,
            path=path.partition("?")[0],
            url=with_query(host + path, query),
            params=dict(request.params),
            query={name: list(values) for name, values in query.items()},
            headers=narrowed(request.headers, self.backend.input_headers, str.lower),
            context=request.context,
            read=lambda: request.body,
        )
        if request.read_body is not None:
            backend_request.body = request.read_body
        return backend_request

    def _url(self, host: str, path: str, query: dict[str, list[str]], request: RequestWrapper) -> str:
        """Return the URL that modifiers decided on: by ``url``, else by ``path`` and ``query``."""
        before, plain = with_query(host + path, query), path.partition("?")[0]
        wanted = request.url or before
        if wanted != before or self._compat:
            return str(wanted)
        if request.path != plain:
            path = quote(request.path, safe=PATH_SAFE + "%") + path[len(plain) :]
        return with_query(host + path, request.query)

    def _reply(
        self, request: RequestWrapper, host: str, path: str, query: dict[str, list[str]], origin: Origin
    ) -> ResponseWrapper:
        call = Call(self._url(host, path, query, request), origin.deadline, origin.app)
        headers = {canonical(name): values for name, values in request.headers.items()}
        if self._trial is not None:
            self._trial.calls.append(TriedCall(self.backend, request.method, call.url, sorted(headers)))
            if not self._trial.live:
                return self._stood_in(origin)
        environ = environ_for(origin.environ, call, request.method, headers, request.read_body)
        status, items, pieces = answered(self._client, environ)
        if origin.deadline.expired:
            # A client in this process cannot be interrupted; its late answer counts as a timeout.
            discard(pieces)
            raise BackendError(TOO_LATE)
        if self.noop:
            return Streamed(status, items, pieces, origin.limit)
        if is_gzip(items):
            pieces = Unpacked(pieces)
        data = joined(pieces, origin.limit)
        if status in _GOOD:
            return self._decoded(data)
        return self._refused(status, items, data)

    def _stood_in(self, origin: Origin) -> ResponseWrapper:
        """Return what a backend gives that has nothing to say."""
        if self.noop:
            return Streamed(200, [], [], origin.limit)
        response = ResponseWrapper(status_code=0 if self._compat else 200)
        response.data = self._format({"collection": []} if self.backend.is_collection else {})
        return response

    def _decoded(self, data: bytes) -> ResponseWrapper:
        try:
            data_map = decode(self.backend.encoding, data, self.backend.is_collection)
        except DecodeError as error:
            raise BackendError(f"invalid {self.backend.encoding} body") from error
        response = ResponseWrapper(status_code=0 if self._compat else 200)
        response.data = self._format(data_map or {})
        response.is_null = data_map is None and not (self.backend.group or self.backend.target)
        return response

    def _refused(self, status: int, items: list[tuple[str, str]], data: bytes) -> ResponseWrapper:
        kind = first(items, "content-type") or ""
        name, text = self._wish.get("return_error_details"), data.decode("utf-8", "replace")
        if isinstance(name, str) and name:
            response = ResponseWrapper(status_code=status if self._compat else 200, is_complete=False)
            details = {"http_status_code": status, "http_body": text, "http_body_encoding": kind}
            response.data = {f"error_{name}": {key: value for key, value in details.items() if value}}
            return response
        if self._wish.get("return_error_code") is True:
            raise ModifierError(text, status, kind)
        raise BackendError(f"invalid status code {status} [{self.backend.method} {self.backend.url_pattern}]")


def answered(
    client: WSGIApplication, environ: WSGIEnvironment
) -> tuple[int, list[tuple[str, str]], Iterable[bytes]]:
    """Let a WSGI app answer; return status, headers, and the body as it comes."""
    head: list[tuple[int, list[tuple[str, str]]]] = []
    writer = ResponseWriter()

    def start(
        status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        if exc_info is not None and exc_info[1] is not None and head:
            raise exc_info[1].with_traceback(exc_info[2])
        head[:] = [(int(status[:3]), list(headers))]
        return lambda data: None

    try:
        writer.run(client, environ)
        pieces = writer.send(environ, start)
    except BaseException:
        writer.close()
        raise
    status, headers = head[0]
    return status, headers, pieces


def joined(pieces: Iterable[bytes], limit: int) -> bytes:
    """Read a body and close it; raises :class:`BackendError` above ``limit`` bytes."""
    chunks, size = list[bytes](), 0
    try:
        for piece in pieces:
            size += len(piece)
            if size > limit:
                raise BackendError(f"the body has more than {limit} bytes")
            chunks.append(piece)
    finally:
        discard(pieces)
    return b"".join(chunks)
