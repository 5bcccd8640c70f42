"""Kong handlers as plugins: classes, classes over BasePlugin, objects and modules."""

from __future__ import annotations

import json
import logging
import types

import pytest

from plugmw import schema
from plugmw.dialects.kong import BasePlugin, adapt, kong
from plugmw.dialects.kong.handler import plugin_name
from plugmw.errors import ConfigErrors, LoadError
from plugmw.gateway import Gateway
from plugmw.kernel.order import Entry
from plugmw.schema import config, field
from plugmw.testing import gateway, get, hello_app
from tests.support.kong import handler, plugin, through


@config
class ValueConfig:
    value: str = field(help="What is sent.")


class CustomHandler(BasePlugin):
    """Says what it is told to."""

    PRIORITY, VERSION = 10, "1.0.0"
    Config = ValueConfig

    def __init__(self):
        super().__init__("my-custom-plugin")

    def access(self, config):
        super().access(config)
        kong.response.set_header("X-Custom", config.value)


class TableHandler:
    PRIORITY, VERSION, NAME = 5, "0.1", "by-table"
    SCHEMA = {"fields": [{"config": {"type": "record", "fields": [{"value": {"type": "string"}}]}}]}

    def header_filter(self, config):
        kong.response.set_header("X-Table", config["value"])


def test_a_class_over_base_plugin_runs_and_logs_that_it_enters(caplog):
    caplog.set_level(logging.DEBUG, "plugmw.kong")
    made = adapt(CustomHandler, "my-custom-plugin")
    assert through(made(value="x")).headers["X-Custom"] == "x"
    assert 'executing plugin "my-custom-plugin": access' in caplog.text


@pytest.mark.parametrize(
    "phase", ["init_worker", "certificate", "rewrite", "access", "header_filter", "body_filter", "log"]
)
def test_every_method_of_base_plugin_logs(phase, caplog):
    caplog.set_level(logging.DEBUG, "plugmw.kong")
    getattr(BasePlugin("x"), phase)()
    assert caplog.messages == [f'executing plugin "x": {phase}']


def test_what_base_plugin_offers_is_no_phase_of_the_handler():
    made = adapt(CustomHandler, "x")
    assert [phase for phase in ("rewrite", "header_filter", "init_worker") if hasattr(made, phase)] == []
    assert (made.name, made.priority, made.version, made.__doc__) == (
        "x",
        10,
        "1.0.0",
        "Says what it is told to.",
    )


def test_a_module_is_a_handler():
    module = types.ModuleType("my_plugin.handler")
    module.PRIORITY, module.VERSION = 10, "1.0.0"
    module.access = lambda config: kong.response.set_header("X-From", "module")
    # Logic split off: a module of that name is no method.
    module.body_filter = types.ModuleType("my_plugin.body_filter")
    made = adapt(module, "my-plugin")
    assert not hasattr(made, "body_filter")
    assert through(made()).headers["X-From"] == "module"


@pytest.mark.parametrize(
    ("name", "config"),
    [("tests.unit.dialects.kong.test_handler:CustomHandler", {"value": "x"}), ("by-table", {"value": "y"})],
)
def test_a_gateway_file_names_a_handler_class(name, config, monkeypatch):
    if ":" not in name:
        monkeypatch.setattr(
            "plugmw.sources.entrypoints.find", lambda asked: TableHandler if asked == name else None
        )
    made = Gateway(hello_app, {"store": "memory://", "plugins": [{"name": name, "config": config}]})
    answer = get(made)
    assert answer.headers.get("X-Custom", answer.headers.get("X-Table")) == config["value"]


def test_all_entries_of_a_handler_share_one_class_and_one_object():
    name = "tests.unit.dialects.kong.test_handler:TableHandler"
    routes = [{"name": "a", "paths": ["/a"]}, {"name": "b", "paths": ["/b"]}]
    plugins = [{"name": name, "route": route, "config": {"value": route}} for route in "ab"]
    made = Gateway(hello_app, {"store": "memory://", "routes": routes, "plugins": plugins})
    assert get(made, path="/a").headers["X-Table"] == "a"
    assert get(made, path="/b").headers["X-Table"] == "b"
    classes = {type(entry.plugin) for entry in made.entries}
    assert {cls.name for cls in classes} == {"by-table"}


def test_a_wrong_configuration_is_told_with_its_place():
    name = "tests.unit.dialects.kong.test_handler:TableHandler"
    with pytest.raises(ConfigErrors) as caught:
        Gateway(hello_app, {"plugins": [{"name": name, "config": {"value": 5, "other": 1}}]})
    assert str(caught.value).splitlines() == [
        "plugins[0].config.value: got 5, expected a string",
        'plugins[0].config.other: unknown field "other", expected one of value',
    ]


@pytest.mark.parametrize(
    ("reference", "own", "name"),
    [
        ("my_app.my_custom.handler:Handler", None, "my-custom"),
        ("kong.plugins.key_auth.handler:X", None, "key-auth"),
        ("handler:Handler", None, "handler:Handler"),
        ("my_app.other:Handler", None, "my_app.other:Handler"),
        ("my_app.other:Handler", "mine", "mine"),
        ("registered", None, "registered"),
        ("a.handler:H", 5, "a"),
    ],
)
def test_the_name_of_a_plugin_comes_from_its_handler(reference, own, name):
    assert plugin_name(reference, types.SimpleNamespace(NAME=own)) == name


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (handler(1.5, log=print), "bad: PRIORITY: got 1.5, expected an integer"),
        (handler(float("nan"), log=print), "bad: PRIORITY: got nan"),
        (handler(float("inf"), log=print), "bad: PRIORITY: got inf"),
        (handler(True, log=print), "bad: PRIORITY: got True"),
        (handler("1", log=print), "bad: PRIORITY: got '1'"),
        (handler(version="1.0.0.0", log=print), "bad: VERSION: got '1.0.0.0', expected a version like 1.0.0"),
        (handler(version="x", log=print), "bad: VERSION: got 'x'"),
        (
            handler(response=print, header_filter=print),
            "bad: has response beside header_filter or body_filter",
        ),
        (handler(response=print, body_filter=print), "bad: has response beside header_filter or body_filter"),
        (handler(), "bad: has no phase method"),
        (type("H", (), {"PRIORITY": 1, "SCHEMA": 5, "log": print}), "bad: SCHEMA: got 5, expected a table"),
        (
            type("H", (), {"SCHEMA": {"fields": [{"config": {"type": "record", "fields": [{"a": {}}]}}]}}),
            "bad: Schema: bad.config.a: type: got None, expected one of string",
        ),
    ],
    ids=lambda value: value[5:30] if isinstance(value, str) else "",
)
def test_a_handler_that_kong_would_refuse_is_refused(made, text):
    with pytest.raises(LoadError) as caught:
        adapt(made, "bad")
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("priority", [10, 10.0, -5])
def test_whole_numbers_are_priorities(priority):
    assert adapt(handler(priority, log=print), "x").priority == priority


@pytest.mark.parametrize(
    ("methods", "fail_closed", "needs_timings"),
    [({"access": print}, True, False), ({"rewrite": print}, True, False), ({"log": print}, False, True)],
)
def test_what_a_plugin_is_follows_from_its_phases(methods, fail_closed, needs_timings):
    made = adapt(handler(**methods), "x")
    assert (made.fail_closed, made.authenticates) == (fail_closed, fail_closed)
    assert made.needs_timings is needs_timings
    assert made.Config is schema.Nothing


def test_methods_are_given_as_much_as_they_take():
    seen = []
    made = plugin(
        rewrite=lambda: seen.append("none"),
        access=lambda config: seen.append("config"),
        header_filter=lambda config, more=None: seen.append(("config", more)),
        log=lambda *all_: seen.append(len(all_)),
    )
    through(made)
    assert seen == ["none", "config", ("config", None), 1]


def test_a_method_is_looked_up_once_for_each_entry():
    made = plugin(access=lambda config: None, body_filter=lambda config: None)
    through(made)
    first = made.__dict__["_access"], made.__dict__["_body_filter"]
    through(made)
    assert (made.__dict__["_access"], made.__dict__["_body_filter"]) == first


def test_a_method_whose_signature_cannot_be_told_is_given_the_configuration():
    class Method:
        __signature__ = "none"

        def __call__(self, config):
            seen.append(config)

    seen = []
    made = adapt(type("H", (), {"PRIORITY": 1, "access": Method()}), "x")()
    through(made)
    assert seen == [made.config]


def test_body_filter_may_leave_the_chunks_alone():
    assert through(plugin(body_filter=lambda config: None)).data == b"hello"


# -- init_worker and configure ---------------------------------------------------------------------------


def starting(**methods):
    calls = []
    cls = adapt(handler(init_worker=lambda: calls.append("init"), log=lambda c: None, **methods), "starter")
    return cls, calls


def test_init_worker_runs_once_for_a_plugin_name_gateway_and_process():
    cls, calls = starting()
    made = gateway(cls(), Entry(cls(), instance="two"))
    made.start()
    assert calls == ["init"]
    other = gateway(cls())
    other.start()
    assert calls == ["init", "init"]
    made.stop()
    other.start()
    assert calls == ["init", "init"]
    made.start()
    assert calls == ["init", "init", "init"]


def test_configure_gets_all_configurations_at_start_and_none_when_there_are_none():
    told = []
    cls = adapt(handler(configure=told.append, access=lambda c: None), "x", ValueConfig)
    routes = [{"name": "a", "paths": ["/a"]}]
    entries = [Entry(cls(value="1")), Entry(cls(value="2"), route="a"), Entry(cls(value="3"), enabled=False)]
    made = gateway(*entries, routes=routes)
    assert told == []
    made.start()
    assert [[c.value for c in configs] for configs in told] == [["1", "2"]]
    made._announce(made.entries[:1])
    assert [c.value for c in told[1]] == ["1"]
    made._announce([])
    assert told[2] is None
    made._announce([])
    assert len(told) == 3


class Remembering:
    """Answers with what its handler object was configured with."""

    PRIORITY, Config = 10, ValueConfig

    def configure(self, configs):
        self.values = None if configs is None else [config.value for config in configs]

    def access(self, config):
        kong.response.exit(200, f"{config.value} of {self.values}")


def test_a_handler_class_of_two_gateways_has_a_handler_in_each(tmp_path):
    cls = adapt(Remembering, "remembering")
    one, two = (
        gateway(cls(value="1")),
        gateway(cls(value="2"), Entry(cls(value="3"), instance="b", enabled=False)),
    )
    assert get(one).text == "1 of ['1']"
    assert get(two).text == "2 of ['2']"
    assert get(one).text == "1 of ['1']"
    two.stop()
    assert get(one).text == "1 of ['1']"


REMEMBERING = f"{__name__}:Remembering"


def written(path, *values):
    plugins = [
        {"name": REMEMBERING, "instance": value, "config": {"value": value}, "when": {"paths": [f"/{value}"]}}
        for value in values
    ]
    path.write_text(json.dumps({"store": "memory://", "plugins": plugins}), encoding="utf-8")
    return str(path)


def test_a_reload_of_one_gateway_configures_its_own_handler_only(tmp_path):
    one = Gateway(hello_app, written(tmp_path / "one.json", "1", "2"), reload=False)
    two = Gateway(hello_app, written(tmp_path / "two.json", "3"), reload=False)
    assert get(one, path="/1").text == "1 of ['1', '2']"
    assert get(two, path="/3").text == "3 of ['3']"
    written(tmp_path / "one.json", "1", "4")
    assert one.reload()
    assert get(one, path="/4").text == "4 of ['1', '4']"
    assert get(two, path="/3").text == "3 of ['3']"


def test_a_handler_that_a_reload_replaces_is_not_told_that_it_has_no_configurations(tmp_path):
    one = Gateway(hello_app, written(tmp_path / "one.json", "1"), reload=False)
    get(one, path="/1")
    (before,) = (entry.plugin for entry in one.entries)
    written(tmp_path / "one.json", "2")
    assert one.reload()
    # Its running requests still use it.
    assert before._own.handler.values == ["1"]
    (after,) = (entry.plugin for entry in one.entries)
    assert after._own.handler.values == ["2"]


def test_a_handler_object_of_two_gateways_is_told_the_configurations_of_both():
    told = []
    shared = handler(
        configure=lambda configs: told.append(sorted(c.value for c in configs)), log=lambda c: None
    )
    one = gateway(adapt(shared, "x", ValueConfig)(value="1"))
    two = gateway(adapt(shared, "x", ValueConfig)(value="2"))
    one.start()
    two.start()
    two.stop()
    assert told == [["1"], ["1", "2"], ["1"]]


def test_a_configure_that_raises_is_logged_only(caplog):
    made = plugin(configure=lambda configs: 1 / 0, access=lambda c: None)
    assert through(made).status_code == 200
    assert "tester: configure failed" in caplog.text


def test_a_handler_without_configure_is_told_nothing():
    assert through(plugin(access=lambda c: None)).status_code == 200


def test_an_init_worker_that_raises_refuses_what_the_handler_would_decide(caplog):
    def fail():
        raise ValueError("no start")

    cls = adapt(handler(init_worker=fail, access=lambda c: None), "guard")
    routes = [{"name": "a", "paths": ["/a"]}, {"name": "b", "paths": ["/b"]}]
    made = gateway(Entry(cls(), route="a"), Entry(cls(), route="b"), routes=routes)
    assert [get(made, path=path).status_code for path in ("/a", "/b", "/c")] == [500, 500, 200]
    assert caplog.text.count("guard: init_worker failed") == 2


def test_an_init_worker_that_raises_leaves_a_handler_out_that_only_records(caplog):
    seen = []
    made = plugin(init_worker=lambda: 1 / 0, log=seen.append)
    assert through(made).status_code == 200
    assert seen == []


def test_a_certificate_method_may_take_the_hello():
    one = plugin(certificate=lambda config: "pem")
    two = plugin(certificate=lambda config, hello: hello)
    assert (one.certificate("h"), two.certificate("h")) == ("pem", "h")
