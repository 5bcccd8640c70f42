"""One start per process: plugins, the store, forks and failures."""

from __future__ import annotations

import gc
import os
import threading
import weakref

import attrs
import pytest

from plugmw import Entry, Gateway, Plugin
from plugmw.kernel.worker import NotASGI, Refusing, Worker, in_force, plugins_of
from plugmw.testing import hello_app
from tests.support.plugins import made, nothing, noting
from tests.support.wsgi import environ_of, serve

MEMORY = {"store": "memory://"}


def test_plugins_start_before_the_first_request_once_the_highest_priority_first():
    notes: list[str] = []
    plugins = [noting(name, notes, "init_worker", "access", priority=n) for n, name in enumerate("abc")]
    gateway = Gateway(hello_app, MEMORY, plugins=plugins)
    assert notes == []
    serve(gateway)
    serve(gateway)
    assert notes == [f"{name}.init_worker" for name in "cba"] + [f"{name}.access" for name in "cbacba"]


def test_a_hook_may_start_them_and_the_first_request_does_not_again():
    notes: list[str] = []
    gateway = Gateway(hello_app, MEMORY, plugins=[noting("a", notes, "init_worker")])
    gateway.start()
    gateway.start(multiprocess=True)
    serve(gateway)
    assert notes == ["a.init_worker"]


def test_the_first_request_tells_whether_there_are_other_processes():
    gateway = Gateway(hello_app, MEMORY, plugins=[nothing("access")])
    assert gateway.runtime.multiprocess is None
    serve(gateway, environ_of(**{"wsgi.multiprocess": True}))
    assert gateway.runtime.multiprocess is True


def test_many_first_requests_at_once_start_the_plugins_once():
    notes: list[str] = []
    barrier = threading.Barrier(16)

    def init_worker():
        notes.append("init")

    gateway = Gateway(hello_app, MEMORY, plugins=[made(init_worker=init_worker, access=lambda x: None)])

    def client():
        barrier.wait()
        serve(gateway)

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes == ["init"]


def test_a_plugin_that_is_disabled_is_not_started():
    notes: list[str] = []
    serve(
        Gateway(
            hello_app, MEMORY, plugins=[Entry(noting("a", notes, "init_worker", "access"), enabled=False)]
        )
    )
    assert notes == []


def test_one_plugin_object_in_two_entries_starts_once():
    notes: list[str] = []
    plugin = noting("a", notes, "init_worker")
    serve(Gateway(hello_app, MEMORY, plugins=[Entry(plugin, instance="x"), Entry(plugin, instance="y")]))
    assert notes == ["a.init_worker"]


def test_wrap_is_called_once_for_the_same_entries():
    wrapped = []

    def wrap(app):
        wrapped.append(1)
        return app

    gateway = Gateway(hello_app, MEMORY, plugins=[made(wrap=wrap)])
    serve(gateway)
    serve(gateway)
    gateway.stop()
    serve(gateway)
    assert wrapped == [1]


# -- failing to start -------------------------------------------------------------------------------------


def fail():
    raise RuntimeError("no database")


def test_a_plugin_that_fails_to_start_is_logged_and_left_out(caplog):
    notes: list[str] = []
    broken = made("broken", init_worker=fail, access=lambda x: notes.append("broken"))
    gateway = Gateway(hello_app, MEMORY, plugins=[broken, noting("other", notes, "init_worker", "access")])
    assert serve(gateway).body == b"hello"
    assert notes == ["other.init_worker", "other.access"]
    assert "broken: init_worker failed; the worker serves on without it" in caplog.text
    assert "no database" in caplog.text


def test_a_plugin_that_decides_who_may_pass_refuses_everybody_then(caplog):
    notes: list[str] = []
    broken = made("auth", 5, init_worker=fail, access=lambda x: None, fail_closed=True)
    found = serve(Gateway(hello_app, MEMORY, plugins=[broken, noting("below", notes, "access", "log")]))
    assert found.status.startswith("500")
    assert b"An unexpected error occurred" in found.body
    assert notes == ["below.log"]
    assert "requests that need this plugin are refused" in caplog.text


def test_unless_its_entry_is_open():
    broken = made("auth", init_worker=fail, access=lambda x: x.exit(401), fail_closed=True)
    assert serve(Gateway(hello_app, MEMORY, plugins=[Entry(broken, on_error="open")])).body == b"hello"


def test_only_the_requests_it_was_for_are_refused():
    def auth(name):
        return made("auth", 1, init_worker=fail, access=lambda x: None, fail_closed=True)

    config = {
        **MEMORY,
        "routes": [{"name": "r", "paths": ["/r"]}],
        "consumers": [{"username": "jo"}, {"username": "al"}],
    }
    from plugmw.kernel.identity import Consumer

    login = made("login", 9, access=lambda x: x.authenticate(Consumer(id="x", username=x.path[-2:]), None))
    gateway = Gateway(
        hello_app, config, plugins=[login, Entry(auth("a"), consumer="jo"), Entry(auth("b"), route="r")]
    )
    assert serve(gateway, environ_of("/as/jo")).status.startswith("500")
    assert serve(gateway, environ_of("/as/al")).status == "200 OK"
    assert serve(gateway, environ_of("/r/al")).status.startswith("500")


def test_a_general_one_that_is_well_serves_where_a_special_one_is_off():
    notes: list[str] = []
    config = {**MEMORY, "routes": [{"name": "r", "paths": ["/"]}]}
    special = made("p", init_worker=fail, access=lambda x: notes.append("special"))
    serve(Gateway(hello_app, config, plugins=[Entry(special, route="r"), noting("p", notes, "access")]))
    assert notes == ["p.access"]


def test_a_refusing_stand_in_keeps_the_place_and_the_scope_of_its_entry():
    plugin = nothing("access", name="auth", priority=7, fail_closed=True)
    plugin.broken = RuntimeError()
    entry = Entry(plugin, route="r", service="s", consumer="jo", before=("x",), instance="i", where="here")
    (made_one,) = in_force([entry])
    assert isinstance(made_one.plugin, Refusing)
    assert (made_one.scope, made_one.rank, made_one.name, made_one.before) == (entry.scope, 7, "i", ("x",))
    made_one.plugin.close()


def test_a_plugin_that_is_well_after_another_start_is_on_again():
    turns = [1]

    def init_worker():
        if turns:
            turns.pop()
            raise RuntimeError

    notes: list[str] = []
    gateway = Gateway(
        hello_app, MEMORY, plugins=[made(init_worker=init_worker, access=lambda x: notes.append("ran"))]
    )
    serve(gateway)
    gateway.stop()
    serve(gateway)
    assert notes == ["ran"]


# -- the end ----------------------------------------------------------------------------------------------


def test_stopping_closes_the_plugins_in_reverse_and_the_store(caplog):
    notes: list[str] = []

    def close_badly():
        notes.append("b")
        raise RuntimeError("close me")

    plugins = [
        made("a", 3, access=lambda x: None, close=lambda: notes.append("a")),
        made("b", 2, access=lambda x: None, close=close_badly),
        made("c", 1, access=lambda x: None, close=lambda: notes.append("c")),
    ]
    gateway = Gateway(hello_app, MEMORY, plugins=plugins)
    gateway.stop()
    assert notes == []
    serve(gateway)
    store = gateway.runtime.store
    gateway.stop()
    gateway.stop()
    assert notes == ["c", "b", "a"]
    assert "b: close failed" in caplog.text
    assert serve(gateway).body == b"hello"
    assert gateway.runtime.store is not store
    gateway.stop()


@pytest.mark.slow
def test_live_gateways_are_known_to_hooks_and_dead_ones_forgotten():
    gateway = Gateway(hello_app, MEMORY)
    assert gateway in Worker.instances
    known = weakref.ref(gateway)
    del gateway
    gc.collect()
    assert known() is None
    assert known not in list(map(weakref.ref, Worker.instances))


def test_the_distinct_plugins_are_listed_by_priority():
    low, high = nothing("access", name="low", priority=1), nothing("access", name="high", priority=2)
    off = Entry(nothing("access", name="off"), enabled=False)
    assert plugins_of([Entry(low), Entry(high), Entry(low), off]) == [high, low]


def test_a_worker_needs_somebody_to_build():
    gateway = Gateway(hello_app)
    with pytest.raises(NotImplementedError):
        Worker._build(gateway, gateway.plan, [])


# -- forks ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("kind", ["gateway", "middleware"])
def test_a_forked_process_starts_its_own_plugins_once(started, kind):
    notes: list[str] = []
    plugin = made("a", init_worker=lambda: notes.append(f"init {os.getpid()}"), access=lambda x: None)
    wrapped = (
        Gateway(hello_app, MEMORY, plugins=[plugin])
        if kind == "gateway"
        else type(plugin).middleware(hello_app)
    )
    if started:
        serve(wrapped)
    lock = wrapped._locked()
    reader, writer = os.pipe()
    with lock:  # as if another thread of the parent were starting it
        child = os.fork()
        if child == 0:
            try:
                notes.clear()
                serve(wrapped)
                serve(wrapped)
                os.write(writer, repr((notes, os.getpid())).encode())
            finally:
                os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read().decode() == repr(([f"init {child}"], child))
    if started:
        assert notes == [f"init {os.getpid()}"]
    wrapped.stop()


# -- classes that want all their configurations at once -----------------------------------------------------


class Together(Plugin):
    name = "together"
    told: list

    def access(self, x):
        pass

    @classmethod
    def configure_all(cls, configs):
        cls.told.append(configs)


def test_a_class_is_told_all_its_configurations_in_force_at_the_start(monkeypatch):
    monkeypatch.setattr(Together, "told", [], raising=False)
    one, two, off = Together(), Together(), Together()
    entries = [Entry(one), Entry(two, instance="two"), Entry(off, instance="off", enabled=False)]
    gateway = Gateway(hello_app, MEMORY, plugins=entries)
    serve(gateway)
    assert Together.told == [[one.config, two.config]]
    gateway.stop()
    gateway.try_out([attrs.evolve(entry, enabled=False) for entry in entries])
    serve(gateway)
    gateway.stop()
    serve(gateway)
    # None to say that there are none any more.
    assert Together.told[1:] == [None, None]


def test_a_class_in_two_gateways_is_told_the_configurations_of_both(monkeypatch):
    monkeypatch.setattr(Together, "told", [], raising=False)
    one, two = Together(), Together()
    first, second = (Gateway(hello_app, MEMORY, plugins=[plugin]) for plugin in (one, two))
    first.start()
    second.start()
    first.stop()
    second.stop()
    assert Together.told == [[one.config], [two.config, one.config], [two.config]]


def test_what_it_raises_is_logged_and_the_worker_serves(monkeypatch, caplog):
    monkeypatch.setattr(Together, "told", None, raising=False)
    assert serve(Gateway(hello_app, MEMORY, plugins=[Together()])).body == b"hello"
    assert "together: configure failed" in caplog.text


def test_a_failing_close_of_one_plugin_leaves_the_others_their_turn(caplog):
    closed = []
    plugins = [
        made("a", 1, access=lambda x: None, close=lambda: closed.append("a")),
        made("b", access=lambda x: None, close=lambda: 1 / 0),
    ]
    gateway = Gateway(hello_app, MEMORY, plugins=plugins)
    serve(gateway)
    gateway.stop()
    assert closed == ["a"]
    assert "b: close failed" in caplog.text


@pytest.mark.parametrize(
    "arguments", [({},), ({}, None, None), ({}, print, print)], ids=["asgi2", "empty", "asgi3"]
)
def test_a_server_that_calls_it_as_an_asgi_app_is_told_what_would_be_right(arguments):
    with pytest.raises(NotASGI) as caught:
        Gateway(hello_app, {"store": "memory://"})(*arguments)
    assert str(caught.value) == (
        "called as an ASGI app, expected WSGI: run the server with WSGI workers (gunicorn -k sync, "
        "gthread or gevent; uvicorn --interface wsgi)"
    )
