"""Loading: folders in three passes, single modules, every line of the log."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import CLIENT, HANDLER, KINDS, MODIFIER
from tests.unit.dialects.krakend import conftest as sources

EXECUTOR, SERVER, MODIFIERS = (f"[SERVICE: {name} Plugin]" for name in ("Executor", "Handler", "Modifier"))
START = "DEBUG: [SERVICE: Plugin Loader] Starting loading process"
END = "DEBUG: [SERVICE: Plugin Loader] Loading process completed"


@pytest.fixture
def load(log):
    """Load a folder with a new loader and return it."""

    def run(folder="plugins", pattern=".py"):
        loader = Loader(log)
        loader.load_folder(folder, pattern)
        return loader

    return run


def handler(name):
    return sources.HANDLER.format(name=name)


class TestFolder:
    def test_files_are_loaded_in_name_order_and_folders_never(self, folder, load, log):
        folder("b.py", handler("b"))
        folder("a.py", handler("a"))
        Path("plugins/c.py").mkdir()
        folder("c.py/d.py", handler("d"))
        assert list(load().register.handlers) == ["a", "b"]
        assert f"INFO: {SERVER} Total plugins loaded: 2" in log.lines

    def test_the_pattern_is_a_part_of_the_name_and_a_bad_file_stops_nobody(self, folder, load, log):
        folder("a.py", handler("a"))
        folder("x.py.bak", handler("x"))
        folder("y.txt", handler("y"))
        assert list(load().register.handlers) == ["a"]
        problem = "plugin #1 (plugins/x.py.bak): got a file ending in '.bak', expected a Python file"
        assert [line for line in log.lines if "x.py.bak" in line] == [
            f"DEBUG: {tag} {problem}" for tag in (EXECUTOR, SERVER, MODIFIERS)
        ]

    def test_an_empty_pattern_matches_every_file(self, folder, load):
        folder("a.py", handler("a"))
        assert list(load(pattern="").register.handlers) == ["a"]

    def test_one_file_of_two_kinds_counts_in_both_and_the_passes_keep_their_order(self, folder, load, log):
        folder("both.py", handler("h") + sources.MODIFIER.format(name="m"))
        loader = load()
        assert (list(loader.register.handlers), list(loader.register.request_modifiers)) == (["h"], ["m"])
        assert log.lines == [
            START,
            f"DEBUG: {EXECUTOR} plugin #0 (plugins/both.py): "
            "plugin: symbol ClientRegisterer not found in plugin both",
            f"INFO: {SERVER} Total plugins loaded: 1",
            f"INFO: {MODIFIERS} Total plugins loaded: 1",
            END,
        ]

    def test_a_symbol_of_the_wrong_type_is_told_at_debug_and_the_others_load(self, folder, load, log):
        folder("a.py", "HandlerRegisterer = ClientRegisterer = ModifierRegisterer = 5")
        folder("b.py", handler("b"))
        assert list(load().register.handlers) == ["b"]
        assert [line.replace("plugin #0 (plugins/a.py): ", "") for line in log.lines if "a.py" in line] == [
            f"DEBUG: {EXECUTOR} http-request-executor plugin loader: unknown type",
            f"DEBUG: {SERVER} http-server-handler plugin loader: unknown type",
            f"DEBUG: {MODIFIERS} modifier plugin loader: unknown type",
        ]

    def test_a_missing_folder_is_three_lines_and_loading_goes_on(self, folder, load, log):
        loader = load("./nowhere")
        problem = "open ./nowhere: no such file or directory"
        assert log.lines == [
            START,
            f"DEBUG: {EXECUTOR} {problem}",
            f"DEBUG: {SERVER} {problem}",
            f"DEBUG: {MODIFIERS} {problem}",
            END,
        ]
        assert list(map(str, loader.errors)) == [problem]

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
            ("def (", "SyntaxError: "),
            ("class HandlerRegisterer:\n def register_handlers(self, f): f('x')", "TypeError: "),
            ("class HandlerRegisterer:\n def __init__(self, x): ...", "TypeError: "),
            (
                "class HandlerRegisterer:\n def register_handlers(self, f): ...\n"
                " def register_logger(self, logger): logger.fatal('no', 'way')",
                "Fatal: no way",
            ),
        ],
        ids=["import", "syntax", "registering", "making", "fatal"],
    )
    def test_whatever_a_file_raises_is_its_own_error(self, folder, load, log, source, told):
        folder("a.py", source)
        folder("b.py", handler("b"))
        loader = load()
        assert list(loader.register.handlers) == ["b"]
        assert any(line.startswith(f"DEBUG: {SERVER} plugin #0 (plugins/a.py): {told}") for line in log.lines)
        assert len(loader.errors) == 1
        assert loader.errors[0].source == "plugins/a.py"

    def test_a_file_is_executed_once_for_the_three_passes(self, folder, load):
        folder("a.py", "with open('count', 'a') as file: file.write('x')\n" + handler("a"))
        load()
        assert Path("count").read_text() == "x"

    def test_a_missing_symbol_is_no_error(self, folder, load):
        folder("a.py", handler("a"))
        assert load().errors == []

    def test_nothing_is_counted_where_nothing_was_loaded(self, folder, load, log):
        load()
        assert log.lines == [START, END]


class Noting:
    """A registerer of all kinds that notes the calls."""

    def __init__(self):
        self.calls = []

    def register_logger(self, logger):
        self.calls.append("logger")
        self.logger = logger

    def register_context(self, context):
        self.calls.append("context")
        self.context = context

    def register_handlers(self, f):
        self.calls.append("register")
        f("x", None)

    register_clients = register_handlers

    def register_modifiers(self, f):
        self.calls.append("register")
        f("x", None, True, True)


class GoNoting(Noting):
    """The same under Go's names alone."""

    register_logger = register_context = register_handlers = register_clients = register_modifiers = None
    RegisterLogger, RegisterContext = Noting.register_logger, Noting.register_context
    RegisterHandlers, RegisterModifiers = Noting.register_handlers, Noting.register_modifiers
    RegisterClients = Noting.register_clients


class TestOne:
    @pytest.mark.parametrize("spelling", [Noting, GoNoting], ids=["python", "go"])
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.symbol)
    def test_the_logger_comes_first_and_the_context_to_modifiers_alone(self, log, kind, spelling):
        noting, loader = spelling(), Loader(log)
        loader.load(SimpleNamespace(**{kind.symbol: noting}), kind)
        assert noting.calls == (
            ["logger", "context", "register"] if kind is MODIFIER else ["logger", "register"]
        )
        assert loader.register.names(kind) == ["x"]
        if kind is MODIFIER:
            assert noting.context is loader.context

    def test_an_object_without_the_optional_methods_works(self, log, folder):
        folder("a.py", handler("a"))
        loader = Loader(log)
        loader.load("plugins/a.py", HANDLER)
        assert loader.register.names(HANDLER) == ["a"]

    @pytest.mark.parametrize("make", [Path, str], ids=["path", "text"])
    def test_loads_a_file(self, log, folder, make):
        folder("a.py", handler("a"))
        loader = Loader(log)
        loader.load(make("plugins/a.py"), HANDLER)
        assert (loader.register.names(HANDLER), loader.errors) == (["a"], [])

    def test_loads_a_module_by_its_name(self, log, folder, monkeypatch):
        folder("krakend_named_plugin.py", handler("a"))
        monkeypatch.syspath_prepend("plugins")
        loader = Loader(log)
        loader.load("krakend_named_plugin", HANDLER)
        assert loader.register.names(HANDLER) == ["a"]

    def test_loads_a_module_object(self, log):
        module = ModuleType("mine")
        module.HandlerRegisterer = Noting
        loader = Loader(log)
        loader.load(module, HANDLER)
        assert loader.register.names(HANDLER) == ["x"]

    def test_loads_a_registerer_itself(self, log):
        loader = Loader(log)
        loader.load(Noting(), CLIENT)
        assert loader.register.names(CLIENT) == ["x"]

    def test_what_was_asked_for_and_is_missing_is_an_error(self, log):
        loader = Loader(log)
        loader.load(ModuleType("mine"), HANDLER)
        assert log.lines == [
            f"ERROR: {SERVER} plugin #0 (mine): plugin: symbol HandlerRegisterer not found in plugin mine"
        ]
        assert list(map(str, loader.errors)) == [
            "mine: plugin: symbol HandlerRegisterer not found in plugin mine"
        ]

    def test_a_logger_that_comes_later_reaches_the_plugins(self, log):
        noting, loader = Noting(), Loader(log)
        loader.load(noting, HANDLER)
        loader.register_logger(later := SimpleNamespace())
        assert noting.logger is loader.logger
        assert loader.logger.target is later
