"""Requests to a log server: one session, no redirects, no proxies of the environment, no cookies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Final

from plugmw.concurrency.deadline import Deadline
from plugmw.wsgi.redaction import without
from plugmw.wsgi.text import one_line
from plugmw.wsgi.urls import bracketed, origin

if TYPE_CHECKING:
    from requests import Response, Session

#: Bytes of an answer that are read so that the connection can be used again; of a longer one it is closed.
READ: Final = 65_536
#: Bytes of an answer that are told.
TOLD: Final = 200


class HTTP:
    """A server at ``url``, which has no user info. Durations are seconds.

    ``timeout`` is for connecting, sending and reading each; a connection idle for ``keepalive`` is not used
    again. ``verify`` may name a file of CA certificates. Answers that repeat what they were sent are told
    without the values of ``headers`` and without ``secrets``.
    """

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
        keepalive: float = 60.0,
        verify: bool | str = True,
        clock: Callable[[], float] = time.monotonic,
        secrets: Iterable[str] = (),
    ) -> None:
        _, host, port = origin(url)
        self.name = f"{bracketed(host)}:{port}"
        self._method = method
        self._url = url
        self._headers = headers
        self._timeout = timeout
        self._keepalive = keepalive
        self._verify = verify
        self._clock = clock
        self._secrets = [*headers.values(), *secrets]
        #: Bytes to read of an answer, so that no secret is cut.
        self._told = TOLD + max((len(secret.encode()) for secret in self._secrets), default=0)
        self._session: Session | None = None
        self._used = 0.0

    def send(self, body: bytes) -> tuple[int, str]:
        """Send a request; return the status and the beginning of the body, safe to be logged.

        Raises OSError when there is no answer. The message has no header and no path in it.
        """
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        session = self._fresh()
        try:
            response = session.request(
                self._method,
                self._url,
                data=body,
                timeout=self._timeout,
                allow_redirects=False,
                verify=self._verify,
                stream=True,
            )
            told = self._read(response)
        except (RequestException, HTTPError, OSError, ValueError) as error:
            raise OSError(f"failed request to {self.name}: {one_line(_reason(error))}") from error
        self._used = self._clock()
        return response.status_code, repr(without(told, self._secrets)[:TOLD])[2:-1]

    def _fresh(self) -> Session:
        session = self._session
        if session is not None and self._clock() - self._used > self._keepalive:
            session.close()
        if session is None:
            from requests import Session

            session = self._session = Session()
            session.trust_env = False
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            session.headers.clear()
            session.headers.update({"User-Agent": "plugmw", "Accept-Encoding": "identity", **self._headers})
        return session

    def _read(self, response: Response) -> bytes:
        """Read the answer and drop all but its beginning; not for longer than the time-out."""
        deadline = Deadline.after(self._timeout, self._clock)
        beginning, length = b"", 0
        with response:
            for chunk in response.raw.stream(4096, decode_content=False):
                beginning += chunk[: self._told - len(beginning)]
                length += len(chunk)
                if length > READ or deadline.expired:
                    response.raw.close()
                    break
        return beginning

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _reason(error: BaseException) -> str:
    """Return the innermost cause, as the outer ones have the path in them."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(inner, Exception):
            break
        error = inner
    return f"{type(error).__name__}: {error}"
