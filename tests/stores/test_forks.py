from __future__ import annotations

import gc
from collections.abc import Callable

from plugmw.stores import forks

RENEWED = """
import os
from plugmw.stores import forks
class Thing:
    state = "inherited"
    def after_fork(self):
        self.state = "renewed"
thing = Thing()
forks.watch(thing)
child = os.fork()
if not child:
    os._exit(thing.state == "renewed")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), thing.state)
"""


class Thing:
    def after_fork(self) -> None: ...


def test_a_watched_object_is_renewed_in_the_child_and_not_in_the_parent(output: Callable[..., str]) -> None:
    assert output(RENEWED) == "1 inherited"


def test_an_object_nobody_else_holds_is_forgotten() -> None:
    thing = Thing()
    forks.watch(thing)
    before = len(forks._watched)
    del thing
    gc.collect()
    assert len(forks._watched) < before


WITHOUT = """
import os, random  # random registers itself
del os.register_at_fork
import plugmw.stores.forks
print("ok")
"""


def test_stores_can_be_imported_where_there_are_no_forks(output: Callable[..., str]) -> None:
    assert output(WITHOUT) == "ok"
