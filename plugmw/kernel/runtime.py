"""What a gateway lends its plugins: consumers, the store, trust, the clock, the logger, limits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from plugmw.concurrency.process import LazyLock, on_fork
from plugmw.kernel.identity import Directory, MemoryDirectory
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.sinks.files import Files
from plugmw.wsgi.proxies import Trusted

if TYPE_CHECKING:
    from plugmw.stores import Store

#: 8 MiB: what a plugin may read of a request body, and collect of a response, unless set otherwise.
DEFAULT_BODY_LIMIT = 8 * 1024 * 1024


class Logger(Protocol):
    """What is called of a logger: of :class:`logging.Logger`, or of an injected one."""

    def debug(self, msg: str, /, *args: Any, **options: Any) -> Any:
        """Log what helps to understand."""

    def info(self, msg: str, /, *args: Any, **options: Any) -> Any:
        """Log what has happened."""

    def warning(self, msg: str, /, *args: Any, **options: Any) -> Any:
        """Log what may need somebody."""

    def error(self, msg: str, /, *args: Any, **options: Any) -> Any:
        """Log what has failed."""

    def critical(self, msg: str, /, *args: Any, **options: Any) -> Any:
        """Log what stops working."""


class NoLogger:
    """The logger until one is injected: takes every call and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _nothing


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


@attrs.define(eq=False, slots=False)
class Runtime:
    """Shared by all plugins of one gateway; made before the fork, so it opens nothing by itself."""

    consumers: Directory = attrs.field(factory=MemoryDirectory)
    trusted: Trusted = attrs.field(factory=Trusted)
    #: A store URL (``auto`` is decided on the first request), or a store object.
    store_url: str | Store = attrs.field(default="auto", repr=False)
    clock: Callable[[], float] = time.time
    logger: Logger = attrs.field(factory=lambda: logging.getLogger("plugmw"))
    #: Bytes; above it the client is answered 413.
    max_request_body: int = DEFAULT_BODY_LIMIT
    #: Bytes; above it a response that a plugin must see whole is answered 500.
    max_response_body: int = DEFAULT_BODY_LIMIT
    #: Whether an exception of the app itself is answered 500 (with the header phases) or left to the server.
    answer_crashes: bool = False
    #: What ``wsgi.multiprocess`` said on the first request; None before it.
    multiprocess: bool | None = None
    #: What of the consumer is told as REMOTE_USER: ``username``, ``custom_id``, ``id``, or nothing.
    remote_user: str | None = None
    #: Whether identity headers of clients are removed: true once an entry authenticates.
    identity: bool = False
    #: What waits to be sent to log servers and the like.
    queues: Queues = attrs.field(factory=Queues, init=False)
    #: Files that plugins append to.
    files: Files = attrs.field(factory=Files, init=False)
    #: Names under which credentials come, in headers and queries; log entries leave their values out.
    credential_names: set[str] = attrs.field(factory=set, init=False)
    #: What outlives a reload, by key, each with ``close()``; opened in this process.
    kept: dict[Any, Any] = attrs.field(factory=dict, init=False, repr=False)
    _store: Store | None = attrs.field(default=None, init=False)
    _lock: LazyLock = attrs.field(factory=LazyLock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        on_fork(self)

    @property
    def store(self) -> Store:
        """The store, opened on first use in this process; StoreError when it cannot be."""
        store = self._store
        if store is None:
            with self._lock.get():
                store = self._store
                if store is None:  # pragma: no branch (else another thread was first)
                    store = self._store = self._open()
        return store

    def _open(self) -> Store:
        from plugmw.stores import auto_url, open_store

        if not isinstance(self.store_url, str):
            return self.store_url
        found: Store | None = self.kept.get(self._key)
        if found is None:
            url = auto_url(bool(self.multiprocess)) if self.store_url == "auto" else self.store_url
            found = self.kept[self._key] = open_store(url, clock=self.clock)
        return found

    @property
    def _key(self) -> tuple[str, Any]:
        return "store", self.store_url

    def follow(self, before: Runtime) -> None:
        """Take over what outlives a reload: what the store counted is not forgotten."""
        self.kept = before.kept
        self.multiprocess = before.multiprocess

    def after_fork(self) -> None:
        """Forget what the parent process opened."""
        self._store = None
        self.kept = {}

    def close(self, living: Iterable[Runtime] = ()) -> None:
        """Send what waits, then close what this process opened, but for what ``living`` ones use."""
        living = list(living)
        self.queues.close()
        self.files.close()
        if not any(other.consumers is self.consumers for other in living):
            getattr(self.consumers, "close", _nothing)()
        self._store = None
        if not living:
            while self.kept:
                self.kept.popitem()[1].close()
        elif not any(other._key == self._key for other in living):
            store = self.kept.pop(self._key, None)
            if store is not None:
                store.close()
