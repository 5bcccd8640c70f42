"""Do what a start would do with the code of others, and throw it away: a check tells what would fail there.

Unless ``online`` it opens nothing: code that is about to connect or to start a process or a thread is stopped
there (:mod:`plugmw.kernel.dry_run`), and a warning says that nobody knows how it would have ended.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from plugmw.configuration.plan import Plan
from plugmw.errors import ConfigError, LeftOut, PlugmwError
from plugmw.kernel import phases
from plugmw.kernel.dry_run import SideEffect, dry_run
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.user_code import contained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def rehearse(plan: Plan, online: bool = False) -> tuple[list[ConfigError], list[ConfigError]]:
    """Return the errors and the warnings of a rehearsed start."""
    rehearsal = _Rehearsal(plan)
    with nullcontext() if online else dry_run():
        rehearsal.run()
    return rehearsal.errors, rehearsal.warnings


class _Rehearsal:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigError] = []
        #: Classes of plugins that cannot be started.
        self.failed: set[type[Plugin]] = set()

    def run(self) -> None:
        seen: set[int] = set()
        for entry in self.plan.entries:
            if entry.enabled and id(entry.plugin) not in seen:
                seen.add(id(entry.plugin))
                if not self._starts(entry, entry.plugin):
                    self.failed.add(type(entry.plugin))
        self._configure_all()

    def _starts(self, entry: Entry, plugin: Plugin) -> bool:
        """Make what a worker makes at its start, and what the gateway makes when it compiles its chains."""
        wrap = getattr(plugin, phases.WRAP, None)
        return self._tried(entry, "cannot be started", plugin.rehearse) and (
            wrap is None or self._tried(entry, "cannot be put round the app", lambda: wrap(_app))
        )

    def _tried(self, entry: Entry, failure: str, call: Callable[[], object]) -> bool:
        try:
            contained(call)
        except SideEffect as effect:
            self._warn(entry, f"is not tried to its end, where it would {effect.what}; --online lets it")
        except LeftOut as left_out:
            self._warn(entry, f"would be left out: {left_out}")
        except PlugmwError as error:
            self.errors.append(self._error(entry, f"{failure}: {error}"))
        except Exception as error:
            self.errors.append(self._error(entry, f"{failure}: {type(error).__name__}: {error}"))
        else:
            return True
        return False

    def _configure_all(self) -> None:
        """Tell plugins the configurations of all their entries; a start only logs that one fails."""
        entries: dict[int, list[Entry]] = {}
        for entry in self.plan.entries:
            if entry.enabled and type(entry.plugin) not in self.failed:
                entries.setdefault(id(entry.plugin._audience()), []).append(entry)
        for own in entries.values():
            try:
                contained(own[0].plugin._tell_all, [entry.plugin.config for entry in own])
            except SideEffect as effect:
                problem = f"configure is not tried to its end, where it would {effect.what}; --online lets it"
                self._warn(own[0], problem)
            except Exception as error:
                self._warn(own[0], f"configure failed: {type(error).__name__}: {error}")

    def _warn(self, entry: Entry, problem: str) -> None:
        self.warnings.append(self._error(entry, problem))

    def _error(self, entry: Entry, problem: str) -> ConfigError:
        return self.plan.document.error(entry.path, problem)


def _app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Stand in for the app, which nobody asks here."""
    start_response("200 OK", [])
    return []
