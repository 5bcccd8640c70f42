"""The tiny app, the tiny server and the clock that every in-process benchmark shares."""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from io import BytesIO
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Key = TypeVar("Key", bound=Hashable)

#: The request header that realistic layers read.
READ = "HTTP_X_IN"

#: What gunicorn hands over for a browser's GET, without the socket.
ENVIRON: dict[str, Any] = {
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
    "SERVER_SOFTWARE": "bench",
    "REQUEST_METHOD": "GET",
    "QUERY_STRING": "",
    "RAW_URI": "/",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_USER_AGENT": "bench/1",
    "HTTP_ACCEPT": "*/*",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate",
    "HTTP_CONNECTION": "keep-alive",
    READ: "seen",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "40000",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "PATH_INFO": "/",
    "SCRIPT_NAME": "",
}

HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "2")]


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer ``ok``: the app under every variant."""
    start_response("200 OK", [HEADERS[0], HEADERS[1]])
    return [b"ok"]


class Answer:
    """What one driven request gave."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.body = b""

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status = status
        self.headers = headers
        return None

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def drive(app: WSGIApplication, template: dict[str, Any] = ENVIRON) -> Answer:
    """Serve one request as a WSGI server would, without the socket."""
    environ = template.copy()
    answer = Answer()
    body = app(environ, answer.start_response)
    try:
        for chunk in body:
            answer.body += chunk
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return answer


def calls(app: WSGIApplication, names: Sequence[str], template: dict[str, Any] = ENVIRON) -> list[str]:
    """Serve one request; list, in order, the calls of bench functions that have one of ``names``.

    It looks at the very object that is timed, so nothing has to be added to it to be counted.
    """
    seen: list[str] = []

    def profile(frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name in names and frame.f_globals.get("BENCH_LAYERS"):
            seen.append(code.co_name)

    sys.setprofile(profile)
    try:
        drive(app, template)
    finally:
        sys.setprofile(None)
    return seen


def measure(
    cells: Mapping[Key, Callable[[], object]], rounds: int, slice_ms: float = 15.0, seed: int = 1
) -> dict[Key, float]:
    """Return the median microseconds of CPU that one call of each cell takes.

    Every round visits all cells once, in a new random order, so that a slow minute of the machine
    falls on all of them. CPU time of this thread is taken, not wall time: other jobs may share the cores.
    """
    order = list(cells)
    shuffle = random.Random(seed).shuffle
    counts = {key: calibrate(call, slice_ms) for key, call in cells.items()}
    times: dict[Key, list[float]] = {key: [] for key in cells}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        shuffle(order)
        for key in order:
            times[key].append(spend(cells[key], counts[key]) / counts[key])
    gc.unfreeze()
    return {key: statistics.median(values) for key, values in times.items()}


def calibrate(call: Callable[[], object], slice_ms: float) -> int:
    """Return how many calls fill a slice; warms the code up for a quarter of one."""
    call()  # the first may open files or start workers
    count = 16
    while (spent := spend(call, count)) < slice_ms * 250:
        count *= 4
    return max(1, int(slice_ms * 1000 * count / spent))


def spend(call: Callable[[], object], count: int) -> float:
    """Return the microseconds of CPU that ``count`` calls take."""
    loop = range(count)
    start = time.thread_time_ns()
    for _ in loop:
        call()
    return (time.thread_time_ns() - start) / 1000


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay rows out under a head, first column to the left, numbers to the right."""
    text = [[cell if isinstance(cell, str) else show(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *text, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = cells
        return "  ".join(
            [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))]
        )

    return "\n".join([line(head), "  ".join("-" * width for width in widths), *map(line, text)])


def show(value: object) -> str:
    """Write a number with as many digits as it is worth; nothing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
