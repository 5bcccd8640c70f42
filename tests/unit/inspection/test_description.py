"""inspect: the order in force, the plugins, the JSON Schema, and no secrets in any of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import Plan, read_plan
from plugmw.dispatch import Dispatcher
from plugmw.documents import Document, load
from plugmw.errors import ConfigErrors, LoadError
from plugmw.inspection import description
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.schema import config, field
from plugmw.schema.fields import Network, Pattern
from plugmw.sources import Catalogue
from plugmw.testing import hello_app
from tests.support import samples
from tests.support.samples import Key, Limit, Log, Wrapper


def plan(*plugins, **document) -> Plan:
    return read_plan(document, Extras(plugins))


def chain(*plugins, place=-1, **document) -> Any:
    return description.show(plan(*plugins, **document))["chains"][place]


# -- the order ----------------------------------------------------------------------------------------


def test_shows_entries_by_rank_with_where_the_priority_is_from():
    slots = chain(Limit(minute=1), Entry(Key(key="k"), priority=950.5))["slots"]
    told = [(s["rank"], s["name"], s["priority"], s["class_priority"], s["priority_from"]) for s in slots]
    assert told == [(1, "key", 950.5, 1003, "entry"), (2, "limit", 901, 901, "class")]


def test_shows_before_and_after():
    slots = chain(Entry(Limit(minute=1), before=["key"]), Key(key="k"), Entry(Log(), after=("key",)))["slots"]
    told = [(slot["name"], slot["before"], slot["after"]) for slot in slots]
    assert told == [("limit", ["key"], []), ("key", [], []), ("log", [], ["key"])]


def test_shows_phases_and_where_a_wrap_cuts():
    slots = chain(Wrapper(), Log())["slots"]
    assert [(slot["phases"], slot["cuts"]) for slot in slots] == [
        (["wrap"], True),
        (["init_worker", "log"], False),
    ]


def test_shows_the_phases_that_only_a_variant_has():
    other = type("Other", (Plugin,), {"name": "limit", "log": lambda self, x: None})()
    (slot,) = chain(Limit(minute=1), Entry(other, consumer="alice"), consumers=[{"username": "alice"}])[
        "slots"
    ]
    assert slot["phases"] == ["access", "log"]


def test_shows_variants_the_most_specific_first_and_which_wins_when():
    plugins = [Entry(Limit(minute=1)), Entry(Limit(minute=2), consumer="alice", route="a", on_error="open")]
    told = chain(*plugins, consumers=[{"username": "alice"}], routes=[{"name": "a", "paths": ["/"]}], place=0)
    first, second = told["slots"][0]["variants"]
    assert (first["consumer"], first["route"], first["wins"]) == ("alice", "a", "if the consumer is alice")
    assert (first["on_error"], second["on_error"]) == ("open", "closed")
    assert second["wins"] == "otherwise"


def test_shows_conditions_in_code():
    entry = Entry(Limit(minute=1), consumer="alice", when=lambda x: True)
    (slot,) = chain(entry, consumers=[{"username": "alice"}])["slots"]
    assert slot["variants"][0]["wins"] == "if the consumer is alice and its `when` says so"


def test_an_entry_alone_always_wins():
    assert chain(Limit(minute=1))["slots"][0]["variants"][0]["wins"] == "always"


def test_shows_disabled_entries_as_such_and_in_no_chain():
    told = description.show(plan(Entry(Limit(minute=1), enabled=False)))
    assert [one["name"] for one in told["disabled"]] == ["limit"]
    assert told["chains"][0]["slots"] == []


ROUTES = [
    {
        "name": "a",
        "paths": ["/a"],
        "hosts": ["h"],
        "methods": ["GET"],
        "headers": {"x-a": ["1"]},
        "service": "s",
    },
    {"name": "b", "paths": ["/b"]},
]


def test_shows_each_route_and_then_requests_without_a_route():
    told = description.show(plan(Entry(Limit(minute=1), service="s"), Key(key="k"), routes=ROUTES))
    names = [(one["route"], [slot["name"] for slot in one["slots"]]) for one in told["chains"]]
    assert names == [("a", ["key", "limit"]), ("b", ["key"]), (None, ["key"])]
    assert told["unrouted"] == "pass"


def test_shows_the_conditions_and_the_service_of_a_route():
    told = chain(routes=ROUTES, place=0)
    assert told["service"] == "s"
    assert told["conditions"] == {
        "hosts": ["h"],
        "methods": ["GET"],
        "paths": ["/a"],
        "headers": {"x-a": ["1"]},
    }


def test_shows_one_route_if_it_is_named():
    assert [one["route"] for one in description.show(plan(routes=ROUTES), "b")["chains"]] == ["b"]


def test_shows_entries_that_another_one_always_hides():
    plugins = [Entry(Limit(minute=1)), Entry(Limit(minute=2), route="b")]
    told = description.show(plan(*plugins, routes=ROUTES))["chains"]
    hidden = [[one["route"] for one in each["shadowed"]] for each in told]
    assert hidden == [[], [None], []]


def test_chains_are_those_of_the_gateway():
    plugins = [Entry(Limit(minute=1)), Entry(Log(), route="b"), Entry(Key(key="k"), consumer="alice")]
    made = plan(*plugins, routes=ROUTES, consumers=[{"username": "alice"}])
    real = Dispatcher(made.entries, hello_app, made.runtime, made.routes, {}, "pass")
    for route, slots in description.chains(made):
        compiled = real.routed[id(route)] if route else real.unrouted
        assert [slot.entries for slot in slots] == [slot.entries for slot in compiled.slots]


def test_shows_warnings():
    entry = Entry(samples.Rewriter(), route="b")
    assert "runs in rewrite, before routing" in description.show(plan(entry, routes=ROUTES))["warnings"][0]


@pytest.mark.parametrize(("priority", "told"), [(1000000.0, 1000000), (0.5, 0.5), (float("-inf"), "-inf")])
def test_writes_a_priority_the_shortest_way(priority, told):
    assert description.number(priority) == told


def test_what_is_shown_is_plain_data():
    made = plan(Key(key="k"), Limit(minute=1), Wrapper(), routes=ROUTES)
    assert json.loads(json.dumps(description.show(made))) == description.show(made)


# -- secrets ------------------------------------------------------------------------------------------


@config
class _Inner:
    token: str = field("", help="Secret.", secret=True, empty=True)
    name: str = field("", help="Not secret.", empty=True)


@config
class _Outer:
    inner: _Inner = field(_Inner(), help="More.")
    labels: dict[str, Any] = field({}, help="Anything.")
    networks: list[Network] = field([], help="Networks.")
    pattern: Pattern | None = field(None, help="A pattern.")
    secret: str | None = field("default", help="None is no secret.", secret=True)
    url: str | None = field(None, help="A URL.", aliases=("uri",))


class Many(Plugin):
    name, Config = "many", _Outer

    def access(self, x: Any) -> None:
        """Do nothing."""


def shown(**fields):
    (slot,) = chain(Many(**fields))["slots"]
    return slot["variants"][0]["config"]


def test_fields_at_their_defaults_are_not_shown():
    assert shown() == {}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"inner": {"token": "t", "name": "n"}}, {"inner": {"token": "...", "name": "n"}}),
        ({"secret": "s"}, {"secret": "..."}),
        ({"secret": None}, {"secret": None}),
        ({"labels": {"a": [1, True, None, 0.5]}}, {"labels": {"a": [1, True, None, 0.5]}}),
        ({"networks": ["10.0.0.0/8"]}, {"networks": ["10.0.0.0/8"]}),
        ({"pattern": "a+"}, {"pattern": "a+"}),
        ({"url": "redis://user:pass@host/0?password=x"}, {"url": "redis://***@host/0"}),
        ({"url": "who@example.org"}, {"url": "who@example.org"}),
    ],
)
def test_shows_configurations_as_plain_data_without_secrets(fields, told):
    assert shown(**fields) == told


@pytest.mark.parametrize("name", ["url", "uri"])
def test_values_from_the_environment_are_not_shown(tmp_path, name):
    file = tmp_path / "gateway.json"
    entry = {"name": f"{__name__}:Many", "config": {"labels": {"a": ["${TOKEN}", "plain"]}, name: "${TOKEN}"}}
    file.write_text(json.dumps({"plugins": [entry]}))
    made = read_plan(load(str(file), environ={"TOKEN": "from-outside"}))
    (variant,) = description.show(made)["chains"][0]["slots"][0]["variants"]
    assert variant["config"] == {"labels": {"a": ["...", "plain"]}, "url": "..."}


def test_values_from_the_environment_are_not_shown_in_a_foreign_document_either(tmp_path):
    # The first plugin of the list is not the first entry: those of services come before.
    file = tmp_path / "kong.yml"
    file.write_text(
        "_format_version: '3.0'\n"
        "plugins:\n- {name: request-termination, config: {message: '${TOKEN}'}}\n"
        "services:\n- name: s\n  url: http://127.0.0.1:1\n"
        "  plugins:\n  - {name: correlation-id}\n"
    )
    kong = read_plan(load(str(file), environ={"TOKEN": "from-outside"}))
    (entry,) = [entry for entry in kong.entries if entry.name == "request-termination"]
    assert description.shown_config(kong.document, entry) == {"message": "..."}


def test_a_configuration_that_is_no_attrs_class_is_not_shown():
    plugin = Limit(minute=1)
    plugin.config = object()
    assert description.shown_config(Document({}), Entry(plugin)) == {}


def test_the_password_of_the_store_is_not_shown():
    assert description.show(plan(store="redis://me:secret@host/0"))["store"] == "redis://***@host/0"


def test_a_store_given_in_code_is_not_shown():
    from plugmw.stores import open_store

    made = read_plan({}, Extras(store=open_store("memory://")))
    assert description.show(made)["store"] is None


# -- plugins ------------------------------------------------------------------------------------------


class FakeCatalogue(Catalogue):
    """Some plugins of these tests, one that needs an extra, one that is broken."""

    found = {"limit": Limit, "log": Log, "many": Many}

    def names(self):
        return dict.fromkeys([*self.found, "needy", "broken"], "plugins")

    def find(self, name):
        if name == "needy":
            what = "needs the library ldap3, which is not installed"
            raise LoadError(name, what, "pip install 'plugmw[ldap]'")
        if name == "broken":
            raise LoadError(name, "ValueError: x")
        return self.found[name]


def test_plugins_are_listed_in_running_order():
    told = description.plugins(FakeCatalogue())
    assert [one["name"] for one in told] == ["limit", "log", "many", "broken", "needy"]
    assert told[1] == {
        "name": "log",
        "priority": 9,
        "version": "0.1.0",
        "phases": ["init_worker", "log"],
        "source": "plugins",
        "summary": "Plugins for the tests of ``inspect``, ``explain`` and the command line.",
        "problem": None,
        "remedy": None,
    }


def test_a_plugin_whose_extra_is_missing_is_listed_with_the_extra():
    needy = description.plugins(FakeCatalogue())[-1]
    assert (needy["problem"], needy["remedy"]) == (
        "needs the library ldap3, which is not installed",
        "pip install 'plugmw[ldap]'",
    )


def test_every_bundled_plugin_is_listed_with_a_summary():
    told = {one["name"]: one for one in description.plugins(Catalogue())}
    assert told["ip-restriction"]["summary"].startswith("Let requests through or refuse them")
    assert all(one["summary"].endswith(".") for one in told.values() if one["problem"] is None)


def test_a_summary_is_the_first_line_about_the_class():
    assert description.summary(Key) == "Let requests with the key through."


def test_a_summary_is_of_the_module_where_the_class_only_names_its_phases():
    from plugmw.contrib.ip_restriction import IPRestriction

    assert (
        description.summary(IPRestriction) == "Let requests through or refuse them by the client's address."
    )


def test_a_plugin_without_any_docstring_has_no_summary(monkeypatch):
    monkeypatch.setattr(samples, "__doc__", None)
    assert description.summary(Limit) == ""


# -- schema -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validator():
    found = description.file_schema(FakeCatalogue())
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(json.loads(json.dumps(found)))


GOOD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a plugin with its fields": {"plugins": [{"name": "limit", "config": {"minute": 5}}]},
    "a plugin nobody knows yet": {"plugins": [{"name": "my_module:Class", "config": {"any": [1]}}]},
    "placeholders": {
        "max_request_body": "${SIZE}",
        "unrouted": "${UNROUTED:-pass}",
        "plugins": [{"name": "limit", "enabled": "${ON}", "config": {"minute": "${MINUTE}"}}],
    },
    "a plugin without fields": {"plugins": [{"name": "log", "tags": ["x"], "priority": None}]},
    "routes and consumers": {
        "routes": ROUTES,
        "consumers": [{"username": "alice", "keyauth_credentials": [{"key": "k", "ttl": 5}]}],
    },
    "a number of proxies": {"trusted": 1},
    "networks of proxies": {"trusted": ["10.0.0.0/8"], "folders": [{"path": "plugins"}]},
    "all kinds of fields": {"plugins": [{"name": "many", "config": {"inner": {"token": "t"}, "labels": {}}}]},
}
BAD: dict[str, dict[str, Any]] = {
    "an unknown key": {"plugin": []},
    "an unknown key of an entry": {"plugins": [{"name": "limit", "confg": {}}]},
    "an entry without a name": {"plugins": [{"config": {}}]},
    "an unknown field": {"plugins": [{"name": "limit", "config": {"minute": 1, "hour": 1}}]},
    "a field of the wrong type": {"plugins": [{"name": "limit", "config": {"minute": "5"}}]},
    "a required field is missing": {"plugins": [{"name": "limit", "config": {}}]},
    "a required configuration is missing": {"plugins": [{"name": "limit"}]},
    "a field of a plugin without any": {"plugins": [{"name": "log", "config": {"a": 1}}]},
    "an unknown choice": {"unrouted": "refuse"},
    "a number below its limit": {"max_response_body": 0},
    "a method in small letters": {"routes": [{"name": "a", "methods": ["get"]}]},
    "a method that is a number": {"routes": [{"name": "a", "methods": [1]}]},
    "an unknown credential field": {"consumers": [{"username": "a", "keyauth_credentials": [{"kee": "k"}]}]},
}


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD)
def test_schema_accepts(validator, document):
    validator.validate(document)


@pytest.mark.parametrize("document", BAD.values(), ids=BAD)
def test_schema_refuses(validator, document):
    assert not validator.is_valid(document)


@pytest.mark.parametrize(
    "name", [name for name in BAD if "limit" not in str(BAD[name]) and "log" not in str(BAD[name])]
)
def test_what_the_schema_refuses_the_reader_refuses_too(name):
    with pytest.raises(ConfigErrors):
        plan(**BAD[name])


def test_schema_has_descriptions_and_defaults():
    found = description.file_schema(FakeCatalogue())
    assert found["properties"]["routes"]["description"] == "Routes that entries can be limited to."
    assert found["properties"]["store"]["default"] == "auto"
    assert found["properties"]["plugins"]["default"] == []
    assert found["properties"]["max_request_body"]["description"].startswith("Bytes")
    limit = found["$defs"]["plugin limit"]["properties"]
    assert limit["minute"]["description"] == "Requests per minute."


def test_schema_offers_the_known_names():
    entry = description.file_schema(FakeCatalogue())["properties"]["plugins"]["items"]
    assert entry["properties"]["name"]["anyOf"][0]["enum"] == ["broken", "limit", "log", "many", "needy"]


@pytest.mark.slow
def test_schema_without_any_plugin_is_one_too(monkeypatch):
    monkeypatch.setattr(FakeCatalogue, "found", {})
    found = description.file_schema(FakeCatalogue())
    Draft202012Validator.check_schema(found)
    assert "allOf" not in found["properties"]["plugins"]["items"]


@pytest.mark.slow
def test_schema_of_the_bundled_plugins_is_one():
    found = description.file_schema(Catalogue())
    Draft202012Validator.check_schema(found)
    json.dumps(found)
