"""The settings of a delivery queue, as plugins that send have them."""

from __future__ import annotations

from collections.abc import Iterator

from plugmw.schema import between, config, field


@config
class QueueConfig:
    """How entries wait and are sent."""

    max_batch_size: int = field(1, between(1, 1_000_000), help="Entries per send.")
    max_coalescing_delay: float = field(
        1, between(0, 3600), help="Seconds to wait for a batch to fill after its first entry."
    )
    max_entries: int = field(10_000, between(1, 1_000_000), help="Entries waiting; the oldest is dropped.")
    max_bytes: int | None = field(None, between(1, 2**40), help="Bytes waiting; the oldest are dropped.")
    max_retry_time: float = field(
        60, between(-1, 1_000_000), help="Seconds after which a failing batch is given up; -1: never retried."
    )
    initial_retry_delay: float = field(
        0.01,
        between(0.001, 1_000_000),
        help="Seconds before the first retry; each further one waits twice as long.",
    )
    max_retry_delay: float = field(60, between(0.001, 1_000_000), help="Seconds between retries, at most.")
    concurrency_limit: int = field(1, help="1: one batch after the other; -1: every entry at once, alone.")

    def check(self) -> Iterator[tuple[str, str]]:
        if self.concurrency_limit not in (1, -1):
            yield "concurrency_limit", f"got {self.concurrency_limit}, expected 1 or -1"
