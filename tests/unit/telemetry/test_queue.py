"""The delivery queue: batches, delays, retries, bounds, counts, stopping. No test waits for the clock."""

from __future__ import annotations

import gc
import logging
import os
import threading
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugmw.events import Events
from plugmw.kernel.runtime import Runtime
from plugmw.schema import read
from plugmw.telemetry import queue as queue_module
from plugmw.telemetry.queue import IDLE, LAST_TRY, PARALLEL, Lost, Queue, drain_all
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from tests.support.clock import Clock
from tests.support.events import listening
from tests.support.waiting import until

SECONDS = 20.0


class Stepped(Queue):
    """A queue whose thread is run by hand, in the time of a fake clock.

    A wait lets the time pass, and does what was planned for the meantime: (seconds, what is done).
    """

    def __init__(self, send=None, close=None, **settings):
        self.batches = []
        self.threads = []
        self.meantime = deque()
        self.waited = []
        super().__init__(
            "test",
            QueueConfig(**settings),
            send or (lambda batch: self.batches.append(list(batch))),
            logging.getLogger("plugmw.test"),
            Clock(1000.0),
            close,
            self.pass_time,
            lambda name, run: self.begin(run),
        )

    def begin(self, run):
        self.threads.append(run)

    def pass_time(self, condition, seconds):
        self.waited.append(seconds)
        if not self.meantime:
            self.clock.now += seconds
            return False
        after, act, *woken = self.meantime.popleft()
        self.clock.now += after
        condition.release()
        try:
            act()
        finally:
            condition.acquire()
        return not woken or woken[0]

    @property
    def starts(self):
        return len(self.threads)

    def run(self, *entries):
        """Put entries, then be the thread until it has nothing to do."""
        for entry in entries:
            self.put(entry)
        self.threads[-1]()
        return self.batches


class Failing:
    """Fails as often as there are errors, then takes everything."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.batches = []

    def __call__(self, batch):
        self.batches.append(list(batch))
        if self.errors:
            error = self.errors.pop(0)
            if callable(error):
                error(batch)
            else:
                raise error


DOWN = OSError("sink is down")


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def all_lines(caplog):
    caplog.set_level(logging.INFO, "plugmw.test")


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "max_batch_size": (0, 1_000_001),
    "max_coalescing_delay": (-1, 3601),
    "max_entries": (0, 1_000_001),
    "max_bytes": (0,),
    "max_retry_time": (-2,),
    "initial_retry_delay": (0, 1_000_001),
    "max_retry_delay": (0, 1_000_001),
    "concurrency_limit": (0, 2),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_settings_out_of_range_are_refused(name, value):
    _, problems = read(QueueConfig, {name: value})
    assert [path for path, *_ in problems] == [(name,)]


def test_defaults_are_those_of_kong():
    made, problems = read(QueueConfig, {})
    assert problems == []
    assert made == QueueConfig(
        max_batch_size=1,
        max_coalescing_delay=1,
        max_entries=10_000,
        max_bytes=None,
        max_retry_time=60,
        initial_retry_delay=0.01,
        max_retry_delay=60,
        concurrency_limit=1,
    )


# -- batches ------------------------------------------------------------------------------------------


def test_single_entries_go_at_once_in_order():
    queue = Stepped()
    assert queue.run("a", "b") == [["a"], ["b"]]
    assert queue.waited == [IDLE]
    assert (queue.sent, queue.dropped, queue.lost, len(queue)) == (2, 0, 0, 0)


def test_a_full_batch_goes_at_once_and_the_rest_after_the_delay():
    queue = Stepped(max_batch_size=2, max_coalescing_delay=5)
    assert queue.run("a", "b", "c") == [["a", "b"], ["c"]]
    assert queue.waited == [5, IDLE]


def test_the_delay_counts_from_the_first_entry():
    queue = Stepped(max_batch_size=9, max_coalescing_delay=5)
    queue.meantime += [(2, lambda: queue.put("b")), (1, lambda: queue.put("c"))]
    assert queue.run("a") == [["a", "b", "c"]]
    assert queue.waited == [5, 3, 2, IDLE]


def test_a_batch_that_becomes_full_goes_before_the_delay_has_passed():
    queue = Stepped(max_batch_size=2, max_coalescing_delay=3600)
    queue.meantime.append((2, lambda: queue.put("b")))
    assert queue.run("a") == [["a", "b"]]


def test_an_idle_thread_ends_and_the_next_entry_starts_another():
    queue = Stepped()
    queue.meantime.append((5, lambda: queue.put("b")))
    queue.run("a")
    assert (queue.starts, queue.waited) == (1, [IDLE, IDLE])
    queue.run("c")
    assert (queue.starts, queue.batches) == (2, [["a"], ["b"], ["c"]])


def test_an_entry_that_comes_as_the_thread_gives_up_waiting_is_sent():
    queue = Stepped()
    queue.meantime.append((IDLE, lambda: queue.put("b"), False))
    assert queue.run("a") == [["a"], ["b"]]


def test_entries_waiting_go_by_the_latest_way_of_sending():
    seen = []
    queue = Stepped(lambda batch: seen.append(("v1", *batch)), max_batch_size=10)
    queue.put("ENTRY1")
    queue.send = lambda batch: seen.append(("v2", *batch))
    queue.run("ENTRY2")
    assert seen == [("v2", "ENTRY1", "ENTRY2")]


def test_entries_go_alone_and_without_delay_when_concurrency_is_unlimited():
    queue = Stepped(concurrency_limit=-1, max_batch_size=50)
    for entry in range(PARALLEL + 2):
        queue.put(entry)
    assert queue.starts == PARALLEL
    assert queue.run() == [[entry] for entry in range(PARALLEL + 2)]


# -- retries ------------------------------------------------------------------------------------------


def test_a_failing_batch_is_sent_again_with_growing_pauses_before_those_behind_it(caplog):
    send = Failing(DOWN, DOWN, DOWN)
    queue = Stepped(send, initial_retry_delay=1, max_retry_delay=3)
    queue.run("a", "b")
    assert send.batches == [["a"]] * 4 + [["b"]]
    assert [round(wait, 3) for wait in queue.waited] == [1, 2, 3, IDLE]
    assert lines(caplog) == ["test: handler could not process entries: sink is down"]


def test_failures_are_told_again_after_a_minute_and_after_a_success(caplog):
    queue = Stepped(Failing(*[DOWN] * 3), initial_retry_delay=40, max_retry_delay=40, max_retry_time=500)
    queue.run("a")
    assert len(lines(caplog)) == 2
    queue.send = Failing(DOWN)
    queue.run("b")
    assert len(lines(caplog)) == 3


def test_a_batch_is_given_up_when_its_time_is_over_and_the_next_one_starts(caplog):
    queue = Stepped(
        Failing(*[ValueError("hard error")] * 4),
        max_retry_time=3,
        initial_retry_delay=1,
        max_retry_delay=1,
    )
    queue.run("Two", "Three")
    assert queue.send.batches == [["Two"]] * 4 + [["Three"]]
    assert (queue.sent, queue.lost) == (1, 1)
    assert lines(caplog)[-1] == (
        "test: could not send entries due to max_retry_time exceeded. 1 queue entries were lost"
    )


@pytest.mark.parametrize("patience", [-1, 0])
def test_without_retry_time_a_batch_is_sent_once(patience):
    queue = Stepped(Failing(DOWN), max_retry_time=patience, max_batch_size=2)
    queue.run("a", "b")
    assert queue.send.batches == [["a", "b"]]
    assert (queue.sent, queue.lost, queue.waited) == (0, 2, [IDLE])


def test_losses_are_told_once_a_minute_with_their_number(caplog):
    queue = Stepped(Failing(*[DOWN] * 4), max_retry_time=-1)
    queue.run("a", "b", "c")
    queue.clock.now += 60
    queue.run("d")
    told = [line for line in lines(caplog) if "lost" in line]
    assert [line.split(". ")[1] for line in told] == [
        "1 queue entries were lost",
        "3 queue entries were lost",
    ]


def test_what_was_taken_off_a_failing_batch_is_not_sent_again():
    def half(batch):
        del batch[:2]
        raise DOWN

    queue = Stepped(Failing(half), max_batch_size=3)
    queue.run("a", "b", "c")
    assert queue.send.batches == [["a", "b", "c"], ["c"]]
    assert (queue.sent, queue.lost) == (3, 0)


def test_progress_makes_the_patience_begin_anew():
    def one(batch):
        del batch[0]
        raise DOWN

    queue = Stepped(Failing(DOWN, one), max_batch_size=3, initial_retry_delay=2, max_retry_time=3)
    queue.run("a", "b")
    assert (queue.sent, queue.lost) == (2, 0)


def test_entries_told_lost_are_counted_and_the_rest_goes_at_once(caplog):
    def bad(batch):
        del batch[:2]
        raise Lost("too big", 1)

    queue = Stepped(Failing(bad), max_batch_size=3)
    queue.run("a", "b", "c")
    assert queue.send.batches == [["a", "b", "c"], ["c"]]
    assert (queue.sent, queue.lost, queue.waited) == (2, 1, [IDLE])
    assert lines(caplog) == ["test: too big. 1 queue entries were lost"]


def test_a_batch_told_lost_whole_is_not_sent_again():
    queue = Stepped(Failing(Lost("refused", 2)), max_batch_size=2)
    queue.run("a", "b")
    assert (len(queue.send.batches), queue.sent, queue.lost) == (1, 0, 2)


@pytest.mark.parametrize("jump", [3600, -3600])
def test_the_wall_clock_plays_no_part(monkeypatch, jump):
    queue = Stepped(Failing(DOWN), max_batch_size=2)
    monkeypatch.setattr("time.time", lambda: jump)
    queue.run("a")
    assert queue.sent == 1
    assert queue_module.Queue.__init__.__defaults__[0] is queue_module.time.monotonic


# -- bounds -------------------------------------------------------------------------------------------


def test_a_full_queue_drops_the_oldest_and_resumes(caplog):
    queue = Stepped(max_batch_size=2, max_entries=2, max_coalescing_delay=0.1)
    queue.run("One", "Two", "Three", "Four", "Five")
    queue.run("Six")
    assert queue.batches == [["Four", "Five"], ["Six"]]
    assert queue.dropped == 3
    assert lines(caplog) == [
        "test: queue at 80% capacity",
        "test: queue full, dropping old entries until processing is successful again",
        "test: queue resumed processing; 3 entries were dropped meanwhile",
    ]


def test_lines_are_logged_without_the_lock_so_a_handler_may_use_the_queue(monkeypatch):
    class Puts(logging.Handler):
        def emit(self, record):
            told.append((record.getMessage(), queue._lock.locked()))

    told, handler, logger = [], Puts(), logging.getLogger("plugmw.test")
    queue = Stepped(max_entries=2, max_bytes=10)
    queue.begin = raising_runtime_error
    logger.addHandler(handler)
    try:
        for entry in ("One", "Two", "Three"):
            queue.put(entry, 4)
        queue.put("large", 11)
    finally:
        logger.removeHandler(handler)
    assert told == [
        ("test: cannot start a thread: no", False),
        ("test: queue at 80% capacity", False),
        ("test: queue full, dropping old entries until processing is successful again", False),
        ("test: an entry of 11 bytes exceeds max_bytes (10)", False),
    ]


def raising_runtime_error(*args):
    raise RuntimeError("no")


def test_the_level_is_told_once_until_it_falls(caplog):
    queue = Stepped(max_entries=10)
    queue.run(*range(10))
    queue.run(*range(7))
    assert lines(caplog) == ["test: queue at 80% capacity"]
    queue.run(*range(8))
    assert len(lines(caplog)) == 2


def test_bytes_have_a_bound_of_their_own(caplog):
    queue = Stepped(max_bytes=10, max_batch_size=9)
    for entry, size in (("a", 4), ("b", 4), ("c", 9)):
        assert queue.put(entry, size)
    assert queue.run() == [["c"]]
    assert queue.dropped == 2
    assert lines(caplog) == ["test: byte capacity exceeded, 2 queue entries were dropped"]
    for entry in "def":
        queue.put(entry, 5)
    assert queue.run() == [["c"], ["e", "f"]]
    assert len(lines(caplog)) == 1


def test_an_entry_larger_than_all_bytes_is_refused_and_drops_nothing(caplog):
    queue = Stepped(max_bytes=10)
    assert queue.put("a", 10)
    assert not queue.put("b", 11)
    assert not queue.put("b", 11)
    assert (queue.run(), queue.dropped) == ([["a"]], 2)
    assert lines(caplog) == ["test: an entry of 11 bytes exceeds max_bytes (10)"]


def test_entries_being_sent_do_not_count_as_waiting():
    queue = Stepped(max_entries=1)

    def send(batch):
        queue.batches.append(list(batch))
        if batch == ["a"]:
            queue.put("b")

    queue.send = send
    queue.run("a")
    assert (queue.batches, queue.dropped) == ([["a"], ["b"]], 0)


# -- threads ------------------------------------------------------------------------------------------


def real(send, wait=threading.Condition.wait, **settings):
    return Queue("test", QueueConfig(**settings), send, logging.getLogger("plugmw.test"), wait=wait)


def test_no_thread_runs_before_the_first_entry():
    before = threading.active_count()
    queue = real(lambda batch: None)
    assert threading.active_count() == before
    queue.put("a")
    assert "plugmw-test" in {thread.name for thread in threading.enumerate()}
    assert queue.stop(queue.clock() + SECONDS) == 0


def test_a_thread_that_cannot_start_is_tried_again_with_the_next_entry(caplog, monkeypatch):
    queue = Stepped()

    def no(*args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(queue, "begin", no)
    queue.put("a")
    queue.put("b")
    assert lines(caplog) == ["test: cannot start a thread: can't start new thread"]
    monkeypatch.undo()
    assert (queue.run("c"), queue.starts) == ([["a"], ["b"], ["c"]], 1)


def test_what_holds_a_thread_back_goes_through(monkeypatch):
    from plugmw.kernel.dry_run import SideEffect, dry_run

    queue = real(lambda batch: None)
    with dry_run(), pytest.raises(SideEffect):
        queue.put("a")
    assert queue.busy
    queue.put("b")
    assert queue.stop(queue.clock() + SECONDS) == 0
    assert queue.sent == 2


def test_a_thread_that_is_killed_is_replaced():
    queue = Stepped(Failing(SystemExit()))
    with pytest.raises(SystemExit):
        queue.run("a")
    assert (queue.lost, queue.busy) == (1, False)
    queue.run("b")
    assert (queue.starts, queue.sent, queue.lost) == (2, 1, 1)


def test_what_ends_the_thread_is_told_and_what_it_had_is_counted(caplog):
    def partly(batch):
        del batch[:1]
        raise SystemExit

    queue = Stepped(Failing(partly), max_batch_size=3)
    with pytest.raises(SystemExit):
        queue.run("a", "b", "c", "d")
    assert (queue.sent, queue.lost, len(queue), queue.busy) == (1, 2, 1, True)
    assert lines(caplog) == ["test: the thread that sends was ended by SystemExit. 2 queue entries were lost"]
    queue.run("e")
    assert (queue.sent, queue.lost, queue.busy) == (3, 2, False)


def test_many_threads_put_and_every_entry_arrives_once():
    seen = []
    queue = real(seen.extend, max_batch_size=7, max_coalescing_delay=0)
    barrier = threading.Barrier(8)

    def put(number):
        barrier.wait()
        for entry in range(500):
            queue.put((number, entry))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.stop(queue.clock() + SECONDS) == 0
    assert sorted(seen) == [(number, entry) for number in range(8) for entry in range(500)]
    assert all([e for n, e in seen if n == number] == list(range(500)) for number in range(8))


@pytest.mark.slow
def test_a_sink_that_hangs_never_holds_up_who_puts():
    hangs, release = threading.Event(), threading.Event()

    def send(batch):
        hangs.set()
        release.wait(SECONDS)

    queue = real(send, max_entries=10)
    queue.put("first")
    assert hangs.wait(SECONDS)
    for entry in range(20_000):
        queue.put(entry)
    assert (len(queue), queue.dropped) == (10, 19_990)
    release.set()
    assert queue.stop(queue.clock() + SECONDS) == 0
    assert queue.sent == 11


# -- the end ------------------------------------------------------------------------------------------


def test_a_stop_ends_the_wait_for_a_full_batch():
    queue = Stepped(max_batch_size=2, max_coalescing_delay=1000)
    queue.meantime.append((1, lambda: queue.begin_stop(queue.clock() + 5)))
    assert queue.run("a") == [["a"]]
    assert queue.waited == [1000]


def test_a_stop_leaves_time_for_further_tries():
    queue = Stepped(Failing(DOWN, DOWN, DOWN), initial_retry_delay=1, max_retry_delay=1)
    queue.begin_stop(queue.clock() + 5)
    queue.run("a")
    assert (queue.sent, queue.waited) == (1, [1, 1, 1])


@pytest.mark.parametrize(("errors", "sent", "lost"), [(1, 3, 0), (9, 0, 3)])
def test_a_queue_that_fails_already_gets_one_more_try_when_it_stops(errors, sent, lost):
    failing = Failing(*[DOWN] * errors)
    queue = Stepped(failing, initial_retry_delay=4, max_retry_delay=4)
    queue.meantime.append((0.5, lambda: queue.begin_stop(queue.clock() + 5)))
    queue.run("a", "b", "c")
    queue.stop(queue.clock() + 5)
    assert (queue.sent, queue.lost, queue.waited) == (sent, lost, [4])
    assert len(failing.batches) == errors + 3 if sent else 2


def test_a_sink_that_hangs_and_has_failed_before_is_waited_for_a_second():
    queue = Stepped(Failing(DOWN, lambda batch: left.append(queue.stop(queue.clock() + 5))))
    left = []
    queue.run("a")
    assert left == [1]
    assert queue.waited[1:] == [pytest.approx(LAST_TRY)]


def test_a_queue_that_fails_has_less_patience():
    queue = Stepped(Failing(DOWN), initial_retry_delay=1, max_retry_delay=1)
    seen = [queue.patience]
    queue.meantime.append((0.5, lambda: seen.append(queue.patience)))
    queue.put("a")
    seen.append(queue.patience)
    queue.run()
    assert seen == [0.0, 5.0, LAST_TRY]
    assert queue.patience == 0.0


def test_a_pause_that_would_last_beyond_the_stop_gives_up(caplog):
    queue = Stepped(Failing(DOWN, DOWN), initial_retry_delay=4, max_retry_delay=4)
    queue.begin_stop(queue.clock() + 2)
    queue.run("a")
    assert (queue.sent, queue.lost) == (0, 1)


def test_nothing_is_sent_after_the_deadline(caplog):
    queue = Stepped()

    def slow(batch):
        queue.batches.append(list(batch))
        queue.clock.now += 3

    queue.send = slow
    queue.begin_stop(queue.clock() + 5)
    assert queue.run("a", "b", "c") == [["a"], ["b"]]
    assert queue.stop(queue.clock()) == 1
    assert lines(caplog) == ["test: queue stopped with 1 entries not sent; 0 were dropped and 1 lost in all"]


def test_a_sink_that_hangs_ends_at_the_deadline_and_what_it_has_is_told(caplog):
    closed, left = [], []
    queue = Stepped(lambda batch: left.append(queue.stop(queue.clock() + 5)), lambda: closed.append(1))
    queue.run("a")
    assert (left, queue.waited, closed) == ([1], [5], [1])
    assert "stopped with 1 entries not sent" in caplog.text


def test_what_comes_after_a_stop_that_could_not_wait_is_sent_once_the_sink_lets_go():
    go, seen = threading.Event(), []

    def hangs(batch):
        if not seen:
            go.wait(SECONDS)
        seen.extend(batch)

    queue = real(hangs)
    queue.put("a")
    until(lambda: queue._taken)
    assert queue.stop(queue.clock()) == 1
    queue.put("b")
    go.set()
    until(lambda: queue.sent == 2)
    assert (seen, queue.lost, len(queue)) == (["a", "b"], 0, 0)
    assert queue.stop(queue.clock() + SECONDS) == 0


def test_a_stopped_queue_says_nothing_if_nothing_was_lost_and_serves_again(caplog):
    seen = []
    queue = real(seen.extend)
    queue.put("a")
    assert queue.stop(queue.clock() + SECONDS) == 0
    assert lines(caplog) == []
    queue.put("b")
    assert queue.stop(queue.clock() + SECONDS) == 0
    assert seen == ["a", "b"]


def test_a_waiting_batch_goes_out_when_a_real_queue_stops():
    seen = []
    queue = real(seen.append, max_batch_size=10, max_coalescing_delay=1000)
    queue.put("a")
    queue.put("b")
    assert queue.stop(queue.clock() + SECONDS) == 0
    assert seen == [["a", "b"]]


# -- several queues -----------------------------------------------------------------------------------


def test_one_key_is_one_queue():
    queues = Queues()
    queues.shutdown_timeout = 7
    first = queues.get("key", lambda: real(None))
    assert queues.get("key", lambda: pytest.fail("made again")) is first
    assert queues.get("other", lambda: real(None)) is not first
    assert (len(queues.all()), first.shutdown_timeout) == (2, 7)


def test_threads_that_ask_at_once_get_one_queue():
    queues, asking, made = Queues(), threading.Barrier(8), []

    def make():
        made.append(real(None))
        return made[-1]

    def ask(number):
        asking.wait(SECONDS)
        return queues.get("key", make)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {made[0]}
    assert len(made) == 1


def test_one_that_asks_while_the_queue_is_made_gets_that():
    queues = Queues()
    waiting, second = [], threading.Event()

    def ask():
        second.set()
        return queues.get("key", lambda: pytest.fail("made again"))

    def make():
        waiting.append(pool.submit(ask))
        assert second.wait(SECONDS)
        return real(None)

    with ThreadPoolExecutor(1) as pool:
        assert queues.get("key", make) is waiting[0].result(SECONDS)


def test_closing_drains_all_in_one_time_and_forgets_them():
    queues, seen = Queues(), []
    for key in "ab":
        queue = queues.get(key, lambda: real(seen.extend, max_batch_size=9, max_coalescing_delay=1000))
        queue.put(key)
    assert queues.patience == queue_module.SHUTDOWN_TIMEOUT
    assert queues.close() == 0
    assert sorted(seen) == ["a", "b"]
    assert (queues.all(), queues.close(), queues.patience) == ([], 0, 0)


def test_the_runtime_drains_when_it_closes():
    from plugmw.kernel.runtime import Runtime

    seen = []
    runtime = Runtime()
    Queues.of(runtime).get("key", lambda: real(seen.extend)).put("a")
    runtime.close()
    assert seen == ["a"]
    assert Queues.of(runtime).all() == []


def test_the_gateways_setting_says_how_long_it_waits():
    from plugmw import Gateway

    gateway = Gateway(lambda environ, start: [], {"shutdown_timeout": 2.5})
    assert Queues.of(gateway.runtime).shutdown_timeout == 2.5


@pytest.mark.slow
def test_a_forked_child_has_its_own_empty_queues():
    from plugmw.kernel.runtime import Runtime

    runtime, parent, seen = Runtime(), os.getpid(), []
    locked, forked = threading.Event(), threading.Event()

    def wait(condition, seconds):
        if os.getpid() == parent and not forked.is_set():
            # A thread that waits has the lock, until it really waits.
            locked.set()
            forked.wait(SECONDS)
        return condition.wait(seconds)

    queue = Queues.of(runtime).get(
        "key", lambda: real(seen.extend, wait=wait, max_batch_size=9, max_coalescing_delay=1000)
    )
    queue.put("parent's")
    assert locked.wait(SECONDS)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        try:
            queue.put("child's")
            queue.stop(queue.clock() + SECONDS)
            os.write(write_end, repr((seen, Queues.of(runtime).all())).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    forked.set()
    os.close(write_end)
    told = os.read(read_end, 1000)
    os.close(read_end)
    assert queue.stop(queue.clock() + SECONDS) == 0
    assert (told, seen) == (b'(["child\'s"], [])', ["parent's"])


def test_after_a_fork_queues_are_empty_and_forgotten():
    queues = Queues()
    queue = queues.get("key", Stepped)
    queue.put("parent's")
    queue.after_fork()
    queues.after_fork()
    assert (queue.run("child's"), queues.all()) == ([["child's"]], [])


@pytest.mark.slow
def test_a_queue_that_nobody_keeps_goes():
    queue = real(None)
    gone = weakref.ref(queue)
    del queue
    gc.collect()
    assert gone() is None


def test_what_waits_at_the_end_of_a_process_is_sent(monkeypatch):
    seen = []
    queue = real(seen.append, max_batch_size=10, max_coalescing_delay=1000)
    queue.put("a")
    drain_all()
    assert seen == [["a"]]


def test_how_many_were_dropped_is_told_once_a_minute_while_it_is_full_and_each_is_counted(caplog):
    queue = Queue(
        "sink", QueueConfig(max_entries=2), print, logging.getLogger("plugmw.test"), clock=(clock := Clock())
    )
    queue._start_thread = lambda name, run: None
    queue.events = Events()
    taken = listening(queue.events)
    for _ in range(122):
        queue.put("entry")
        clock.advance(1)
    assert lines(caplog) == [
        "sink: queue at 80% capacity",
        "sink: queue full, dropping old entries until processing is successful again",
        "sink: queue full, 61 old entries were dropped so far",
    ]
    assert taken == [("queue_dropped", "sink", 1)] * 120
    queue._running = 0
    queue.stop(clock())
    assert taken[120:] == [("queue_dropped", "sink", 2)]


def test_what_is_given_up_is_counted_under_the_name_of_the_sink():
    def fail(batch):
        raise OSError("down")

    queue = Stepped(send=fail, max_batch_size=2, max_coalescing_delay=0.1, max_retry_time=-1)
    queue.events = Events()
    taken = listening(queue.events)
    queue.run("One", "Two")
    assert (queue.lost, taken) == (2, [("queue_dropped", "test", 2)])


def test_the_queues_of_a_gateway_tell_its_events():
    runtime = Runtime()
    queue = Queues.of(runtime).get("a", lambda: Queue("a", QueueConfig(), print, runtime.logger))
    assert queue.events is runtime.events
