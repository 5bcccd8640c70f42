"""What a gateway lends its plugins: consumers, the store, trust, the clock, the logger, limits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, TypeVar, cast

import attrs

from plugmw.concurrency.process import LazyLock, on_fork
from plugmw.events import Events, watch
from plugmw.kernel.identity import Directory, MemoryDirectory
from plugmw.kernel.user_code import contained
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


class Closable(Protocol):
    """What a runtime keeps for others."""

    def close(self) -> object:
        """Give back what is open."""


R = TypeVar("R", bound=Closable)


class Lasting:
    """What outlives a reload, and the runtimes that may use it: whatever none of them needs is closed.

    One for all generations of a gateway in one process. A runtime is known from before it is put in force
    until it is closed, so that nothing is closed under one that is about to be.
    """

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Forget what the parent process opened; called by every runtime that has it."""
        self._lock = LazyLock(reentrant=True)
        self._open: dict[Hashable, Closable] = {}
        self._users: list[Runtime] = []

    def join(self, user: Runtime) -> None:
        """Take a runtime for one that may use what is open."""
        with self._lock.get():
            if not any(known is user for known in self._users):
                self._users.append(user)

    def get(self, user: Runtime, key: Hashable, make: Callable[[], R]) -> R:
        """Return what is open under ``key``, opened by the first that asks."""
        with self._lock.get():
            self.join(user)
            if key not in self._open:
                self._open[key] = make()
            return cast(R, self._open[key])

    def leave(self, user: Runtime) -> list[Closable]:
        """Forget a runtime; return what is to be closed as no other one needs it."""
        with self._lock.get():
            others = self._users = [known for known in self._users if known is not user]
            unused = []
            if not any(other.consumers is user.consumers for other in others) and _closes(user.consumers):
                unused.append(user.consumers)
            keys = list(self._open)
            if others:
                # What is no store is wanted by whoever comes next.
                keys = [key for key in keys if key == user.store_key]
                keys = [key for key in keys if not any(other.store_key == key for other in others)]
            return [*unused, *(self._open.pop(key) for key in keys)]


def _closes(resource: object) -> TypeGuard[Closable]:
    return hasattr(resource, "close")


@attrs.define(eq=False, slots=False)
class Runtime:
    """Shared by all plugins of one gateway; made before the fork, so it opens nothing by itself."""

    consumers: Directory = attrs.field(factory=MemoryDirectory)
    trusted: Trusted = attrs.field(factory=Trusted)
    #: A store URL (``auto`` is decided on the first request), or a store object.
    store_url: str | Store = attrs.field(default="auto", repr=False)
    clock: Callable[[], float] = time.time
    logger: Logger = attrs.field(factory=lambda: logging.getLogger("plugmw"))
    #: What has happened, counted: of the gateway, through all its reloads.
    events: Events = attrs.field(factory=Events, repr=False)
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
    #: Whether identity headers of clients are removed: as configured, and true once an entry authenticates.
    identity: bool = False
    #: What becomes of headers that ask for another method: ``keep``, ``remove`` or ``honour``.
    method_override: str = "keep"
    #: Names under which credentials come, in headers and queries; log entries leave their values out.
    credential_names: set[str] = attrs.field(factory=set, init=False)
    _resources: dict[Hashable, Closable] = attrs.field(factory=dict, init=False, repr=False)
    _lasting: Lasting = attrs.field(factory=Lasting, init=False, repr=False)
    _store: Store | None = attrs.field(default=None, init=False)
    _lock: LazyLock = attrs.field(factory=lambda: LazyLock(reentrant=True), init=False, repr=False)

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
                    watch(store, self)
        return store

    def _open(self) -> Store:
        from plugmw.stores import auto_url, open_store

        if not isinstance(self.store_url, str):
            return self.store_url
        url = auto_url(bool(self.multiprocess)) if self.store_url == "auto" else self.store_url
        return self.lasting(self.store_key, lambda: open_store(url, clock=self.clock))

    def warn_of_memory(self) -> None:
        """Say, in one worker of a server with several, that a store in memory is each worker's own."""
        from plugmw.stores.auto import is_first

        url = self.store_url
        if self.multiprocess and isinstance(url, str) and url.startswith("memory://") and is_first("memory"):
            self.logger.warning(
                "store: %s is in each worker apart, so a limit of 5 lets 5 through for each worker; "
                "`auto` and `file://` are shared by the workers of a machine",
                url,
            )

    @property
    def store_key(self) -> tuple[str, str | Store]:
        """What tells its store from that of another configuration."""
        return "store", self.store_url

    def resource(self, key: Hashable, make: Callable[[], R]) -> R:
        """Return what this gateway has under ``key``, made on first use and closed with it.

        The runtime knows of it only that it has ``close()``; what is used across a fork looks to that itself.
        """
        resource = self._resources.get(key)
        if resource is None:
            with self._lock.get():
                resource = self._resources.get(key)
                if resource is None:  # pragma: no branch (else another thread was first)
                    resource = self._resources[key] = make()
        return cast(R, resource)

    def lasting(self, key: Hashable, make: Callable[[], R]) -> R:
        """Return what this process has under ``key`` through every reload; a forked child makes its own."""
        return self._lasting.get(self, key, make)

    @property
    def line(self) -> Hashable:
        """What stands for its gateway: the same in all generations that follow each other in a process."""
        return self._lasting

    def follow(self, before: Runtime) -> None:
        """Take over what outlives a reload: what the store counted is not forgotten."""
        self._lasting = before._lasting
        for each in (before, self):
            self._lasting.join(each)
        self.multiprocess = before.multiprocess

    def after_fork(self) -> None:
        """Forget what the parent process opened."""
        self._store = None
        self._lasting.after_fork()

    def close(self) -> None:
        """Send what waits, then close what this process opened, but for what other generations use.

        A failure is logged, and the rest is closed.
        """
        resources = list(self._resources.values())
        self._store = None
        for resource in [*resources, *self._lasting.leave(self)]:
            try:
                contained(resource.close)
            except Exception as error:
                self.logger.error("%s: close failed", type(resource).__name__, exc_info=error)
