"""Functions of the operator's own as phases: what pre-function and post-function have in common.

    def add_key(exchange):              # rewrite, access, header_filter, log: the exchange, as plugins get it
        exchange.set_request_header("apikey", "...")

    def shout(exchange):                # body_filter: the chunk may be replaced; exchange.eof at the end
        exchange.chunk = exchange.chunk.upper()

    @function_factory                   # called once per process, returns the function
    def counting():
        seen = itertools.count(1)
        return lambda exchange: exchange.add_header("X-Seen", str(next(seen)))

What a function returns is ignored; to answer, it calls ``exchange.exit`` or ``exchange.fail``. Functions are
shared by all threads of a process. A configuration names functions of installed modules and never holds code
itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Final, TypeVar

from plugmw.concurrency.process import on_fork
from plugmw.errors import ConfigError, ConfigErrors, LoadError
from plugmw.kernel import phases
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.loading.imports import resolve
from plugmw.schema import Finding, Kind, config, each, field, matches

F = TypeVar("F", bound=Callable[..., object])
#: A function of one argument, the exchange.
Function = Callable[[Exchange], object]

PHASES: Final = (phases.REWRITE, phases.ACCESS, phases.HEADER_FILTER, phases.BODY_FILTER, phases.LOG)
_FACTORY: Final = "plugmw_function_factory"
_PATH: Final = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*", re.ASCII).fullmatch
_PACKAGE: Final = matches(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "names of packages or modules")


def function_factory(function: F) -> F:
    """Mark a function without arguments that makes the real one; it is called once per process."""
    setattr(function, _FACTORY, True)
    return function


def _named(value: object) -> object:
    if not (callable(value) or isinstance(value, str)):
        raise ValueError
    return value


Named = Annotated[object, Kind(_named, "a function as module:name", {"type": "string"})]


@config
class Config:
    """At least one list must have a function; those of a list run in its order."""

    rewrite: list[Named] = field([], help="Before routing; global entries only.")
    access: list[Named] = field([], help="Before the app is called.")
    header_filter: list[Named] = field([], help="When status and headers are known, before they go out.")
    body_filter: list[Named] = field([], help="For each chunk of the body.")
    log: list[Named] = field([], help="After the last byte.")
    certificate: list[Named] = field([], help="Kong's; refused: there is no request yet.")
    packages: list[str] = field(
        [], each(_PACKAGE), help="Packages and modules that functions may be named from; none if empty."
    )

    def check(self) -> Iterator[Finding]:
        if self.certificate:
            yield (
                "certificate",
                "there is no request in this phase for a function, expected another phase",
            )
        elif not any(getattr(self, phase) for phase in PHASES):
            yield f"at least one of these fields must be non-empty: {', '.join(map(repr, PHASES))}"


class Functions(Plugin[Config]):
    """Phases: rewrite, access, header_filter, body_filter, log; those that have functions."""

    Config = Config
    fail_closed = True
    no_consumer: ClassVar[bool] = True

    #: What the configuration names, by phase, and what runs: the same, factories replaced.
    _listed: dict[str, list[object]] | None = None
    _functions: dict[str, list[Function]]
    #: Whether they were made in this process.
    _fresh: bool = False

    @classmethod
    def phases(cls) -> list[str]:
        return [phases.INIT_WORKER, *PHASES]

    def configure(self) -> None:
        if self._listed is not None:
            return  # one object in two gateways: its functions are made once per process
        on_fork(self)
        errors: list[ConfigError] = []
        listed = {phase: list(self._resolve(phase, errors)) for phase in PHASES}
        if errors:
            raise ConfigErrors(errors)
        if listed[phases.BODY_FILTER]:
            listed[phases.HEADER_FILTER].insert(0, _without_length)
        self._listed = listed
        for phase in filter(listed.get, PHASES):
            run = self._filter if phase == phases.BODY_FILTER else self._runner(phase)
            setattr(self, phase, run)

    def _resolve(self, phase: str, errors: list[ConfigError]) -> Iterator[object]:
        for index, value in enumerate(getattr(self.config, phase)):
            try:
                yield _resolved(value, self.config.packages) if isinstance(value, str) else value
            except LoadError as error:
                problem = f"error parsing {self.name}: {error.what}"
                errors.append(ConfigError(f"{phase}[{index}]", problem, error.expected))

    def init_worker(self) -> None:
        if not self._fresh and self._listed is not None:
            self._functions = {
                phase: [_function(one) for one in listed] for phase, listed in self._listed.items()
            }
            self._fresh = True

    def after_fork(self) -> None:
        """Have each process make its functions."""
        self._fresh = False

    def _runner(self, phase: str) -> Callable[[Exchange], None]:
        def run(x: Exchange) -> None:
            for function in self._functions[phase]:
                function(x)

        return run

    def _filter(self, x: Any, chunk: bytes, eof: bool) -> bytes:
        x.chunk, x.eof = chunk, eof
        for function in self._functions[phases.BODY_FILTER]:
            function(x)
        made: bytes = x.chunk
        return made


def _resolved(path: str, packages: list[str]) -> object:
    """Import the function that a configuration names, if it may name it."""
    match = _PATH(path)
    if match is None:
        raise LoadError(path, f"got {path!r}", "package.module:name of a function; texts are never run")
    module = match[1]
    if not any(module == name or module.startswith(name + ".") for name in packages):
        known = f"a module in {', '.join(packages)}" if packages else "its package in `packages`"
        raise LoadError(path, f"got {path!r}, of a module that may not be named", known)
    function = resolve(path)
    if not callable(function):
        raise LoadError(path, f"{path} is a {type(function).__name__}", "a function")
    return function


def _function(listed: object) -> Function:
    """Return the function itself, made by its factory if it has one."""
    function: object = listed() if callable(listed) and getattr(listed, _FACTORY, False) else listed
    if not callable(function):
        raise TypeError(f"{listed!r} returned {type(function).__name__}, expected a function")
    return function


def _without_length(x: Exchange) -> None:
    """Forget how long the answer to GET would be: functions change it, and HEAD has no body to count."""
    if x.method == "HEAD":
        x.remove_header("Content-Length")
