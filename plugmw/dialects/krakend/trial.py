"""A request that is only tried: which endpoint it takes, and what it would ask of the backends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

import attrs

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.krakend.model import Backend, Endpoint

T = TypeVar("T")


@attrs.frozen
class TriedCall:
    """A call to a backend, after the request modifiers."""

    backend: Backend
    method: str
    url: str
    #: Names alone: values may be secrets.
    headers: list[str]


@attrs.define(eq=False)
class Trial:
    """What one request would do. Unless ``live`` no backend is asked: each counts as answering ``{}``."""

    live: bool
    endpoint: Endpoint | None = None
    calls: list[TriedCall] = attrs.field(factory=list)


class InTurn:
    """Makes calls one after the other in the caller's thread; takes the place of a pool."""

    def gather(
        self, calls: Sequence[Callable[[], T]], deadline: Deadline
    ) -> Generator[tuple[int, T | Exception], None, None]:
        """Yield (index, result or Exception) of each call."""
        for index, call in enumerate(calls):
            try:
                result: T | Exception = call()
            except Exception as error:
                result = error
            yield index, result

    def close(self) -> None:
        """Do nothing: there are no threads."""
