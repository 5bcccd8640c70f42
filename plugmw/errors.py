"""The errors plugmw raises: each says where, what was found and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class PlugmwError(Exception):
    """Base of every error that plugmw raises on purpose."""


class ConfigError(PlugmwError, ValueError):
    """One thing that is wrong in a configuration.

    ``path`` is the place inside the document (``plugins[2].config.minute``), ``source`` the file or
    variable it came from, ``problem`` what was found (``got -5``), ``expected`` what would be right.
    """

    def __init__(
        self, path: str, problem: str, expected: str | None = None, source: str | None = None
    ) -> None:
        self.path = path
        self.problem = problem
        self.expected = expected
        self.source = source
        super().__init__(path, problem, expected, source)

    def __str__(self) -> str:
        text = f"{self.problem}, expected {self.expected}" if self.expected else self.problem
        return ": ".join(part for part in (self.source, self.path, text) if part)


class LeftOut(PlugmwError):
    """What a rehearsal raises for what a start would only log, to go on without it."""


class ConfigErrors(ConfigError):
    """Every :class:`ConfigError` of one document, reported together, in document order."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        self.errors = list(errors)
        first = self.errors[0]
        super().__init__(first.path, first.problem, first.expected, first.source)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class LoadError(PlugmwError):
    """A source could not give a plugin: ``source`` is where, ``what`` happened, ``expected`` instead."""

    def __init__(self, source: str, what: str, expected: str | None = None) -> None:
        self.source = source
        self.what = what
        self.expected = expected
        super().__init__(source, what, expected)

    def __str__(self) -> str:
        text = f"{self.what}, expected {self.expected}" if self.expected else self.what
        return f"{self.source}: {text}"


class OrderError(PlugmwError, ValueError):
    """``before``/``after`` of the entries ``names`` form a cycle."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(*self.names)

    def __str__(self) -> str:
        return f"before/after form a cycle: {' -> '.join(self.names)}, expected an order without one"


class PhaseError(PlugmwError, RuntimeError):
    """``call`` was made in ``phase``; it may be made only in ``allowed``."""

    def __init__(self, call: str, phase: str, allowed: Iterable[str]) -> None:
        self.call = call
        self.phase = phase
        self.allowed = tuple(allowed)
        super().__init__(call, phase, self.allowed)

    def __str__(self) -> str:
        return f"{self.call} cannot be called in {self.phase} phase (only in: {', '.join(self.allowed)})"


class StoreError(PlugmwError):
    """The store at ``store`` (its URL without secrets) is down, slow or full."""

    def __init__(self, store: str, problem: str) -> None:
        self.store = store
        self.problem = problem
        super().__init__(store, problem)

    def __str__(self) -> str:
        return f"{self.store}: {self.problem}"


class RemoteError(PlugmwError):
    """The plugin server of ``plugin`` failed, timed out or broke protocol in ``phase``."""

    def __init__(self, plugin: str, phase: str, problem: str) -> None:
        self.plugin = plugin
        self.phase = phase
        self.problem = problem
        super().__init__(plugin, phase, problem)

    def __str__(self) -> str:
        return f"{self.plugin}: {self.phase}: {self.problem}"


@contextmanager
def rehearsed(strict: bool) -> Iterator[None]:
    """Let a :class:`LoadError` of a rehearsal through if ``strict``, else raise it as :class:`LeftOut`."""
    try:
        yield
    except LoadError as error:
        if strict:
            raise
        raise LeftOut(str(error)) from error
