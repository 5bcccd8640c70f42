"""A configuration document becomes entries, routes and a runtime, or every error at once."""

from __future__ import annotations

import logging

import pytest

from plugmw import Entry
from plugmw.auth.consumers import directory
from plugmw.auth.directories import SQLDirectory
from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import read_plan
from plugmw.documents import Document
from plugmw.errors import ConfigError, ConfigErrors, LoadError
from plugmw.kernel.plugin import Plugin
from plugmw.schema import above, config, field
from plugmw.stores import open_store
from tests.support.plugins import made, nothing

HERE = __name__


@config
class Limits:
    minute: float = field(1, above(0), help="Requests a minute.")
    key: str = field("x", help="Text.")
    secret: str = field("x", help="Text.", secret=True)


class Limiting(Plugin):
    name, priority, Config = "limiting", 900, Limits

    def access(self, x):
        pass


class Asking(Plugin):
    name, authenticates, fail_closed, credential_names = "asking", True, True, ()

    def access(self, x):
        pass


class Refusing(Plugin):
    """Finds its configuration wrong in configure."""

    name = "refusing"
    problem: Exception = ConfigError("a[0].b", "got 1", "2")

    def access(self, x):
        pass

    def configure(self):
        raise self.problem


class Rewriting(Plugin):
    name = "rewriting"

    def rewrite(self, x):
        pass


class Global(Plugin):
    name, no_consumer = "global", True

    def access(self, x):
        pass


class NoPhase(Plugin):
    name = "no-phase"


class BothSides(Plugin):
    name = "both-sides"

    def response(self, x):
        pass

    def header_filter(self, x):
        pass


def plugin(name="Limiting", **entry):
    return {"name": f"{HERE}:{name}", **entry}


def errors_of(data, **extras):
    document = data if isinstance(data, Document) else Document(data, "gateway.yaml")
    with pytest.raises(ConfigErrors) as caught:
        read_plan(document, Extras(**extras))
    return str(caught.value).split("\n")


def plan_of(**data):
    return read_plan(Document(data, "gateway.yaml"))


def test_nothing_is_a_plan():
    plan = read_plan(None)
    assert (plan.entries, plan.routes, plan.warnings) == ([], [], [])


def test_entries_have_what_their_document_says():
    plan = plan_of(
        plugins=[
            plugin(config={"minute": 5}),
            plugin(
                instance="second", route="r", service="s", consumer="jo", priority=5, before=["limiting"],
                after=[], enabled=False, on_error="open", tags=["t"],
            ),
        ],
        routes=[{"name": "r", "paths": ["/r"], "service": "s"}],
        consumers=[{"username": "jo"}],
    )  # fmt: skip
    first, second = plan.entries
    assert (first.name, first.where, first.plugin.config.minute) == (
        "limiting",
        "gateway.yaml: plugins[0]",
        5,
    )
    assert (second.name, second.scope, second.rank, second.before) == (
        "second",
        ("r", "s", "jo"),
        5,
        ("limiting",),
    )
    assert (second.enabled, second.on_error, second.where) == (False, "open", "gateway.yaml: plugins[1]")
    assert first.plugin.runtime is plan.runtime


def test_the_runtime_has_what_the_settings_say():
    plan = plan_of(
        store="memory://",
        max_request_body=1,
        max_response_body=2,
        answer_crashes=True,
        trusted=["10.0.0.0/8"],
    )
    runtime = plan.runtime
    assert (runtime.store_url, runtime.max_request_body, runtime.max_response_body) == ("memory://", 1, 2)
    assert runtime.answer_crashes
    assert not runtime.trusted.nobody
    assert plan_of(trusted=2).runtime.trusted.hops == 2


def test_identity_headers_are_removed_once_an_enabled_entry_authenticates():
    kept = {"identity_headers": "keep"}
    assert plan_of(plugins=[plugin("Asking")], **kept).runtime.identity
    assert not plan_of(plugins=[plugin("Asking", enabled=False)], **kept).runtime.identity
    assert not plan_of(plugins=[plugin()], **kept).runtime.identity
    assert plan_of(plugins=[plugin()]).runtime.identity


PROBLEMS = {
    "a plugin's field": (
        {"plugins": [plugin(), plugin(instance="b"), plugin(instance="c", config={"minute": -5})]},
        "plugins[2].config.minute: got -5, expected a number above 0",
    ),
    "unknown field": (
        {"plugins": [plugin(config={"minut": 5})]},
        'plugins[0].config.minut: unknown field "minut"; did you mean "minute"?',
    ),
    "unknown setting": ({"plugin": []}, 'plugin: unknown field "plugin"; did you mean "plugins"?'),
    "unknown key of an entry": (
        {"plugins": [plugin(rout="r")]},
        'plugins[0].rout: unknown field "rout"; did you mean "route"?',
    ),
    "unknown plugin": (
        {"plugins": [{"name": "ip-restrict"}]},
        'plugins[0].name: no plugin "ip-restrict"; did you mean "ip-restriction"?',
    ),
    "no name": ({"plugins": [{}]}, "plugins[0].name: missing, expected a string"),
    "a name of another type": ({"plugins": [{"name": 5}]}, "plugins[0].name: got 5, expected a string"),
    "no mapping": ({"plugins": [5]}, "plugins[0]: got 5, expected a mapping"),
    "no list": ({"plugins": {}}, "plugins: got dict, expected a list"),
    "config is no mapping": (
        {"plugins": [plugin(config=5)]},
        "plugins[0].config: got 5, expected a mapping",
    ),
    "no class": (
        {"plugins": [{"name": f"{HERE}:HERE"}]},
        f"plugins[0].name: got '{HERE}', expected a class derived from plugmw.Plugin",
    ),
    "no phase": (
        {"plugins": [plugin("NoPhase")]},
        "plugins[0].name: has no phase method, expected at least one of init_worker, configure,"
        " certificate, rewrite, access, response, header_filter, body_filter, log, wrap",
    ),
    "response beside header_filter": (
        {"plugins": [plugin("BothSides")]},
        "plugins[0].name: has response beside header_filter or body_filter, expected one or the other",
    ),
    "no route": (
        {"plugins": [plugin(route="amdin")], "routes": [{"name": "admin", "paths": ["/"]}]},
        'plugins[0].route: no route "amdin"; did you mean "admin"?',
    ),
    "no service": (
        {"plugins": [plugin(service="x")], "routes": [{"name": "admin", "paths": ["/"]}]},
        'plugins[0].service: no service "x"',
    ),
    "no consumer": (
        {"plugins": [plugin(consumer="jo")]},
        'plugins[0].consumer: no consumer "jo", expected one of consumers',
    ),
    "a consumer where none can be": (
        {"plugins": [plugin("Global", consumer="jo")], "consumers": [{"username": "jo"}]},
        "plugins[0].consumer: global cannot be limited to a consumer",
    ),
    "nothing to stand before": (
        {"plugins": [plugin(before=["limitin"])]},
        'plugins[0].before: no entry "limitin"; did you mean "limiting"?',
    ),
    "a cycle": (
        {"plugins": [plugin(before=["b"]), plugin(instance="b", before=["limiting"])]},
        "plugins: before/after form a cycle: limiting -> b -> limiting, expected an order without one",
    ),
    "twice the same scope": (
        {"plugins": [plugin(), plugin()]},
        "plugins[1]: limiting is configured for the same scope at gateway.yaml: plugins[0]"
        ", expected another scope, or an `instance` name of its own",
    ),
    "twice the same route": (
        {"routes": [{"name": "r", "paths": ["/"]}, {"name": "r", "paths": ["/a"]}]},
        "routes[1].name: got 'r' a second time, expected a unique name",
    ),
    "a route that matches all": (
        {"routes": [{"name": "r"}]},
        "routes[0]: at least one of paths, hosts, methods, headers must be given",
    ),
    "a path without a slash": (
        {"routes": [{"name": "r", "paths": ["/ok", "admin"]}]},
        "routes[0].paths[1]: got 'admin', expected a path that starts with / (or ~ and a pattern)",
    ),
    "a pattern that is none": (
        {"routes": [{"name": "r", "paths": ["~("]}]},
        "routes[0].paths[0]: got '~(', expected a regular expression"
        " (missing ), unterminated subpattern at position 0)",
    ),
    "a pattern that could take for ever": (
        {"routes": [{"name": "r", "paths": ["~/(a+)+$"]}]},
        "routes[0].paths[0]: got '~/(a+)+$', expected a regular expression"
        " (a repeated part can match one text in several ways; a loop ends best where "
        "what follows begins, as in [^/]*/, or after a number, as in .{0,50})",
    ),
    "trusted": (
        {"trusted": ["10.0.0.0/40"]},
        "trusted: '10.0.0.0/40' does not appear to be an IPv4 or IPv6 network"
        ", expected networks like 10.0.0.0/8, and unix:",
    ),
    "trusted hops": ({"trusted": -1}, "trusted: got -1, expected a number of proxies, 0 or more"),
    "trusted, one item": ({"trusted": ["::1", 5]}, "trusted[1]: got 5, expected a string"),
    "twice the same service": (
        {"services": [{"name": "s"}, {"name": "s"}]},
        "services[1].name: got 's' a second time, expected a unique name",
    ),
    "user info of a service": (
        {"services": [{"name": "s", "url": "http://user:secret@h/"}]},
        "services[0].url: has user info, which no service is sent and logs would show",
    ),
    "a route of no service": (
        {"services": [{"name": "back"}], "routes": [{"name": "r", "paths": ["/"], "service": "bakc"}]},
        'routes[0].service: no service "bakc"; did you mean "back"?',
    ),
    "configure": ({"plugins": [plugin("Refusing")]}, "plugins[0].config.a[0].b: got 1, expected 2"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_is_wrong_is_told_where_it_is(data, message):
    assert errors_of(data) == [f"gateway.yaml: {message}"]


def test_everything_wrong_is_told_at_once():
    data = {
        "trusted": -1,
        "storre": 1,
        "plugins": [plugin(config={"minute": -5}), {"name": "no"}],
        "routes": [5],
        "consumers": [{}],
    }
    assert [error.split(": ")[1] for error in errors_of(data)] == [
        "storre", "trusted", "consumers[0]", "routes[0]", "plugins[0].config.minute", "plugins[1].name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (
            ConfigErrors([ConfigError("", "whole", "x"), ConfigError("b", "part")]),
            ["config: whole, expected x", "config.b: part"],
        ),
        (LoadError("libx", "not there"), ["config: libx: not there"]),
        (RuntimeError("oops"), ["config: RuntimeError in configure: oops"]),
    ],
    ids=["several", "load error", "any other"],
)
def test_whatever_configure_raises_is_a_problem_of_its_entry(problem, message, monkeypatch):
    monkeypatch.setattr(Refusing, "problem", problem)
    assert errors_of({"plugins": [plugin("Refusing")]}) == [
        f"gateway.yaml: plugins[0].{text}" for text in message
    ]


def test_the_traceback_of_a_configure_with_a_mistake_is_kept_and_logged(monkeypatch, caplog):
    mistake = RuntimeError("oops")
    monkeypatch.setattr(Refusing, "problem", mistake)
    with pytest.raises(ConfigErrors) as caught:
        read_plan(Document({"plugins": [plugin("Refusing")]}, "gateway.yaml"))
    assert [error.__cause__ for error in caught.value.errors] == [mistake]
    (record,) = caplog.records
    assert record.getMessage() == "gateway.yaml: plugins[0]: configure of refusing failed"
    assert record.exc_info[1] is mistake


def test_a_cycle_in_one_routes_chain_is_found_and_one_across_routes_is_none():
    routes = [{"name": "a", "paths": ["/a"]}, {"name": "b", "paths": ["/b"]}]
    cycle = [plugin(route="a", before=["x"]), plugin(instance="x", route="a", before=["limiting"]), plugin()]
    assert errors_of({"routes": routes, "plugins": cycle})[0].startswith(
        "gateway.yaml: plugins: before/after form a cycle"
    )
    opposite = [
        plugin(route="a", before=["x"]), plugin(instance="x"),
        plugin(route="b", after=["x"]),
    ]  # fmt: skip
    read_plan(Document({"routes": routes, "plugins": opposite}, "gateway.yaml"))


def test_a_scoped_entry_with_rewrite_is_a_warning():
    plan = plan_of(plugins=[plugin("Rewriting", route="r")], routes=[{"name": "r", "paths": ["/"]}])
    assert [str(warning) for warning in plan.warnings] == [
        "gateway.yaml: plugins[0]: runs in rewrite, before routing:"
        " in that phase a scoped entry is not called"
    ]


# -- the environment --------------------------------------------------------------------------------------


def load_file(tmp_path, monkeypatch, text, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return path


def test_text_from_the_environment_that_looks_like_a_number_is_text(tmp_path, monkeypatch):
    text = f"""
        plugins:
          - {{name: "{HERE}:Limiting", config: {{key: "${{KEY}}", minute: "${{MINUTE}}"}}}}
        consumers:
          - {{username: "${{KEY}}", keyauth_credentials: [{{key: "${{KEY}}"}}]}}
        routes:
          - {{name: "${{KEY}}", hosts: ["${{KEY}}"]}}
        real_ip_header: "${{KEY}}"
    """
    plan = read_plan(load_file(tmp_path, monkeypatch, text, KEY="0123", MINUTE="7"))
    assert (plan.entries[0].plugin.config.key, plan.entries[0].plugin.config.minute) == ("0123", 7)
    assert plan.runtime.consumers.consumer("0123").username == "0123"
    assert plan.runtime.consumers.credential("key-auth", "0123") is not None
    assert (plan.routes[0].name, plan.routes[0].hosts) == ("0123", ["0123"])
    assert plan.settings.real_ip_header == "0123"


def test_values_from_the_environment_are_not_in_messages(tmp_path, monkeypatch):
    text = f"""
        plugins:
          - {{name: "{HERE}:Limiting", config: {{minute: "${{SECRET}}"}}}}
        trusted: ["${{SECRET}}"]
    """
    with pytest.raises(ConfigErrors) as caught:
        read_plan(load_file(tmp_path, monkeypatch, text, SECRET="hunter2hunter2"))
    assert "hunter2" not in str(caught.value)
    assert "plugins[0].config.minute: got a value from ${SECRET}, expected a number" in str(caught.value)


# -- given in code ----------------------------------------------------------------------------------------


def test_plugins_entries_and_mappings_are_given_in_code_and_mix_with_the_document():
    given = [
        nothing("access", name="a"),
        Entry(nothing("access", name="b"), route="r"),
        plugin(config={"minute": 3}),
    ]
    data = {"routes": [{"name": "r", "paths": ["/"]}], "plugins": [plugin(instance="listed")]}
    plan = read_plan(Document(data, "gateway.yaml"), Extras(plugins=given))
    assert [(entry.name, entry.where) for entry in plan.entries] == [
        ("listed", "gateway.yaml: plugins[0]"),
        ("a", "code: plugins[0]"),
        ("b", "code: plugins[1]"),
        ("limiting", "code: plugins[2]"),
    ]


def test_an_entry_given_to_two_gateways_is_not_shared():
    entry = Entry(nothing("access"))
    one, two = (read_plan(None, Extras(plugins=[entry])) for _ in range(2))
    assert one.entries[0] is not two.entries[0]
    assert entry.where == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "code: plugins[0]: got 5, expected a plugin object, an Entry or a mapping"),
        (
            Limiting,
            f"code: plugins[0]: got {Limiting!r}, expected a plugin object, an Entry or a mapping; call it",
        ),
        (Entry(nothing("access"), route="x"), 'code: plugins[0].route: no route "x"'),
        (plugin(config={"minute": 0}), "code: plugins[0].config.minute: got 0, expected a number above 0"),
        (plugin("Rewriting", nam="x"), 'code: plugins[0].nam: unknown field "nam"; did you mean "name"?'),
        (
            nothing("response", "header_filter"),
            "code: plugins[0]: Nothing: has response beside header_filter or body_filter"
            ", expected one or the other",
        ),
        (
            Entry(nothing("access"), priority=float("inf")),
            "code: plugins[0].priority: got inf, expected a number",
        ),
        (made("p", float("nan"), access=print), "code: plugins[0]: P: priority: got nan, expected a number"),
        (
            made("p", 0, access=print, version="1"),
            "code: plugins[0]: P: version: got '1', expected a text like 1.2.3",
        ),
    ],
    ids=["number", "class", "route", "field", "unknown", "both sides", "own priority", "priority", "version"],
)
def test_what_is_wrong_in_code_is_told_as_such(given, message):
    assert errors_of({"store": "memory://"}, plugins=[given]) == [message]


def test_the_same_plugin_in_the_document_and_in_code_is_twice_the_same_scope():
    assert errors_of({"plugins": [plugin()]}, plugins=[Limiting()]) == [
        "code: plugins[0]: limiting is configured for the same scope at gateway.yaml: plugins[0]"
        ", expected another scope, or an `instance` name of its own"
    ]


def test_what_a_when_tells_apart_is_no_duplicate():
    entries = [Entry(nothing("access"), when=lambda x: True) for _ in range(2)]
    assert len(read_plan(None, Extras(plugins=entries)).entries) == 2


def test_a_directory_store_logger_and_clock_are_given_in_code():
    consumers, store = directory([{"username": "jo"}]), open_store("memory://")
    logger = logging.getLogger("elsewhere")
    extras = Extras(consumers=consumers, store=store, logger=logger, clock=lambda: 5.0)
    runtime = read_plan(None, extras).runtime
    assert (runtime.consumers, runtime.store, runtime.logger, runtime.clock()) == (
        consumers,
        store,
        logger,
        5.0,
    )
    # What is not known before it is asked cannot be checked.
    Extras(plugins=[Entry(nothing("access"), consumer="whoever")], consumers=consumers)
    read_plan(None, Extras(plugins=[Entry(nothing("access"), consumer="whoever")], consumers=consumers))


def test_consumers_come_from_one_place():
    problems = errors_of({"consumers": [{"username": "jo"}]}, consumers=directory([]))
    assert problems == ["gateway.yaml: consumers: given here and in code, expected one of the two"]


def test_a_store_url_is_checked_and_nothing_is_opened():
    (problem,) = errors_of({"store": "nonsense://x"})
    assert problem.startswith("gateway.yaml: store: ")


# -- folders ----------------------------------------------------------------------------------------------

SOURCE = """
from plugmw import Plugin
class FromFile(Plugin):
    name = "from-file"
    def access(self, x): pass
"""


def test_folders_are_relative_to_the_document_and_broken_files_are_warnings_unless_strict(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "good.py").write_text(SOURCE)
    (tmp_path / "lib" / "bad.py").write_text("1 / 0")
    data = {"folders": [{"path": "lib"}], "plugins": [{"name": "from-file"}]}
    source = str(tmp_path / "gateway.yaml")
    plan = read_plan(Document(data, source))
    assert [entry.name for entry in plan.entries] == ["from-file"]
    (warning,) = plan.warnings
    assert str(warning) == f"{source}: folders[0]: {tmp_path}/lib/bad.py: ZeroDivisionError: division by zero"
    assert errors_of(Document({**data, "strict": True}, source)) == [str(warning)]


def test_a_folder_that_is_not_there_is_told():
    plan = plan_of(folders=[{"path": "nowhere"}])
    assert "No such file or directory, expected a folder" in str(plan.warnings[0])


def test_a_cycle_that_is_in_every_chain_is_told_once():
    routes = [{"name": name, "paths": [f"/{name}"]} for name in "ab"]
    cycle = [plugin(before=["b"]), plugin(instance="b", before=["limiting"])]
    assert len(errors_of({"routes": routes, "plugins": cycle})) == 1


def test_a_condition_that_cannot_be_imported_is_told():
    (problem,) = errors_of({"plugins": [plugin(when={"call": "nothing_like_that:f"})]})
    assert problem.startswith("gateway.yaml: plugins[0].when.call: ")
    assert "nothing_like_that" in problem


# -- consumer stores ------------------------------------------------------------------------------


def test_a_consumer_store_is_opened_by_nobody_yet(tmp_path):
    url = f"sqlite://{tmp_path}/c.db"
    data = {"consumer_store": url, "plugins": [{"name": "key-auth", "consumer": "in the store"}]}
    found = read_plan(Document(data)).runtime.consumers
    assert isinstance(found, SQLDirectory)
    assert list(tmp_path.iterdir()) == []


def test_a_list_goes_before_the_store_beside_it(tmp_path):
    listed = {"username": "alice", "tags": ["listed"]}
    found = read_plan(Document({"consumer_store": f"sqlite://{tmp_path}/c.db", "consumers": [listed]}))
    assert found.runtime.consumers.consumer("alice").tags == ("listed",)
    assert found.runtime.consumers.consumer("bob") is None
    found.runtime.close()


@pytest.mark.parametrize(
    ("data", "given", "message"),
    [
        ({"consumer_store": "mysql://me:pw@h/d"}, None, "consumer_store: got 'mysql://***@h/d'"),
        ({"consumer_store": "sqlite:///tmp/c.db"}, [], "consumer_store: given here and in code"),
        ({"consumers": [{"username": "a"}]}, [], "consumers: given here and in code"),
        ({}, [{"user": "a"}], "unknown field"),
        ({}, "mysql://h/d", "consumer_store: got 'mysql://h/d'"),
    ],
    ids=["bad URL", "store and code", "list and code", "bad list in code", "bad URL in code"],
)
def test_bad_consumer_stores_are_told(data, given, message):
    with pytest.raises(ConfigErrors) as raised:
        read_plan(Document(data), Extras(consumers=given))
    assert message in str(raised.value)
    assert "pw" not in str(raised.value)


# -- fields that do nothing -----------------------------------------------------------------------------


@config
class WithInert:
    idle: int = field(5, inert=True, help="Does nothing.")
    other: int = field(5, help="Does something.")


class Inert(Plugin[WithInert]):
    name, Config = "inert", WithInert

    def access(self, x):
        """Do nothing."""


@pytest.mark.parametrize(
    ("fields", "said"),
    [({}, []), ({"other": 6}, []), ({"idle": 5}, []), ({"idle": 6}, ["inert: idle does nothing here"])],
    ids=str,
)
def test_a_field_that_is_given_and_does_nothing_is_told(caplog, fields, said):
    read_plan({}, Extras(plugins=[Inert(**fields)]))
    assert caplog.messages == said
