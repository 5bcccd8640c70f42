"""Call code of plugin authors so that it ends no more than the request it was called for.

A plugin may raise anything: ``sys.exit()`` in a handler must not end a worker, and status 3 or 4 not the
whole of gunicorn. What comes from outside passes: an exit (:class:`~plugmw.wsgi.answer.Exit`), Ctrl-C, the
end of a generator, what holds a dry run back, gevent's timeouts and kills, and what the server's own signal
handlers raise.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from plugmw.errors import PlugmwError
from plugmw.kernel import context
from plugmw.kernel.dry_run import SideEffect
from plugmw.wsgi.answer import Exit

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

P = ParamSpec("P")
T = TypeVar("T")

_PASSING: Final = (Exit, KeyboardInterrupt, GeneratorExit, SideEffect)
#: Where the exceptions come from that end or time out a greenlet.
_GREENLETS: Final = ("gevent", "greenlet", "eventlet")


class UserCodeError(PlugmwError):
    """User code raised what is no Exception, such as SystemExit: its ``__cause__``."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(f"raised {type(raised).__name__}{f': {raised}' if str(raised) else ''}")

    def __str__(self) -> str:
        return str(self.args[0])


def is_failure(error: BaseException) -> bool:
    """Say whether an exception from user code is its failure; False for what has to pass."""
    if isinstance(error, Exception):
        return True
    if isinstance(error, _PASSING):
        return False
    if any(cls.__module__.partition(".")[0] in _GREENLETS for cls in type(error).__mro__):
        return False
    return not _is_of_a_signal(error)


def contained(call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call user code; raises what it raises, and :class:`UserCodeError` for what is no Exception."""
    try:
        return call(*arguments, **options)
    except BaseException as error:
        raise_contained(error)
        raise


def guarded(x: Exchange, owner: object, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call user code as :func:`contained` does, with ``x`` and the plugin ``owner`` in force."""
    try:
        return context.running(x, owner, call, *arguments, **options)
    except BaseException as error:
        raise_contained(error)
        raise


def raise_contained(error: BaseException) -> None:
    """Raise :class:`UserCodeError` for a failure that is no Exception; return for all others."""
    if not isinstance(error, Exception) and is_failure(error):
        raise UserCodeError(error) from error


def _is_of_a_signal(error: BaseException) -> bool:
    """Say whether a signal handler of this process raised it, as those of gunicorn's workers do."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    return passed_through(error, *handlers)


def passed_through(error: BaseException, *calls: object) -> bool:
    """Say whether an exception came out of one of these callables, as far as they are Python."""
    codes = {_code(call) for call in calls} - {None}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def _code(call: object) -> CodeType | None:
    function = getattr(call, "__func__", call)
    if not hasattr(function, "__code__"):
        function = vars(type(call)).get("__call__")
    code: CodeType | None = getattr(function, "__code__", None)
    return code
