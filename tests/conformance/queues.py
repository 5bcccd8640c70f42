"""Cases with ``"unit": "queue"``: steps with a delivery queue alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from plugmw.telemetry.queue import Queue
from plugmw.telemetry.queue_config import QueueConfig
from tests.conformance.match import matched

KEYS = {"expect": {"batches", "processed", "log", "handler_conf"}}
STEPS = {"enqueue", "with_conf", "handler_raises_on", "text", "then_run_sender", "wait_empty"}


class _Held:
    """Starts the threads of a queue when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] | None = []

    def start(self, name: str, run: Callable[[], None]) -> None:
        if self.waiting is None:
            threading.Thread(target=run, daemon=True).start()
        else:
            self.waiting.append(run)

    def release(self) -> None:
        waiting, self.waiting = self.waiting, None
        for run in waiting or ():
            self.start("", run)


def run(case: dict[str, Any]) -> list[str]:
    """Carry out the steps; return what was wrong."""
    from tests.conformance.logs import Lines

    if case["unit"] != "queue":
        return [f"unknown unit {case['unit']!r}"]
    unknown = {key for step in case["steps"] for key in step} - STEPS | set(case["config"]) - {"queue"}
    if unknown:
        return [f"unknown keys {sorted(unknown)} in config or steps"]
    log, bad = Lines(), {s["handler_raises_on"]: s["text"] for s in case["steps"] if "handler_raises_on" in s}
    found: dict[str, Any] = {"batches": [], "processed": [], "handler_conf": None}

    def handler(conf: Any) -> Any:
        def send(batch: list[str]) -> None:
            for entry in batch:
                if entry in bad:
                    raise RuntimeError(bad[entry])
            found["batches"].append(list(batch))
            found["processed"] += batch
            found["handler_conf"] = conf

        return send

    settings = QueueConfig(**case["config"]["queue"])
    held = _Held()
    queue = Queue("queue", settings, handler(None), log.logger, start=held.start)
    try:
        for step in case["steps"]:
            if "with_conf" in step:
                queue.send = handler(step["with_conf"])
            for entry in step.get("enqueue", []):
                queue.put(entry, len(entry))
            if step.get("then_run_sender"):
                held.release()
            if step.get("wait_empty"):
                _wait(queue, 2 + (settings.max_retry_time if bad else 0))
    finally:
        held.release()
        queue.stop(time.monotonic() + 1)
    expect = {key: value for key, value in case["expect"].items() if key != "log"}
    problems = [p for key, value in expect.items() for p in matched(key, value, found[key])]
    return problems + log.problems(case["expect"].get("log", []))


def _wait(queue: Queue, seconds: float) -> None:
    end = time.monotonic() + seconds
    while queue.busy and time.monotonic() < end:
        time.sleep(0.005)
