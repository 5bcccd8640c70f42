"""functions: configuration, its place in a chain, reload, and under real servers."""

from __future__ import annotations

import json
import os

import pytest
from werkzeug.test import Client

from plugmw import ConfigError, Gateway
from plugmw.contrib.ip_restriction import IPRestriction
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.response_transformer import ResponseTransformer
from plugmw.dialects.prest import building
from plugmw.dialects.prest.plugin import FunctionsPlugin
from plugmw.kernel.plugin import Plugin
from plugmw.loading.watching import recording
from plugmw.testing import gateway, get
from tests.unit.dialects.prest.conftest import app
from tests.unit.dialects.prest.test_middlewares import DIRECT

HELLO = "/_PLUGIN/hello/Hello"


# -- configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"path": 5}, "path: got 5"),
        ({"path": ""}, "path: got ''"),
        ({"prefix": "fn"}, "prefix: got 'fn'"),
        ({"prefix": "/fn/"}, "prefix: got '/fn/', expected a path without a slash at its end"),
        ({"prefix": "/"}, "prefix: got '/', expected a path without a slash at its end"),
        ({"reload": "yes"}, "reload: got 'yes'"),
        ({"middlewares": [{"file": "hello"}]}, r"middlewares\[0\].func"),
        ({"middlewares": [{"file": "../hello", "func": "A"}]}, r"middlewares\[0\].file: got '../hello'"),
        ({"timeout": 0}, "timeout: got 0"),
        ({"processes": 0}, "processes: got 0"),
        ({"folder": "lib"}, 'unknown field "folder"'),
    ],
)
def test_refuses_a_configuration_that_cannot_work(config, problem):
    with pytest.raises(ConfigError, match=problem):
        FunctionsPlugin(**config)


def test_is_found_by_its_name_in_a_configuration(lib):
    config = {"plugins": [{"name": "functions", "config": {"path": lib, "prefix": "/fn"}}]}
    client = Client(Gateway(app, config))
    assert client.get("/fn/hello/Hello").json["msg"] == "Hello plugin caller!"
    assert client.get(HELLO).text == "the app"


def test_the_folder_is_where_the_process_was_when_the_entry_was_built(lib, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = gateway(FunctionsPlugin(), app=app)
    monkeypatch.chdir("/")
    assert get(made, path=HELLO).status_code == 200


def test_a_missing_folder_is_an_error_unless_that_is_switched_off(tmp_path):
    missing = str(tmp_path / "nowhere")
    assert get(FunctionsPlugin(path=missing, strict=False), path=HELLO).status_code == 404
    with pytest.raises(ConfigError) as caught:
        gateway(FunctionsPlugin(path=missing, middlewares=[{"file": "a", "func": "A"}]))
    assert "plugins[0].path: got" in str(caught.value)
    assert "middlewares[0].file: no a.py in" in str(caught.value)


def test_with_strict_a_middleware_that_cannot_be_used_refuses_every_request(lib, write):
    write("middlewares/a.py", "")
    plugin = FunctionsPlugin(path=lib, strict=True, middlewares=[{"file": "a", "func": "A"}])
    assert get(plugin, app=app).status_code == 500


# -- the chain -------------------------------------------------------------------------------------


def test_what_is_above_it_protects_the_functions(lib):
    plugins = [FunctionsPlugin(path=lib), KeyAuth(key_names=["apikey"])]
    consumers = [{"username": "alice", "keyauth_credentials": [{"key": "secret"}]}]
    config = {"consumers": consumers}
    assert get(plugins, config, path=HELLO).status_code == 401
    assert get(plugins, config, path=HELLO, headers={"apikey": "secret"}).status_code == 200
    denied = [FunctionsPlugin(path=lib), IPRestriction(deny=["127.0.0.1"])]
    assert get(denied, path=HELLO, environ={"REMOTE_ADDR": "127.0.0.1"}).status_code == 403


class Watch(Plugin):
    """Notes the phases of an answer."""

    name, priority = "watch", 1

    def header_filter(self, x):
        x.set_header("X-Status", str(x.status))

    def body_filter(self, x, chunk, eof):
        return chunk.upper()

    def log(self, x):
        self.runtime.logged = x.status, x.source


def test_filters_and_logs_see_the_answers_of_functions(lib, write):
    write("x.py", "def GETXHandler(r): return 'text', 202")
    watch = Watch()
    response = get([FunctionsPlugin(path=lib), watch], path="/_PLUGIN/x/X")
    assert (response.text, response.headers["X-Status"]) == ("TEXT", "202")
    assert watch.runtime.logged == (202, "service")
    changed = [FunctionsPlugin(path=lib), ResponseTransformer(add={"json": ["more:1"]})]
    assert get(changed, path=HELLO).json["more"] == "1"


def test_it_is_below_every_other_plugin(lib):
    from plugmw.sources import bundled

    others = [bundled.find(name).priority for name in bundled.names() if name != "functions"]
    assert FunctionsPlugin.priority < min(others)


def test_an_entry_of_a_route_serves_that_route_alone(lib):
    entry = {"name": "functions", "route": "fn", "config": {"path": lib}}
    routes = [{"name": "fn", "paths": ["/_PLUGIN"]}, {"name": "all", "paths": ["/"]}]
    made = Client(Gateway(app, {"plugins": [entry], "routes": routes}))
    assert made.get(HELLO).status_code == 200
    assert made.get("/other").text == "the app"
    # Routes read this one differently from apps that resolve it.
    assert made.get("/x/%2e%2e" + HELLO).status_code == 400


def test_middlewares_go_on_with_the_chain_of_the_requests_own_route(lib, write):
    write("middlewares/a.py", DIRECT.format("A"))
    entry = {"name": "functions", "config": {"path": lib, "middlewares": [{"file": "a", "func": "A"}]}}
    routes = [{"name": "one", "paths": ["/one"]}]
    made = Client(Gateway(app, {"plugins": [entry], "routes": routes}))
    for path in ("/one", "/two"):
        response = made.get(path)
        assert (response.text, response.headers["Link"]) == ("the app", "A")


# -- reload ----------------------------------------------------------------------------------------


def test_a_reload_of_the_gateway_gives_fresh_modules(lib, write, tmp_path):
    path = tmp_path / "gateway.json"
    path.write_text(
        json.dumps({"plugins": [{"name": "functions", "config": {"path": lib}}]}), encoding="utf-8"
    )
    write("x.py", "def GETXHandler(r): return 'old'")
    made = Gateway(app, path)
    client = Client(made)
    assert client.get("/_PLUGIN/x/X").text == "old"
    write("x.py", "def GETXHandler(r): return 'new'")
    assert client.get("/_PLUGIN/x/X").text == "old"
    assert made.reload()
    assert client.get("/_PLUGIN/x/X").text == "new"


def test_with_reload_what_a_worker_takes_at_its_start_is_watched(lib, write):
    write("middlewares/a.py", DIRECT.format("A"))
    write("src/hello.c", "")
    options = {"path": lib, "middlewares": [{"file": "a", "func": "A"}]}
    watched = []
    for more in ({}, {"reload": True}, {"reload": True, "build": True}):
        with recording() as record:
            FunctionsPlugin(**options, **more).configure()
        watched.append([os.path.relpath(name, lib) for name in record.files])
    assert watched == [[], ["middlewares/a.py"], ["middlewares/a.py", "src", "src/hello.c"]]


# -- building --------------------------------------------------------------------------------------


def test_sources_are_built_when_the_worker_starts(lib, monkeypatch):
    built = []
    monkeypatch.setattr(building, "build_all", lambda folder, logger: built.append(folder) or [])
    assert get(FunctionsPlugin(path=lib, build=True), path=HELLO).status_code == 200
    assert built == [lib]


@pytest.mark.parametrize(("strict", "status"), [(False, 200), (True, 500)])
def test_a_source_that_cannot_be_built_is_skipped_unless_strict(lib, monkeypatch, strict, status):
    monkeypatch.setattr(building, "build_all", lambda folder, logger: ["problem"])
    assert get(FunctionsPlugin(path=lib, build=True, strict=strict), path=HELLO).status_code == status
