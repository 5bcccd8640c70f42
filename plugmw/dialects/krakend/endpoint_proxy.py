"""One endpoint: its modifiers round its backends, and what the backends give as one response.

A single backend is asked in the request's own thread. Several are asked at once, and what has not come
after 85 % of the endpoint's timeout is left out: the response is then not complete. It fails only if no
backend gave anything.

Unless ``compat``, ``flatmap_filter`` and response modifiers work on an incomplete response too, and a request
modifier may answer instead of the backends, in which case the response modifiers of the endpoint do not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Final

from plugmw.dialects.krakend.backends import NOOP, BackendProxy, Origin, reply_encoding
from plugmw.dialects.krakend.failures import TOO_LATE, BackendError, MergeError
from plugmw.dialects.krakend.flatmap import manipulator
from plugmw.dialects.krakend.formatting import merge
from plugmw.dialects.krakend.model import Endpoint
from plugmw.dialects.krakend.modifiers import Modifiers
from plugmw.dialects.krakend.pool import Pool
from plugmw.dialects.krakend.trial import InTurn
from plugmw.dialects.krakend.wrappers import (
    RequestWrapper,
    ResponseWrapper,
    as_request,
    as_response,
    is_response,
)

#: Of the endpoint's timeout, what several backends may take (``proxy/merging.go`` of Lura).
MERGE_SHARE: Final = 0.85

#: A response, and the errors of backends that gave no part of it.
Outcome = tuple[ResponseWrapper, list[Exception]]


class EndpointProxy:
    """Makes an endpoint's response to a request out of those of its backends."""

    def __init__(
        self,
        endpoint: Endpoint,
        backends: Sequence[BackendProxy],
        modifiers: Modifiers,
        pool: Pool | InTurn,
        compat: bool,
    ) -> None:
        self._backends = backends
        self._modifiers = modifiers
        self._pool = pool
        self._compat = compat
        self._noop = reply_encoding(endpoint) == NOOP
        self._share = endpoint.timeout * MERGE_SHARE
        self._shaped = manipulator(endpoint.extra_config)

    def run(self, request: RequestWrapper, origin: Origin) -> Outcome:
        """Return the endpoint's response; raises what went wrong if there is none."""
        modified = self._modifiers.on_request(request)
        if is_response(modified):
            return as_response(modified, by_data=not self._noop), []
        passed = as_request(modified)
        if len(self._backends) * self._backends[0].calls > 1:
            # Each backend gets the whole body, so it cannot stay a stream.
            passed.body = passed.body
        if len(self._backends) == 1:
            response, errors = self._backends[0].run(passed, origin), list[Exception]()
        else:
            response, errors = self._merged(passed, origin)
        response.request, response.context = modified, request.context
        if errors and self._compat:
            return response, errors
        try:
            changed = as_response(self._modifiers.on_response(response), by_data=not self._noop)
        except BaseException:
            response.close()
            raise
        if changed is not response:
            response.close()
        return changed, errors

    def _merged(self, request: RequestWrapper, origin: Origin) -> Outcome:
        deadline = origin.deadline.within(self._share)
        origin = Origin(origin.environ, origin.app, deadline, origin.limit)
        results: list[ResponseWrapper | Exception] = [BackendError(TOO_LATE) for _ in self._backends]
        calls = [partial(backend.run, request, origin) for backend in self._backends]
        with closing(self._pool.gather(calls, deadline)) as ended:
            for index, result in ended:
                results[index] = result
        parts = [one for one in results if isinstance(one, ResponseWrapper)]
        errors = [one for one in results if isinstance(one, Exception)]
        if not parts:
            raise MergeError(errors)
        response = ResponseWrapper(
            status_code=parts[0].status_code if self._compat else 200,
            is_complete=not errors and all(map(_is_whole, parts)),
        )
        response.data = merge([part.data for part in parts])
        if self._shaped and not (errors and self._compat):
            response.data = self._shaped(response.data)
        for part in parts:
            for name, values in part.headers.items():
                response.headers.setdefault(name, list(values))
            part.close()
        return response, errors


def _is_whole(part: ResponseWrapper) -> bool:
    return part.is_complete and bool(part.data or not part.is_null)
