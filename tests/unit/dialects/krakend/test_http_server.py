"""http-server: configuration, the chain, and in a gateway."""

from __future__ import annotations

import logging

import pytest
from werkzeug.test import Client

from plugmw import ConfigError, Entry, Gateway
from plugmw.contrib.ip_restriction import IPRestriction
from plugmw.dialects.krakend.http_server import HTTPServer
from plugmw.testing import gateway, get
from tests.unit.dialects.krakend import conftest as sources


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["".join(environ.get("trace", [])).encode()]


@pytest.fixture
def plugins(folder):
    """Two good plugins, and one that wants a configuration."""
    for name in ("a", "b"):
        folder(f"{name}.py", sources.HANDLER.format(name=name))
    folder(
        "c.py",
        "class HandlerRegisterer:\n"
        "    def register_handlers(self, f): f('c', self.make)\n"
        "    def make(self, context, extra, h):\n"
        "        if 'c' not in extra: raise ValueError('configuration not found')\n"
        "        return h\n",
    )


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "exactly one of module and folder must be given"),
        ({"module": "a", "folder": "b", "name": "x"}, "exactly one of module and folder must be given"),
        ({"folder": "plugins"}, "name: missing, expected the names of the folder's plugins to use"),
        ({"module": 5}, "module: got 5"),
        ({"module": "a", "name": 5}, "name: got 5"),
        ({"module": "a", "plugin": "x"}, 'unknown field "plugin"'),
    ],
)
def test_refuses_a_configuration_that_cannot_work(config, problem):
    with pytest.raises(ConfigError, match=problem):
        HTTPServer(**config)


def test_runs_the_named_plugins_of_a_folder_the_last_one_first(plugins):
    plugin = HTTPServer(folder="plugins", pattern=".py", name=["a", "b"])
    assert get(plugin, app=app).text == "ba"


def test_runs_all_that_a_module_registers_when_no_name_is_given(plugins):
    assert get(HTTPServer(module="plugins/a.py"), app=app).text == "a"


def test_is_found_by_its_name_in_a_configuration(plugins, tmp_path):
    config = {"plugins": [{"name": "http-server", "config": {"module": "plugins/b.py"}}]}
    assert Client(Gateway(app, config)).get("/").text == "b"


def test_runs_before_the_plugins_of_kong(plugins):
    deny = IPRestriction(deny=["127.0.0.1"])
    found = gateway(deny, HTTPServer(module="plugins/a.py"), app=app)
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    seen = []
    Client(found).get("/", environ_overrides={**environ, "trace": seen})
    assert seen == ["a"]


def test_a_failing_factory_is_logged_and_the_app_stays_unwrapped(plugins, caplog):
    assert get(HTTPServer(module="plugins/c.py", strict=False), app=app).status_code == 200
    assert "[PLUGIN: Server] Error getting the plugin handler: configuration not found" in caplog.messages


def test_a_missing_module_is_logged_and_the_app_stays_unwrapped(plugins, caplog):
    assert get(HTTPServer(module="plugins/z.py", strict=False), app=app).status_code == 200
    assert any("plugins/z.py" in text for text in caplog.messages)


def test_strict_refuses_every_request_when_a_factory_fails(plugins, caplog):
    answer = get(HTTPServer(module="plugins/c.py"), app=app)
    assert answer.status_code == 500
    assert "configuration not found" not in answer.text
    assert [record.levelname for record in caplog.records][-1] == "CRITICAL"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"module": "plugins/z.py"}, r"plugins\[0\].config.module: plugins/z\.py: FileNotFoundError"),
        ({"folder": "nowhere", "name": "a"}, r"plugins\[0\].config.folder: open nowhere: no such file"),
        (
            {"folder": "plugins", "name": ["a", "bb"]},
            r'plugins\[0\].config.name: no plugin "bb"; did you mean "b"\?',
        ),
    ],
)
def test_strict_refuses_to_start_without_the_plugin(plugins, config, problem):
    with pytest.raises(ConfigError, match=problem):
        Gateway(app, {"plugins": [{"name": "http-server", "config": {**config, "strict": True}}]})


def test_strict_with_everything_in_place_is_as_without(plugins):
    plugin = HTTPServer(folder="plugins", pattern=".py", name="c", extra_config={"c": {}}, strict=True)
    assert get(plugin, app=app).status_code == 200


def test_the_factory_is_called_once_however_many_routes_there_are(folder):
    folder(
        "once.py",
        "class HandlerRegisterer:\n"
        "    def register_handlers(self, f): f('once', self.make)\n"
        "    def make(self, context, extra, h):\n"
        "        open('count', 'a').close()\n"
        "        with open('count', 'a') as file: file.write('x')\n"
        "        return h\n",
    )
    routes = [{"name": name, "paths": [f"/{name}"]} for name in ("one", "two")]
    deny = Entry(IPRestriction(deny=["127.0.0.1"]), route="two")
    found = Client(gateway(HTTPServer(module="plugins/once.py"), deny, app=app, routes=routes))
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    statuses = [found.get(f"/{name}", environ_overrides=environ).status_code for name in ("one", "two", "x")]
    assert statuses == [200, 403, 200]
    with open("count") as file:
        assert file.read() == "x"


def test_the_context_is_done_when_the_worker_stops(plugins):
    plugin = HTTPServer(module="plugins/a.py")
    found = gateway(plugin, app=app)
    Client(found).get("/")
    assert not plugin.loader.context.done.is_set()
    found.stop()
    assert plugin.loader.context.done.is_set()


def test_plugins_log_under_the_name_of_the_entry(plugins, caplog):
    caplog.set_level(logging.DEBUG, "plugmw")
    get(HTTPServer(module="plugins/a.py"), app=app)
    assert {record.name for record in caplog.records} == {"plugmw.http-server"}
    assert caplog.messages == [
        "[SERVICE: Handler Plugin] Total plugins loaded: 1",
        "[PLUGIN: Server] Injecting plugin a",
    ]
