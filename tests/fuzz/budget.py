"""What one example may cost, in time of the processor: what other programs do does not count.

made = tried(read, text)                      # raises what ``read`` raises
made = tried(read, text, refuses=ValueError)  # REFUSED if it raised that
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: Seconds. Inputs here are of some kilobytes at most.
MOST = 0.05
#: Counts only if it takes so long each time: the first run may import, any may collect the garbage.
TIMES = 3


class _Refused:
    def __repr__(self) -> str:
        return "REFUSED"


REFUSED: Any = _Refused()


def tried(function: Callable[..., Any], *arguments: Any, refuses: Any = ()) -> Any:
    """Return what the function returns; fail if it takes too long. It is called again then."""
    taken = []
    for _ in range(TIMES):
        begun = time.thread_time()
        try:
            made = function(*arguments)
        except refuses:
            made = REFUSED
        taken.append(time.thread_time() - begun)
        if taken[-1] <= MOST:
            return made
    raise AssertionError(f"took {min(taken):.3f} s of CPU, expected at most {MOST} s")
