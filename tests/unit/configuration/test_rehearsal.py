"""A check does what a start would do with the code of others: errors, warnings, and nothing is opened."""

import socket

import pytest

from plugmw.configuration.plan import read_plan
from plugmw.configuration.rehearsal import rehearse

HANDLERS = """
from plugmw import Plugin

class Fine:
    PRIORITY, VERSION = 10, "1.0.0"
    def access(self, config): pass

class Built(Fine):
    def __init__(self): raise KeyError("no settings")

class Configured(Fine):
    def configure(self, configs): raise KeyError(len(configs))

class Wraps(Plugin):
    name = "wraps"
    def wrap(self, app): raise ValueError("not round this")

class Exits(Plugin):
    name = "exits"
    def access(self, x): pass
    def rehearse(self): raise SystemExit(3)
"""

FACTORIES = """
import socket, threading
class Registerer:
    def register_handlers(self, f):
        f("fails", self.fails)
        f("connects", self.connects)
        f("works", lambda context, extra, app: app)
    def register_clients(self, f):
        f("fails", lambda context, extra: self.fails(context, extra, None))
    def register_modifiers(self, f):
        f("fails", lambda extra: self.fails(None, extra, None), True, False)
    def fails(self, context, extra, app):
        raise ValueError("no good configuration")
    def connects(self, context, extra, app):
        socket.create_connection((extra["host"], extra["port"])).close()
        return app
ModifierRegisterer = ClientRegisterer = HandlerRegisterer = Registerer()
"""

LEFT_OUT = "plugin/http-server: Error getting the plugin handler: no good configuration"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(HANDLERS)
    (tmp_path / "factories.py").write_text(FACTORIES)
    return tmp_path


def told(*entries, online=False, dialect=None, **document):
    """Errors and warnings of the rehearsal of a document."""
    plan = read_plan({"plugins": list(entries), **document} if entries else document)
    return tuple([str(one) for one in several] for several in rehearse(plan, online))


@pytest.mark.parametrize(
    ("name", "errors", "warnings"),
    [
        ("Fine", [], []),
        ("Built", ["plugins[0]: cannot be started: KeyError: 'no settings'"], []),
        ("Configured", [], ["plugins[0]: configure failed: KeyError: 2"]),
        ("Wraps", ["plugins[0]: cannot be put round the app: ValueError: not round this"], []),
        ("Exits", ["plugins[0]: cannot be started: raised SystemExit: 3"], []),
    ],
)
def test_what_a_start_makes_of_a_plugin_is_made(name, errors, warnings):
    entry = {"name": f"./mine.py:{name}"}
    second = {**entry, "instance": "second"}
    if name == "Configured":
        assert told(entry, second) == (errors, warnings)
    else:
        assert told(entry, {**second, "enabled": False}) == (errors, warnings)


def http_server(name, **config):
    config = {"module": "./factories.py", "name": name, **config}
    return {"name": "http-server", "config": config}


def test_a_factory_that_fails_is_an_error_where_it_guards_and_a_warning_where_a_start_goes_on_without_it():
    assert told(http_server("works")) == ([], [])
    assert told(http_server("fails")) == ([f"plugins[0]: cannot be started: {LEFT_OUT}"], [])
    assert told(http_server("fails", strict=False)) == ([], [f"plugins[0]: would be left out: {LEFT_OUT}"])


def test_nothing_connects_unless_it_is_asked_to():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        entry = http_server("connects", extra_config={"host": "127.0.0.1", "port": port})
        problem = f"would connect to 127.0.0.1:{port}; --online lets it"
        assert told(entry) == ([], [f"plugins[0]: is not tried to its end, where it {problem}"])
        assert told(entry, online=True) == ([], [])
        server.settimeout(10)
        server.accept()[0].close()


@pytest.mark.parametrize("alias", ["plugin/req-resp-modifier", "plugin/http-client"])
def test_endpoints_are_built_whatever_a_start_would_make_of_their_failures(here, alias):
    names = "fails" if alias == "plugin/http-client" else ["fails"]
    backend = {"url_pattern": "/b", "host": ["http://h"], "extra_config": {alias: {"name": names}}}
    document = {
        "version": 3,
        "plugin": {"folder": str(here), "pattern": "factories.py"},
        "endpoints": [{"endpoint": "/a", "backend": [backend]}],
    }
    errors, warnings = told(**document)
    assert ["no good configuration" in error for error in errors] == [True]
    lenient = {**document, "extra_config": {"plugmw": {"strict": False}}}
    errors, warnings = told(**lenient)
    assert (errors, ["no good configuration" in one for one in warnings]) == ([], [True])


def test_a_middleware_of_functions_that_is_left_out_is_a_warning(here):
    (here / "lib/middlewares").mkdir(parents=True)
    (here / "lib/middlewares/hello.py").write_text("1/0")
    config = {"path": "lib", "middlewares": [{"file": "hello", "func": "Hello"}], "strict": False}
    errors, warnings = told({"name": "functions", "config": config})
    assert (errors, len(warnings), 'plugin.Open("hello")' in warnings[0]) == ([], 1, True)
