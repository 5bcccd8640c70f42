"""Cases with ``"unit": "queue"``: steps with a delivery queue alone."""

from __future__ import annotations

import time
from typing import Any

from plugmw.delivery import Queue
from plugmw.telemetry.queue_config import QueueConfig
from tests.conformance.match import matched

KEYS = {"expect": {"batches", "processed", "log", "handler_conf"}}
STEPS = {"enqueue", "with_conf", "handler_raises_on", "text", "then_run_sender", "wait_empty"}


class _Held(Queue):
    """A queue whose threads start when they are told to."""

    held = True

    def _spawn(self) -> None:
        if not self.held:
            super()._spawn()

    def release(self) -> None:
        if not self.held:
            return
        self.held = False
        for _ in range(self._running):
            self._spawn()


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
    queue = _Held("queue", settings, handler(None), log.logger)
    try:
        for step in case["steps"]:
            if "with_conf" in step:
                queue.send = handler(step["with_conf"])
            for entry in step.get("enqueue", []):
                queue.put(entry, len(entry))
            if step.get("then_run_sender"):
                queue.release()
            if step.get("wait_empty"):
                _wait(queue, 2 + (settings.max_retry_time if bad else 0))
    finally:
        queue.release()
        queue.stop(time.monotonic() + 1)
    expect = {key: value for key, value in case["expect"].items() if key != "log"}
    problems = [p for key, value in expect.items() for p in matched(key, value, found[key])]
    return problems + log.problems(case["expect"].get("log", []))


def _wait(queue: Queue, seconds: float) -> None:
    end = time.monotonic() + seconds
    while queue.busy and time.monotonic() < end:
        time.sleep(0.005)
