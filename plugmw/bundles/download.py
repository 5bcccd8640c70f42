"""One bundle from the server that has them: a GET with a deadline, tried again with pauses that grow.

The address is the base URL and the bundle's name; neither comes from a request. Only status 200 is an answer
(304 to a question that allows it). Nothing of the environment counts (proxies, netrc); a redirect is followed
only where it stays on the server that was asked.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import attrs

from plugmw.bundles.archive import inside
from plugmw.concurrency.deadline import Deadline
from plugmw.errors import LoadError

if TYPE_CHECKING:
    from requests import Response, Session

#: Seconds for one GET, from the name's look-up to the last byte.
DEADLINE: Final = 5.0
#: Tries where nothing else can serve: one and four more (``T:gateway/coprocess_bundle.go``).
PATIENT: Final = 5
#: Tries where the last good bundle can: a start-up does not wait long for a server that is down.
BRISK: Final = 2
#: Seconds before the second try; each pause is twice the one before, up to LONGEST_PAUSE.
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
#: Seconds after which no new try begins: gunicorn takes a worker that needs 30 s to start for dead.
PATIENCE: Final = 20.0
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_HOPS: Final = 5
_STEP: Final = 64 * 1024
B = TypeVar("B", bound=Sized)


class Silent(LoadError):
    """A server did not answer at all."""


@attrs.frozen
class Validators:
    """What lets a server say that nothing has changed: values of ETag and Last-Modified, or empty."""

    etag: str = ""
    last_modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in found.items() if value}


@attrs.frozen
class Found:
    """What a server had."""

    data: bytes
    validators: Validators = Validators()


def check_name(name: str) -> None:
    """Raise :class:`LoadError` unless ``name`` can stand at the end of a URL without steering it."""
    try:
        good = inside(name) == name and not set(name) & set("?#@%:;")
    except ValueError:
        good = False
    if not good:
        raise LoadError(
            f"bundle {name!r}", "is no name", "that of a file below the base URL, such as 'hello.zip'"
        )


@attrs.frozen
class Address:
    """Where bundles are: an http, https or file URL, which may have user, password and query."""

    base: str

    def of(self, name: str) -> str:
        """Return the URL of a bundle; raises :class:`LoadError`."""
        check_name(name)
        try:
            parts = urlsplit(self.base)
            good = bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise LoadError("bundle_base_url", "is no URL", "an http, https or file URL") from None
        if parts.scheme not in ("http", "https", "file"):
            raise LoadError("bundle_base_url", f"Unknown URL scheme: {parts.scheme!r}", "http, https or file")
        if parts.fragment or (not good if parts.scheme != "file" else parts.netloc not in ("", "localhost")):
            raise LoadError("bundle_base_url", f"got {shown(self.base)!r}", "an http, https or file URL")
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def shown(url: str) -> str:
    """Return a URL without what may be secret: user, password and query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


@attrs.frozen(kw_only=True)
class Download:
    """How to ask. ``verify`` is about TLS: False trusts every certificate, a path names the CAs to trust."""

    verify: bool | str = True
    deadline: float = DEADLINE
    #: Bytes of an answer.
    largest: int
    #: None is time.sleep, not bound early: gevent puts another in its place.
    sleep: Callable[[float], object] | None = None
    clock: Callable[[], float] = time.monotonic
    #: Until when servers that did not answer are not asked again: one that hangs costs its time once.
    _silent: dict[str, float] = attrs.field(factory=dict, init=False)

    def __call__(self, url: str, known: Validators, tries: int = PATIENT) -> Found | None:
        """Return what is there, None if it is what ``known`` stands for; raises :class:`LoadError`."""
        server = urlsplit(url).netloc
        if self.clock() < self._silent.get(server, 0.0):
            raise LoadError(shown(url), "not asked: its server did not answer a moment ago")
        give_up = Deadline.after(PATIENCE, self.clock)
        pause = FIRST_PAUSE
        for left in reversed(range(tries)):
            try:
                return self._once(url, known)
            except LoadError as error:
                if not left or give_up.left() < pause:
                    if isinstance(error, Silent):
                        self._silent[server] = self.clock() + PATIENCE
                    raise
            (self.sleep or time.sleep)(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("unreachable")  # pragma: no cover

    def _once(self, url: str, known: Validators) -> Found | None:
        """Ask in a thread of its own: no timeout of a socket ends a server that sends a byte a second."""
        answer: queue.SimpleQueue[Found | LoadError | None] = queue.SimpleQueue()
        stop = threading.Event()

        def ask() -> None:
            try:
                answer.put(self._read_file(url) if url.startswith("file:") else self._get(url, known, stop))
            except LoadError as error:
                answer.put(error)

        threading.Thread(target=ask, name="plugmw-bundle", daemon=True).start()
        try:
            found = answer.get(timeout=self.deadline)
        except queue.Empty:
            stop.set()
            raise self._late(url) from None
        if isinstance(found, LoadError):
            raise found
        return found

    def _late(self, url: str) -> Silent:
        return Silent(shown(url), f"no whole answer within {self.deadline:g} s")

    def _read_file(self, url: str) -> Found:
        path = Path(unquote(urlsplit(url).path))
        try:
            if not path.is_file():
                raise LoadError(shown(url), "is no file")
            with path.open("rb") as file:
                data = file.read(self.largest + 1)
        except OSError as error:
            raise LoadError(shown(url), f"cannot be read: {error.strerror}") from error
        return Found(self._bounded(data, url))

    def _get(self, url: str, known: Validators, stop: threading.Event) -> Found | None:
        from requests import RequestException, Session, Timeout
        from urllib3.exceptions import HTTPError, TimeoutError

        try:
            with Session() as session:
                session.trust_env = False
                return self._follow(session, url, known, stop)
        except (Timeout, TimeoutError):  # the socket's time and the deadline are over at once: one message
            raise self._late(url) from None
        except (RequestException, HTTPError, OSError, ValueError) as error:
            raise Silent(shown(url), f"cannot be fetched: {_reason(error)}") from error

    def _follow(self, session: Session, url: str, known: Validators, stop: threading.Event) -> Found | None:
        headers = {"Accept-Encoding": "identity", **known.headers}
        at = url
        for _ in range(_HOPS):
            with session.get(
                at,
                headers=headers,
                timeout=self.deadline,
                allow_redirects=False,
                verify=self.verify,
                stream=True,
            ) as response:
                if response.status_code not in _REDIRECTS:
                    return self._answer(response, url, known, stop)
                at = urljoin(at, response.headers.get("Location", ""))
            if urlsplit(at)[:2] != urlsplit(url)[:2]:
                raise LoadError(shown(url), f"redirects to {shown(at)}", "an answer of the server itself")
        raise LoadError(shown(url), f"redirects over {_HOPS} times")

    def _answer(self, response: Response, url: str, known: Validators, stop: threading.Event) -> Found | None:
        if response.status_code == 304 and known.headers:
            return None
        if response.status_code != 200:
            raise LoadError(shown(url), f"answered {response.status_code}", "200")
        data = bytearray()
        for piece in response.raw.stream(_STEP, decode_content=False):
            data += piece
            self._bounded(data, url)
            if stop.is_set():
                raise LoadError(shown(url), "is too slow")
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) != len(data):
            raise LoadError(shown(url), f"ended after {len(data)} of {length} bytes")
        validators = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
        return Found(bytes(data), Validators(*validators))

    def _bounded(self, data: B, url: str) -> B:
        if len(data) > self.largest:
            raise LoadError(shown(url), f"has over {self.largest} bytes")
        return data


def _reason(error: BaseException) -> str:
    """Return what is behind an error, without its own text, which may have the whole URL in it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or type(error).__name__


def fingerprint(url: str) -> str:
    """Return what stands for a URL in a file that others may read."""
    return hashlib.sha256(url.encode()).hexdigest()
