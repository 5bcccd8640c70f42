"""Several directories as one: the list in the configuration, then the table beside it."""

from __future__ import annotations

from plugmw.kernel.identity import Consumer, Credential, Directory


class JoinedDirectory:
    """Asks each in turn until one knows."""

    def __init__(self, *directories: Directory) -> None:
        self._directories = directories
        self.outages = tuple(outage for one in directories for outage in getattr(one, "outages", ()))

    def consumer(self, name: str) -> Consumer | None:
        found = (one.consumer(name) for one in self._directories)
        return next((consumer for consumer in found if consumer is not None), None)

    def credential(self, kind: str, key: str) -> Credential | None:
        found = (one.credential(kind, key) for one in self._directories)
        return next((credential for credential in found if credential is not None), None)

    def close(self) -> None:
        for one in self._directories:
            getattr(one, "close", _nothing)()


def _nothing() -> None:
    """Close what has nothing to close."""
