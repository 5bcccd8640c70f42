"""A gateway takes a new configuration between two requests, and keeps the old one when the new one is bad."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
import weakref

import pytest

from plugmw import Entry, Gateway, Plugin
from plugmw.concurrency.threads import Daemon
from plugmw.reload import generations, watcher
from plugmw.testing import hello_app
from tests.support.waiting import until
from tests.support.wsgi import environ_of, serve

PLUGIN = """
from plugmw import Plugin

class Tell(Plugin):
    name, priority = "tell", 5

    def header_filter(self, x):
        x.headers["X-Tell"] = {text!r}
"""


class Files:
    """A configuration file and a folder with one plugin."""

    def __init__(self, folder):
        self.path = folder / "gateway.json"
        self.plugins = folder / "plugins"
        self.plugins.mkdir()
        self.plugin("one")
        self.config()

    def plugin(self, text):
        (self.plugins / "tell.py").write_text(PLUGIN.format(text=text))

    def config(self, *entries, **keys):
        folders = [{"path": "plugins"}]
        document = {"store": "memory://", "folders": folders, "plugins": [{"name": "tell"}, *entries], **keys}
        self.path.write_text(json.dumps(document))


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def gateway(files):
    made = Gateway(hello_app, files.path, reload=False)
    yield made
    made.stop()


def told(gateway):
    return dict(serve(gateway, environ_of("/")).headers).get("X-Tell")


# -- what is new is in force ------------------------------------------------------------------------------


def test_a_changed_configuration_is_in_force_at_once(gateway, files):
    assert serve(gateway, environ_of("/")).status == "200 OK"
    files.config({"name": "request-termination", "config": {"status_code": 503}})
    assert gateway.reload()
    assert serve(gateway, environ_of("/")).status.startswith("503")


def test_a_changed_plugin_file_is_loaded_anew(gateway, files):
    assert told(gateway) == "one"
    files.plugin("two")
    assert told(gateway) == "one"
    assert gateway.reload()
    assert told(gateway) == "two"


def test_a_file_that_is_as_it_was_is_not_loaded_again(gateway, files):
    before = type(gateway.entries[0].plugin)
    assert gateway.reload()
    assert type(gateway.entries[0].plugin) is before


def test_a_gateway_that_has_served_nothing_yet_just_takes_the_new_one(gateway, files):
    files.plugin("two")
    assert gateway.reload()
    assert told(gateway) == "two"


def test_counters_outlive_a_reload(gateway, files):
    files.config({"name": "rate-limiting", "config": {"minute": 2, "policy": "local"}})
    assert gateway.reload()
    statuses = []
    for _ in range(3):
        statuses.append(serve(gateway, environ_of("/")).status[:3])
        assert gateway.reload()
    assert statuses == ["200", "200", "429"]


def test_another_store_is_opened_and_the_old_one_closed(gateway, files, tmp_path):
    serve(gateway, environ_of("/"))
    before = gateway.runtime.store
    closed = []
    before.close = lambda: closed.append(True)
    files.config(store=(tmp_path / "table").as_uri())
    assert gateway.reload()
    assert gateway.runtime.store is not before
    until(lambda: closed)


def test_an_injected_logger_stays(gateway, caplog):
    import logging

    gateway.register_logger(logging.getLogger("mine"))
    assert gateway.reload()
    assert gateway.runtime.logger.name == "mine"


# -- what is bad changes nothing --------------------------------------------------------------------------

BAD = {
    "no JSON": ("{", "not JSON"),
    "empty": ("", "is empty"),
    "an unknown plugin": ('{"plugins": [{"name": "none"}]}', 'no plugin "none"'),
    "a wrong type": ('{"plugins": 5}', "plugins: got"),
    "two errors": ('{"plugins": 5, "routes": 6}', "expected a list; "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_refused_with_one_line(gateway, files, caplog, name):
    assert told(gateway) == "one"
    text, problem = BAD[name]
    files.path.write_text(text)
    assert not gateway.reload()
    assert told(gateway) == "one"
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("reload refused, the configuration in force stays: ")
    assert problem in line
    assert "\n" not in line
    files.config()
    assert gateway.reload()


def test_a_plugin_that_cannot_start_leaves_the_old_ones_running(gateway, files, caplog):
    assert told(gateway) == "one"
    broken = "    def init_worker(self):\n        raise OSError('no')\n"
    (files.plugins / "tell.py").write_text(PLUGIN.format(text="two") + "\n" + broken)
    assert not gateway.reload()
    assert told(gateway) == "one"
    assert "reload refused" in caplog.text
    assert "tell: init_worker failed" in caplog.text


def test_a_file_of_a_refused_configuration_is_looked_at_too(gateway, files):
    (files.plugins / "tell.py").write_text("def")
    (files.plugins / "more.py").write_text("")
    assert not gateway.reload()
    assert str(files.plugins / "more.py") in gateway.files


def test_modules_of_a_refused_configuration_are_forgotten(gateway, files):
    serve(gateway, environ_of("/"))
    files.plugin("two")
    files.config({"name": "none"})
    before = set(sys.modules)
    assert not gateway.reload()
    assert set(sys.modules) - before == set()


def test_what_is_no_error_of_ours_is_logged_with_its_trace(gateway, files, monkeypatch, caplog):
    monkeypatch.setattr("plugmw.reload.reloading.read_plan", lambda *_: 1 / 0)
    assert not gateway.reload()
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in record.getMessage()
    assert record.exc_info


# -- running requests -------------------------------------------------------------------------------------


class Noted(Plugin):
    """Tells when it is closed."""

    name, priority = "noted", 4
    closed = 0

    def header_filter(self, x):
        x.headers["X-Noted"] = str(id(self))

    def close(self):
        type(self).closed += 1


@pytest.mark.slow
def test_a_running_request_ends_under_the_old_configuration_which_is_then_closed(files):
    class Mine(Noted):
        closed = 0

    def slow(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"a"
        yield b"b"

    gateway = Gateway(slow, files.path, plugins=[Mine()], reload=False)
    environ = environ_of("/")
    running = gateway(environ, lambda status, headers, exc_info=None: None)
    parts = iter(running)
    assert next(parts) == b"a"
    assert gateway.reload()
    time.sleep(0.1)
    assert Mine.closed == 0
    assert list(parts) == [b"b"]
    running.close()
    del running, parts, environ
    gc.collect()
    until(lambda: Mine.closed == 1)
    gateway.stop()
    assert Mine.closed == 2


class Scarce(Daemon):
    """A thread of which the system has some only: ``left`` says whether the next one can start."""

    left: list[bool] = []

    def start(self):
        if self.left and not self.left.pop(0):
            raise RuntimeError("can't start new thread")
        super().start()


@pytest.mark.parametrize(
    ("left", "after_one"),
    [([False], 0), ([True, False], 1)],
    ids=["none to wait in", "none to close in"],
)
def test_a_reload_for_which_there_is_no_thread_is_in_force_and_what_it_replaced_is_closed(
    files, monkeypatch, caplog, left, after_one
):
    class Mine(Noted):
        closed = 0

    monkeypatch.setattr(generations, "Daemon", Scarce)
    gateway = Gateway(hello_app, files.path, plugins=[Mine()], reload=False)
    before = dict(serve(gateway, environ_of("/")).headers)["X-Noted"]
    Scarce.left = [*left]
    assert gateway.reload()
    assert dict(serve(gateway, environ_of("/")).headers)["X-Noted"] != before
    until(lambda: Mine.closed == after_one)
    until(lambda: not Scarce.left and not gateway._draining._running)
    assert "no thread to close a replaced configuration in: can't start new thread" in caplog.text
    assert "reload refused" not in caplog.text
    # The next one has a thread, and closes what the first has left.
    assert gateway.reload()
    until(lambda: not len(gateway._draining))
    assert Mine.closed == 2
    gateway.stop()
    assert Mine.closed == 3


def test_what_is_replaced_is_in_force_until_what_replaces_it_is(files, monkeypatch):
    def drain(old):
        assert gateway._current is not old
        assert old.holdings in gateway._living()
        assert gateway._current.holdings in gateway._living()
        drained.append(old)

    drained = []
    gateway = Gateway(hello_app, files.path, reload=False)
    serve(gateway, environ_of("/"))
    old = gateway._current
    monkeypatch.setattr(gateway, "_drain", drain)
    assert gateway.reload()
    assert drained == [old]
    assert gateway._living() == [gateway._current.holdings]
    gateway.stop()


def test_the_end_of_the_process_closes_what_has_not_drained(files):
    class Mine(Noted):
        closed = 0

    gateway = Gateway(hello_app, files.path, plugins=[Mine()], reload=False)
    environ = environ_of("/")
    held = gateway(environ, lambda status, headers, exc_info=None: None)
    assert gateway.reload()
    gateway.stop()
    assert Mine.closed == 2
    del held


def test_a_plugin_object_that_cannot_be_copied_is_in_all_generations_and_closed_once(files):
    class Own(Noted):
        closed = 0

        def __init__(self, text):
            super().__init__()
            self.text = text
            self.configured = 0

        def configure(self):
            self.configured += 1

    plugin = Own("x")
    gateway = Gateway(hello_app, files.path, plugins=[Entry(plugin)], reload=False)
    serve(gateway, environ_of("/"))
    assert gateway.reload()
    assert gateway.reload()
    until(lambda: not len(gateway._draining))
    assert (Own.closed, plugin.configured) == (0, 1)
    assert any(entry.plugin is plugin for entry in gateway.entries)
    gateway.stop()
    assert Own.closed == 1


def test_a_gateway_without_a_thread_to_watch_in_serves_and_tries_again(files, monkeypatch, caplog):
    monkeypatch.setattr(watcher, "Daemon", Scarce)
    Scarce.left = [False, False]
    gateway = Gateway(hello_app, files.path)
    assert serve(gateway, environ_of("/")).status == "200 OK"
    assert gateway._watcher is None
    assert serve(gateway, environ_of("/")).status == "200 OK"
    assert (gateway._watcher, gateway._run) == (None, gateway._first)
    assert caplog.text.count("no thread to watch the files in, tried again: can't start new thread") == 1
    assert serve(gateway, environ_of("/")).status == "200 OK"
    assert gateway._watcher is not None
    assert gateway._run is gateway._current.run
    gateway.stop()


def test_plugin_objects_given_in_code_are_copied_with_their_entries(files):
    gateway = Gateway(hello_app, files.path, plugins=[Entry(Noted(), priority=77)], reload=False)
    before = dict(serve(gateway, environ_of("/")).headers)["X-Noted"]
    assert gateway.reload()
    assert dict(serve(gateway, environ_of("/")).headers)["X-Noted"] != before
    assert [entry.rank for entry in gateway.entries if entry.name == "noted"] == [77]
    gateway.stop()


class Waits(Plugin):
    """Uses the store, and from its second start on waits for what a test does."""

    name, priority = "waits", 3

    def init_worker(self):
        self.runtime.store.incr("started")
        self.meanwhile("init_worker")

    @classmethod
    def configure_all(cls, configs):
        cls.meanwhile("configure_all")

    def access(self, x):
        x.environ["seen"] = self.runtime.store.incr("seen")


@pytest.mark.parametrize("when", ["init_worker", "configure_all"])
def test_a_store_that_is_about_to_be_in_force_again_is_not_closed_with_a_generation_that_drains(files, when):
    class Mine(Waits):
        drain = None

        @classmethod
        def meanwhile(cls, phase):
            if phase == when and cls.drain is not None:
                cls.drain()

    files.config(store="memory://?keys=10")
    gateway = Gateway(hello_app, files.path, plugins=[Mine()], reload=False)
    held = environ_of("/")
    serve(gateway, held)
    store = gateway.runtime.store
    files.config(store="memory://?keys=11")
    assert gateway.reload()
    until(lambda: gateway._draining._running is True)

    def drain():
        held.clear()
        until(lambda: not len(gateway._draining))

    files.config(store="memory://?keys=10")
    Mine.drain = staticmethod(drain)
    assert gateway.reload()
    environ = environ_of("/")
    assert serve(gateway, environ).status == "200 OK"
    assert (gateway.runtime.store, environ["seen"]) == (store, 2)
    gateway.stop()


def test_a_store_of_a_generation_that_drains_is_closed_when_it_has_not_come_back(files):
    files.config(store="memory://?keys=10")
    gateway = Gateway(hello_app, files.path, reload=False)
    held = environ_of("/")
    serve(gateway, held)
    store, closed = gateway.runtime.store, []
    store.close = lambda: closed.append(True)
    files.config(store="memory://?keys=11")
    assert gateway.reload()
    assert not closed
    held.clear()
    until(lambda: closed)
    gateway.stop()
    assert closed == [True]


def test_a_store_that_cannot_be_used_is_refused_before_it_is_in_force(files, tmp_path, caplog):
    url = (tmp_path / "table").as_uri()
    files.config(store=f"{url}?slots=256")
    gateway = Gateway(hello_app, files.path, reload=False)
    serve(gateway, environ_of("/"))
    gateway.runtime.store.incr("a")
    files.config(store=f"{url}?slots=512")
    assert not gateway.reload()
    assert "has 256 slots, expected 512" in caplog.text
    assert gateway.runtime.store.incr("a") == 2
    gateway.stop()


def test_a_refused_reload_leaves_a_plugin_of_code_with_the_runtime_in_force(files):
    class Own(Plugin):
        name, priority = "own", 3

        def __init__(self):
            super().__init__()

        def access(self, x):
            x.environ["seen"] = self.runtime.store.incr("seen")

    plugin = Own()
    gateway = Gateway(hello_app, files.path, plugins=[Entry(plugin, instance="mine")], reload=False)

    def seen():
        environ = environ_of("/")
        serve(gateway, environ)
        return environ["seen"]

    assert seen() == 1
    runtime, scope = plugin.runtime, plugin.scope
    files.config({"name": "none"}, store="memory://?keys=5")
    assert not gateway.reload()
    assert (plugin.runtime, plugin.scope, seen()) == (runtime, scope, 2)
    files.config()
    assert gateway.reload()
    assert (plugin.runtime, seen()) == (gateway.runtime, 3)
    gateway.stop()


def test_a_refused_reload_of_a_mapping_closes_nothing_that_is_in_force():
    class Fails(Waits):
        fail = False

        @classmethod
        def meanwhile(cls, phase):
            if cls.fail:
                raise OSError("no")

    class People:
        closed = 0

        def consumer(self, name):
            return None

        def credential(self, kind, key):
            return None

        def close(self):
            self.closed += 1

    people = People()
    gateway = Gateway(hello_app, {"store": "memory://"}, plugins=[Fails()], consumers=people)
    serve(gateway, environ_of("/"))
    Fails.fail = True
    assert not gateway.reload()
    environ = environ_of("/")
    assert serve(gateway, environ).status == "200 OK"
    assert (environ["seen"], people.closed) == (2, 0)
    gateway.stop()
    assert people.closed == 1


def test_a_mapping_that_is_reloaded_closes_what_it_has_replaced(files):
    class Mine(Noted):
        closed = 0

    gateway = Gateway(hello_app, {"store": "memory://"}, plugins=[Mine()])
    serve(gateway, environ_of("/"))
    assert gateway.reload()
    serve(gateway, environ_of("/"))
    assert gateway.reload()
    until(lambda: Mine.closed == 1)
    assert len(gateway._draining) == 1
    gateway.stop()
    assert Mine.closed == 3


def test_a_generation_whose_closing_ends_in_anything_or_never_does_not_keep_the_others_open(files, caplog):
    gate = threading.Event()

    class Bad(Noted):
        closed = 0

        def close(self):
            turn = self.closed
            super().close()
            if turn == 0:
                raise SystemExit(3)
            if turn == 1:
                gate.wait(20)

    gateway = Gateway(hello_app, files.path, plugins=[Bad()], reload=False)
    serve(gateway, environ_of("/"))
    for turn in range(3):
        gateway.runtime.resource("bad", Exits)
        assert gateway.reload()
        until(lambda turn=turn: Bad.closed == turn + 1)
    until(lambda: len(gateway._draining) == 1)
    gate.set()
    until(lambda: not len(gateway._draining))
    assert "noted: close failed" in caplog.text
    assert "Exits: close failed" in caplog.text
    gateway.stop()


class Exits:
    def close(self):
        raise SystemExit(3)


def test_a_failing_close_is_logged_and_the_rest_is_closed(files, caplog):
    class Bad(Noted):
        closed = 0

        def close(self):
            super().close()
            raise OSError("no")

    gateway = Gateway(hello_app, files.path, plugins=[Bad()], reload=False)
    serve(gateway, environ_of("/"))
    assert gateway.reload()
    until(lambda: Bad.closed == 1)
    until(lambda: "noted: close failed" in caplog.text)
    gateway.stop()


@pytest.mark.slow
def test_a_request_that_its_framework_keeps_in_a_cycle_drains_by_garbage_collection(files):
    class Mine(Noted):
        closed = 0

    gateway = Gateway(hello_app, files.path, plugins=[Mine()], reload=False)
    environ = environ_of("/")
    environ["framework.request"] = environ
    serve(gateway, environ)
    del environ
    gc.disable()
    try:
        assert gateway.reload()
        until(lambda: Mine.closed == 1)
    finally:
        gc.enable()
    gateway.stop()


def test_gateways_within_gateways_keep_both_generations(files, tmp_path):
    (tmp_path / "inner").mkdir()
    inner_files = Files(tmp_path / "inner")
    seen = []

    def app(environ, start_response):
        seen.append(environ["plugmw.generation"])
        return hello_app(environ, start_response)

    outer = Gateway(Gateway(app, inner_files.path, reload=False), files.path, reload=False)
    serve(outer, environ_of("/"))
    [(inner_mark, (outer_mark, end))] = seen
    assert inner_mark is not outer_mark
    assert end is None
    outer.app.stop()
    outer.stop()


def test_a_gateway_without_a_file_marks_nothing():
    seen = []

    def app(environ, start_response):
        seen.append(dict(environ))
        return hello_app(environ, start_response)

    serve(Gateway(app, {"store": "memory://"}), environ_of("/"))
    assert "plugmw.generation" not in seen[0]


@pytest.mark.slow
def test_requests_from_many_threads_see_one_configuration_each(files):
    files.config({"name": "correlation-id", "config": {"header_name": "X-A", "generator": "uuid#counter"}})
    gateway = Gateway(hello_app, files.path, reload=False)
    wrong, done = [], threading.Event()

    def client():
        while not done.is_set():
            answer = serve(gateway, environ_of("/"))
            if answer.status != "200 OK" or dict(answer.headers).get("X-Tell") not in ("one", "two"):
                wrong.append(answer)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        files.plugin("two" if turn % 2 else "one")
        assert gateway.reload()
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    gateway.stop()


# -- nothing is left --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_is_left_of_old_generations(gateway, files):
    serve(gateway, environ_of("/"))
    gone = []
    for turn in range(30):
        files.plugin(str(turn))
        assert gateway.reload()
        gone.append(weakref.ref(gateway.entries[0].plugin))
        serve(gateway, environ_of("/"))
    until(lambda: not len(gateway._draining))
    gc.collect()
    assert [ref() for ref in gone[:-1]] == [None] * 29
    names = [name for name in sys.modules if name.startswith("plugmw_loaded_") and name.endswith("_tell")]
    assert type(gateway.entries[0].plugin).__module__ in names
    assert sum(sys.modules[name].__file__ == str(files.plugins / "tell.py") for name in names) == 1


# -- by itself --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_change_is_taken_without_being_told(files):
    gateway = Gateway(hello_app, files.path)
    assert told(gateway) == "one"
    files.plugin("two")
    until(lambda: told(gateway) == "two")
    gateway.stop()


@pytest.mark.parametrize(
    ("setting", "argument", "watched"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_whether_it_watches_is_a_setting_that_an_argument_replaces(files, setting, argument, watched):
    files.config(reload=setting)
    gateway = Gateway(hello_app, files.path, reload=argument)
    serve(gateway, environ_of("/"))
    assert (gateway._watcher is not None) is watched
    gateway.stop()
    assert gateway._watcher is None


def test_a_worker_catches_up_with_what_changed_since_the_master_read_it(gateway, files, monkeypatch):
    files.plugin("two")
    monkeypatch.setattr(gateway, "_read_in", 1)
    assert told(gateway) == "two"


def test_of_many_first_requests_after_a_change_one_reads_it_and_starts_the_plugins_once(files, monkeypatch):
    class Mine(Noted):
        started = 0

        def init_worker(self):
            type(self).started += 1

    gateway = Gateway(hello_app, files.path, plugins=[Mine()], reload=False)
    monkeypatch.setattr(gateway, "_read_in", 1)
    files.plugin("two")
    barrier, seen = threading.Barrier(16), []

    def client():
        barrier.wait()
        seen.append(told(gateway))

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen, Mine.started) == (["two"] * 16, 1)
    gateway.stop()


def test_stopping_does_not_wait_for_ever_for_what_is_starting(files, caplog):
    begun, go = threading.Event(), threading.Event()

    class Slow(Noted):
        closed = 0

        def init_worker(self):
            begun.set()
            go.wait(20)

    files.config(shutdown_timeout=0.05)
    gateway = Gateway(hello_app, files.path, plugins=[Slow()], reload=False)
    first = threading.Thread(target=told, args=[gateway])
    first.start()
    assert begun.wait(20)
    gateway.stop()
    assert (first.is_alive(), Slow.closed) == (True, 0)
    assert "plugins are still starting, nothing is closed" in caplog.text
    go.set()
    first.join()
    gateway.stop()
    assert Slow.closed == 1


ENDS = {
    "the module": "raise SystemExit(3)",
    "configure": PLUGIN.format(text="two") + "\n    def configure(self):\n        raise SystemExit(3)\n",
    "init_worker": PLUGIN.format(text="two") + "\n    def init_worker(self):\n        raise SystemExit(3)\n",
}


@pytest.mark.parametrize("place", ENDS)
def test_a_plugin_that_ends_the_process_at_a_reload_is_refused(gateway, files, caplog, place):
    gateway.start()
    (files.plugins / "tell.py").write_text(ENDS[place])
    assert gateway.reload() is False
    assert "reload refused, the configuration in force stays" in caplog.text
    assert serve(gateway).header("X-Tell") == "one"
    files.plugin("three")
    assert gateway.reload() is True
    assert serve(gateway).header("X-Tell") == "three"


@pytest.mark.parametrize("kind", ["pipe", "zero"])
@pytest.mark.parametrize("place", ["the configuration", "a plugin"])
def test_what_is_no_file_in_the_place_of_one_is_refused(gateway, files, caplog, place, kind):
    path = files.path if place == "the configuration" else files.plugins / "tell.py"
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    try:
        assert gateway.reload() is False
    finally:
        # The module of the file is still loaded, and Hypothesis reads the source of every module there is: a
        # later test of tests/fuzz in this process would wait for the pipe without end, or take all memory.
        path.unlink()
    expected = "is not a regular file" if place == "the configuration" else 'no plugin "tell"'
    assert expected in caplog.text
    assert serve(gateway).header("X-Tell") == "one"
