"""Schema tables as configuration classes; failures in Kong's words; the error object."""

from __future__ import annotations

import pytest

from plugmw.dialects.kong.schema import as_plain, config_class, schema_violation, violation
from plugmw.dialects.kong.schema.typedefs import TYPEDEFS
from plugmw.errors import LoadError
from plugmw.schema import Nothing, build, config, field, fields_of, json_schema, read


def table(*listed, **more):
    return {"name": "x", "fields": [{"config": {"type": "record", "fields": list(listed), **more}}]}


def made(*listed, **more):
    return config_class("my-plugin", table(*listed, **more))


def told(cls, data):
    """Return what Kong tells of wrong data, without the name of the record."""
    found = violation(cls, data, "")
    return found["fields"] if found else {}


def test_a_table_becomes_a_configuration_class():
    cls = made(
        {"my_file_path": {"type": "string", "required": True, "description": "Where it is."}},
        {"reopen": {"type": "boolean", "default": False}},
    )
    found = build(cls, {"my_file_path": "/a"}, "here")
    assert (found.my_file_path, found.reopen, found["reopen"]) == ("/a", False, False)
    assert (found.get("reopen"), found.get("none", 5)) == (False, 5)
    assert cls.__name__ == "MyPluginConfig"
    assert json_schema(cls)["properties"]["my_file_path"]["description"] == "Where it is."


@pytest.mark.parametrize("empty", [[], {}, [{"protocols": {}}]])
def test_a_table_without_config_takes_nothing(empty):
    assert config_class("x", {"fields": empty}) is Nothing


# -- types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "good", "bad", "text"),
    [
        ({"type": "string"}, ["a"], [5, True, []], "expected a string"),
        ({"type": "integer"}, [5, 5.0], ["5", 1.5, True, float("inf"), float("nan")], "expected an integer"),
        ({"type": "number"}, [5, 1.5], ["5", True, float("inf")], "expected a number"),
        ({"type": "boolean"}, [True], ["true", 1, 0], "expected a boolean"),
        ({"type": "array", "elements": {"type": "string"}}, [["a"], []], ["a", {}], "expected an array"),
        ({"type": "set", "elements": {"type": "string"}}, [["a"]], ["a", 5], "expected a set"),
        ({"type": "map"}, [{"a": 1}], [[], "a"], "expected a map"),
        ({"type": "record", "fields": []}, [{}], [[], "a"], "expected a record"),
        ({"type": "foreign", "reference": "routes"}, ["id", {"id": "x"}], [5], "expected a record"),
        ({"type": "function"}, [print], ["a"], "expected a function"),
        ({"type": "any"}, ["a", 5, [], {}], [], ""),
        ({"type": "json"}, ["a", 5, [], {}], [], ""),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_a_type_is_taken_exactly(definition, good, bad, text):
    cls = made({"a": definition})
    for value in good:
        assert told(cls, {"a": value}) == {}
    for value in bad:
        assert told(cls, {"a": value}) == {"a": text}


def test_an_empty_text_is_refused_unless_the_table_allows_it():
    cls = made({"a": {"type": "string"}}, {"b": {"type": "string", "len_min": 0}})
    assert told(cls, {"a": "", "b": ""}) == {"a": "length must be at least 1"}


def test_what_is_missing_is_null_its_default_or_an_error():
    cls = made(
        {"a": {"type": "string"}},
        {"b": {"type": "array", "elements": {"type": "string"}, "default": ["x"]}},
        {"c": {"type": "string", "required": True}},
        {"d": {"type": "string", "required": True, "default": "y"}},
    )
    assert told(cls, {}) == {"c": "required field missing"}
    assert told(cls, {"a": None, "c": None, "d": None}) == {
        "c": "required field missing",
        "d": "required field missing",
    }
    first, second = build(cls, {"c": "z"}, "here"), build(cls, {"c": "z"}, "here")
    assert (first.a, first.b, first.d) == (None, ["x"], "y")
    assert first.b is not second.b


def test_a_required_record_is_filled_from_its_own_defaults():
    inner = [{"host": {"typedef": "host"}}, {"port": {"typedef": "port", "default": 6379}}]
    cls = made(
        {"redis": {"type": "record", "required": True, "fields": inner}},
        {"other": {"type": "record", "fields": inner}},
        {"third": {"type": "record", "fields": inner, "default": {"host": "a"}}},
    )
    found = build(cls, {}, "here")
    assert (found.redis.port, found.other, found.third.host, found.third.port) == (6379, None, "a", 6379)
    defaults = {field.name: field.default for field in fields_of(cls)}
    assert (defaults["redis"].port, defaults["other"]) == (6379, None)


def test_a_record_with_a_field_that_is_needed_has_no_default():
    cls = made(
        {"r": {"type": "record", "required": True, "fields": [{"a": {"type": "string", "required": True}}]}}
    )
    assert json_schema(cls)["required"] == ["r"]
    assert told(cls, {}) == {"r": {"a": "required field missing"}}


def test_a_set_loses_what_is_double_and_an_integer_its_fraction():
    cls = made({"s": {"type": "set", "elements": {"type": "integer"}}}, {"m": {"type": "map"}})
    found = build(cls, {"s": [2, 1.0, 2], "m": {"a": 1.5}}, "here")
    assert (found.s, found.m) == ([2, 1], {"a": 1.5})
    assert type(found.s[1]) is int


def test_null_may_be_asked_for_or_forbidden():
    cls = made(
        {"a": {"typedef": "no_route"}}, {"b": {"type": "any", "ne": None}}, {"c": {"type": "any", "eq": 1}}
    )
    assert told(cls, {"a": "r", "b": None, "c": None}) == {
        "a": "value must be null",
        "b": "value must not be null",
        "c": "value must be 1",
    }


def test_a_vault_reference_is_not_checked_where_it_may_be():
    cls = made(
        {"a": {"type": "string", "referenceable": True, "len_max": 2}},
        {"b": {"type": "string", "len_max": 2}},
    )
    reference = "{vault://env/secret}"
    assert told(cls, {"a": reference, "b": reference}) == {"b": "length must be at most 2"}


def test_shorthands_are_put_in_their_place():
    cls = made(
        {"redis": {"type": "record", "fields": [{"host": {"type": "string"}}]}},
        shorthand_fields=[{"host": {"type": "string", "func": lambda value: {"redis": {"host": value}}}}],
    )
    assert build(cls, {"host": "a"}, "here").redis.host == "a"
    assert build(cls, {"redis": {"host": "b"}}, "here").redis.host == "b"


@pytest.mark.parametrize("name", TYPEDEFS)
def test_every_typedef_makes_a_field(name):
    assert fields_of(made({"a": {"typedef": name}}))[0].name == "a"


def test_fields_whose_names_python_does_not_take_have_others():
    names = ["a-b", "class", "1st", "get", "a.b", "_"]
    cls = made(*({name: {"type": "integer"}} for name in names))
    found = build(cls, {name: place for place, name in enumerate(names)}, "here")
    assert [field.name for field in fields_of(cls)] == ["a_b", "class_", "n1st", "get_", "a_b_", "field"]
    assert [found[name] for name in names] == list(range(len(names)))
    assert as_plain(found) == {name: place for place, name in enumerate(names)}


def test_an_object_gives_back_its_table():
    cls = made(
        {"r": {"type": "record", "fields": [{"a": {"type": "string"}}]}},
        {"l": {"type": "array", "elements": {"type": "map"}}},
    )
    data = {"r": {"a": "x"}, "l": [{"k": 1}]}
    assert as_plain(build(cls, data, "here")) == data
    assert as_plain((1, {2})) == [1, [2]]


# -- entity checks ---------------------------------------------------------------------------------------

AB = ({"a": {"type": "string"}}, {"b": {"type": "string"}}, {"c": {"type": "string", "referenceable": True}})
REDIS = {"if_field": "a", "if_match": {"eq": "redis"}, "then_field": "b", "then_match": {"required": True}}
NEEDED = {
    "if_field": "a",
    "if_match": {"one_of": ["x", "y"]},
    "then_at_least_one_of": ["b"],
    "then_err": "x needs %s",
    "else_match": {"eq": "z"},
    "else_then_at_least_one_of": ["c"],
}


def even(values):
    return None if len(values["a"] or "") % 2 == 0 else "a must be even"


@pytest.mark.parametrize(
    ("check", "data", "wrong"),
    [
        ({"at_least_one_of": ["a", "b"]}, {}, "at least one of these fields must be non-empty: 'a', 'b'"),
        ({"only_one_of": ["a", "b"]}, {}, "exactly one of these fields must be non-empty: 'a', 'b'"),
        ({"distinct": ["a", "b"]}, {"a": "x", "b": "x"}, "values of these fields must be distinct: 'a', 'b'"),
        ({"mutually_required": ["a", "b"]}, {"a": "x"}, "all or none of these fields must be set: 'a', 'b'"),
        (
            {"mutually_exclusive": ["a", "b"]},
            {"a": "x", "b": "y"},
            "only one or none of these fields must be set: 'a', 'b'",
        ),
        (
            {"mutually_exclusive_sets": {"set1": ["a"], "set2": ["b", "c"]}},
            {"a": "x", "b": "y"},
            "these sets are mutually exclusive: ('a'), ('b')",
        ),
        ({"custom_entity_check": {"field_sources": ["a"], "fn": even}}, {"a": "x"}, "a must be even"),
        ({"conditional_at_least_one_of": NEEDED}, {"a": "x"}, "x needs 'b'"),
        (
            {"conditional_at_least_one_of": NEEDED},
            {"a": "z"},
            "at least one of these fields must be non-empty: 'c'",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) and value else "",
)
def test_an_entity_check_fails_for_the_record(check, data, wrong):
    assert told(made(*AB, entity_checks=[check]), data) == {"@entity": [wrong]}


@pytest.mark.parametrize(
    ("check", "data"),
    [
        ({"conditional": REDIS}, {"a": "redis", "b": "host"}),
        ({"conditional": REDIS}, {"a": "local"}),
        ({"conditional": REDIS}, {}),
        ({"conditional_at_least_one_of": NEEDED}, {"a": "x", "b": "1"}),
        ({"conditional_at_least_one_of": NEEDED}, {"a": "other"}),
        ({"conditional_at_least_one_of": {**NEEDED, "if_match": {"eq": "q"}}}, {"a": "z", "c": "1"}),
        ({"custom_entity_check": {"field_sources": ["a"], "fn": even}}, {"a": "xx"}),
        ({"mutually_exclusive_sets": {"set1": ["a"], "set2": ["b"]}}, {"a": "x"}),
        ({"mutually_required": ["a", "c"]}, {"c": "{vault://env/x}"}),
    ],
)
def test_an_entity_check_holds(check, data):
    assert told(made(*AB, entity_checks=[check]), data) == {}


def test_a_condition_tells_of_the_field_and_of_the_record():
    found = told(made(*AB, entity_checks=[{"conditional": REDIS}]), {"a": "redis"})
    assert found == {
        "b": "required field missing",
        "@entity": ["failed conditional validation given value of field 'a'"],
    }
    own = {**REDIS, "then_match": {"len_min": 3}, "then_err": "%s needs more"}
    found = told(made(*AB, entity_checks=[{"conditional": own}]), {"a": "redis", "b": "x"})
    assert found == {"b": "length must be at least 3", "@entity": ["a needs more"]}


def test_a_condition_may_be_on_a_field_inside():
    inner = {"type": "record", "required": True, "fields": [{"host": {"type": "string"}}]}
    check = {"conditional": {**REDIS, "then_field": "r.host"}}
    cls = made({"a": {"type": "string"}}, {"r": inner}, entity_checks=[check])
    assert told(cls, {"a": "redis"})["r"] == {"host": "required field missing"}
    assert told(cls, {"a": "redis", "r": "x"})["r"] == "expected a record"


def test_checks_beside_config_count_for_the_record():
    whole = table(*AB) | {
        "entity_checks": [
            {"at_least_one_of": ["config.a", "config.b"]},
            {"conditional": {**REDIS, "if_field": "config.a", "then_field": "config.b"}},
            {"at_least_one_of": ["route", "service"]},
        ]
    }
    cls = config_class("x", whole)
    assert told(cls, {}) == {"@entity": ["at least one of these fields must be non-empty: 'a', 'b'"]}
    assert "b" in told(cls, {"a": "redis"})


def test_a_check_that_needs_good_fields_waits_for_them():
    cls = made(*AB, entity_checks=[{"mutually_required": ["a", "b"]}])
    assert told(cls, {"a": 5}) == {"a": "expected a string"}


# -- tables that are none --------------------------------------------------------------------------------


def nested(depth):
    definition = {"type": "string"}
    for _ in range(depth):
        definition = {"type": "array", "elements": definition}
    return {"a": definition}


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ({"fields": 5}, "x: Schema: fields: got 5, expected a list"),
        ({}, "x: Schema: fields: got None, expected a list"),
        (table({"a": 5}), "x: Schema: x.config.a: got 5, expected a table with a type"),
        (table({"a": {}}), "x: Schema: x.config.a: type: got None, expected one of string"),
        (
            table({"a": {"typedef": "x"}}),
            "x: Schema: x.config.a: typedef: got 'x', expected one of http_method",
        ),
        (table("a"), "x: Schema: x.config: fields: got a, expected tables of one name and its definition"),
        (table({"a": {}, "b": {}}), "x: Schema: x.config: fields: got"),
        (
            table({"a": {"type": "record", "fields": 5}}),
            "x: Schema: x.config.a: fields: got 5, expected a list",
        ),
        (table({"a": {"type": "string", "match": "%b()"}}), "x: Schema: x.config.a.match: ValueError"),
        (table({"a": {"type": "string", "match_any": {}}}), "x: Schema: x.config.a.match_any: KeyError"),
        (
            table(entity_checks=[{"none": []}]),
            "x: Schema: x.config: entity_checks: got 'none', expected one of at",
        ),
        (table(entity_checks=[5]), "x: Schema: x.config: entity_checks: got 5"),
        (
            table(shorthand_fields=[{"a": {"type": "any"}}]),
            "x: Schema: x.config.a: shorthand_fields: no func",
        ),
        (table(nested(40)), "nested deeper than 30 levels"),
        (None, "x: Schema: fields: got None, expected a list"),
        (table({"a": {"type": "integer", "between": [1]}}), "x: Schema: ValueError: not enough values"),
        (
            table({"a": {"type": "record", "required": True, "default": "b"}}),
            "expected Kong's schema language",
        ),
    ],
)
def test_a_table_that_is_no_schema_is_refused_with_its_place(broken, text):
    with pytest.raises(LoadError) as caught:
        config_class("x", broken)
    assert text in str(caught.value)


def test_fields_may_be_a_mapping_as_go_pdk_writes_them():
    cls = config_class("x", {"fields": {"config": {"type": "record", "fields": {"a": {"type": "string"}}}}})
    assert told(cls, {"a": 5}) == {"a": "expected a string"}


# -- all that is wrong -----------------------------------------------------------------------------------

EVERYTHING = made(
    {"minute": {"type": "number", "gt": 0}},
    {"key": {"type": "string", "encrypted": True, "match": "^%d+$"}},
    {"methods": {"type": "array", "elements": {"typedef": "http_method"}}},
    {"headers": {"type": "map", "values": {"type": "array", "elements": {"type": "string"}}}},
    {"redis": {"type": "record", "required": True, "fields": [{"port": {"typedef": "port"}}]}},
    {"need": {"type": "string", "required": True}},
    entity_checks=[{"at_least_one_of": ["none", "other"]}],
)
WRONG = {
    "minute": "5",
    "key": "s3cret",
    "methods": ["GET", "get"],
    "headers": {"a": "b"},
    "redis": {"port": 70000, "prot": 1},
    "redsi": 1,
}


def test_all_problems_are_told_at_once_with_their_places_and_without_secrets():
    assert read(EVERYTHING, WRONG, ("config",))[1] == [
        (("config", "minute"), "got '5'", "a number"),
        (("config", "key"), "got a secret value: invalid value", None),
        (("config", "methods", 1), "got 'get': invalid value: get", None),
        (("config", "headers", "a"), "got 'b'", "an array"),
        (("config", "redis", "port"), "got 70000: value should be between 0 and 65535", None),
        (("config", "redis", "prot"), 'unknown field "prot"; did you mean "port"?', None),
        (("config", "redsi"), 'unknown field "redsi"; did you mean "redis"?', None),
        (("config", "need"), "missing", "a value of type string"),
        (("config",), "at least one of these fields must be non-empty: 'none', 'other'", None),
    ]


def test_the_error_object_is_kongs():
    found = violation(EVERYTHING, {**WRONG, "key": "1"})
    assert (found["code"], found["name"]) == (2, "schema violation")
    assert found["message"] == (
        "8 schema violations (config: at least one of these fields must be non-empty: 'none', 'other'; "
        "config.headers.a: expected an array; config.methods[2]: invalid value: get; "
        "config.minute: expected a number; config.need: required field missing; "
        "config.redis.port: value should be between 0 and 65535; config.redis.prot: unknown field; "
        "config.redsi: unknown field)"
    )
    assert found["fields"]["config"]["methods"] == [None, "invalid value: get"]
    assert violation(EVERYTHING, {"need": "a", "minute": 1})["message"].startswith(
        "schema violation (config: at"
    )


def test_a_table_may_be_judged_without_a_class():
    record = {"fields": [{"a": {"type": "string"}}]}
    assert violation(record, {"a": "x"}) is None
    assert violation(record, {"a": 5}, "")["message"] == "schema violation (a: expected a string)"


@config
class Inner:
    port: int = field(help="Port.")


@config
class Native:
    minute: float | None = field(None, help="Limit.")
    inner: Inner = field(help="Inner.")
    both: int | None = field(None, help="Both.")

    def check(self):
        yield "never both"
        yield "inner.port", "is taken"


def test_native_classes_have_the_error_object_too():
    found = violation(Native, {"minute": "5", "inner": {}, "x": 1})
    assert found["fields"]["config"] == {
        "minute": "expected a number",
        "inner": {"port": "required field missing"},
        "x": "unknown field",
    }
    assert violation(Native, {"inner": {"port": 1}})["fields"]["config"] == {
        "@entity": ["never both"],
        "inner": {"port": "is taken"},
    }


def test_a_failure_below_a_failure_is_left_out():
    from plugmw.dialects.kong.schema.engine import put_failure

    problems = {"a": "expected a record"}
    put_failure(problems, ("a", "b"), "x")
    assert problems == {"a": "expected a record"}


def test_elements_count_from_one_in_messages():
    assert schema_violation({"a": [None, "x"]})["message"] == "schema violation (a[2]: x)"


def test_a_text_field_gets_back_the_text_of_the_environment():
    cls = made(
        {"key": {"type": "string"}},
        {"m": {"type": "map", "values": {"type": "string"}}},
        {"l": {"type": "array", "elements": {"type": "string"}}},
        {"n": {"type": "integer"}},
    )
    found, problems = read(cls, {"key": 1, "m": {"a": 2}, "l": [3], "n": 4}, text=lambda path: str(path[-1]))
    assert problems == []
    assert (found.key, found.m, found.l, found.n) == ("key", {"a": "a"}, ["0"], 4)


def test_json_schema_tells_types_and_limits():
    cls = made(
        {"n": {"type": "integer", "between": [1, 5], "required": True}},
        {"s": {"type": "string", "one_of": ["a"], "len_max": 3, "default": "a"}},
        {"l": {"type": "set", "elements": {"type": "number", "gt": 0}}},
    )
    found = json_schema(cls)
    assert found["required"] == ["n"]
    assert found["properties"]["n"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 5,
        "description": "Field of type integer.",
    }
    assert found["properties"]["s"]["anyOf"][0]["enum"] == ["a"]
    assert found["properties"]["l"]["anyOf"][0]["items"] == {"type": "number", "exclusiveMinimum": 0}
