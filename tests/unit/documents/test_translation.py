"""What translations have in common: problems with their places, and keys that nothing reads."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from plugmw.documents import Document
from plugmw.documents.document import Origin
from plugmw.documents.shapes import Holds, described, fold, folded
from plugmw.documents.translation import Translation, Unread
from plugmw.schema import above, config, field


@config
class Item:
    size: int = field(0, above(-1), help="A number.")
    tags: list[str] = field([], help="Texts.")


@config
class File:
    name: str = field("", empty=True, help="A text.")
    one: Item = field(Item(), help="An item.")
    some: dict[str, Item] = field({}, help="Items by name.")
    many: list[Item] | None = field(None, help="Items.")
    apart: Annotated[Any, Holds(list[Item])] = field(None, help="Items that are read one by one.")
    exact: Annotated[dict[str, Any], Holds({"item": Item})] = field({}, help="Items by exact key.")
    free: dict[str, Any] = field({}, help="Data.")


class Dialect(Translation):
    blank = (None, "")


def translation(data):
    return Dialect(Document(data, "file.json"))


def told(problems):
    return [str(problem).removeprefix("file.json: ") for problem in problems]


def test_a_bad_value_is_reported_and_stands_as_if_it_was_not_given():
    data = {
        "name": 5,
        "one": {"size": "x", "tags": ["a"]},
        "some": {"a": {"size": -2}, "b": {"size": 2}},
        "many": [{"size": 1}, {"tags": [5]}],
    }
    reading = translation(data)
    file = reading.part(File, data, ())
    assert told(reading.errors) == [
        "name: got 5, expected a string",
        "one.size: got 'x', expected an integer",
        "some.a.size: got -2, expected a number above -1",
        "many[1].tags[0]: got 5, expected a string",
    ]
    assert file == File(one=Item(tags=["a"]), some={"a": Item(), "b": Item(size=2)})
    assert data["one"] == {"size": "x", "tags": ["a"]}


def test_what_is_blank_or_unknown_is_not_read():
    data = {"name": None, "one": {"size": "", "other": 1}, "other": 1, "apart": [{"other": 1}]}
    reading = translation(data)
    assert reading.part(File, data, ()) == File(apart=[{"other": 1}])
    assert not reading.errors


@pytest.mark.parametrize("data", [5, None, []])
def test_a_part_is_a_mapping(data):
    reading = translation({})
    assert reading.part(Item, data, ("one",)) == Item()
    assert told(reading.errors) == [f"one: got {data!r}, expected a mapping"]


def test_a_part_whose_problem_is_no_value_of_it_is_empty():
    @config
    class Never:
        size: int = field(0, help="A number.")
        other: int = field(0, help="A number.")

        def check(self):
            if self.size:
                yield "other", "is missing"

    reading = translation({})
    assert reading.part(Never, {"size": 1}, ()) == Never()
    assert told(reading.errors) == ["other: is missing"]


def test_an_error_is_reported_once():
    reading = translation({})
    reading.error(("a",), "bad")
    reading.error(("a",), "bad")
    assert told(reading.errors) == ["a: bad"]


def test_errors_of_the_document_itself_are_among_those_of_the_translation():
    document = Document({})
    document.errors = [document.error(("a",), "bad")]
    assert told(Translation(document).translated().errors) == ["a: bad"]


def test_items_of_a_list_are_mappings():
    reading = translation({})
    assert list(reading.mappings([{"a": 1}, 5, {}], ("x",))) == [(("x", 0), {"a": 1}), (("x", 2), {})]
    assert not list(reading.mappings({"a": 1}, ("y",)))
    assert not list(reading.mappings(None, ("z",)))
    assert told(reading.errors) == [
        "x[1]: got 5, expected a mapping",
        "y: got {'a': 1}, expected a list",
    ]


def test_a_key_that_nothing_reads_is_reported_as_its_rule_says():
    rules = {"a": Unread("is left out"), "b": Unread("has no counterpart", "another", is_error=True)}
    reading = translation({})
    data = {"a": 1, "b": 2, "c": 3, "known": 4, "empty": ""}
    reading.unread({**data, "a ": None}, ("known",), ("x",), lambda key: rules.get(key))
    assert told(reading.errors) == ["x.b: has no counterpart, expected another"]
    assert told(reading.warnings) == ["x.a: is left out"]


def test_parts_of_the_result_have_the_places_of_the_original():
    reading = translation({"theirs": [{"x": 1}]})
    reading.add("plugins", {"name": "cors"}, ("theirs", 0), name=("theirs", 0, "x"))
    made = reading.translated()
    assert made.data == {"plugins": [{"name": "cors"}]}
    assert told([made.error(("plugins", 0, "name"), "bad")]) == ["theirs[0].x: bad"]
    assert told([made.error(("plugins", 0, "config"), "bad")]) == ["theirs[0].config: bad"]


# -- keys in any case -------------------------------------------------------------------------------


def test_keys_are_read_in_any_case_where_a_class_has_them():
    data = {
        "NAME": "x",
        "One": {"SIZE": 1},
        "Some": {"Key": {"Tags": []}},
        "apart": [{"Size": "x"}, 5],
        "Exact": {"item": {"Size": 1}, "Item": {"Size": 2}},
        "free": {"Name": 1},
        "Other": 1,
    }
    document = folded(Document(data, "file.json"), File)
    assert document.data == {
        "name": "x",
        "one": {"size": 1},
        "some": {"Key": {"tags": []}},
        "apart": [{"size": "x"}, 5],
        "exact": {"item": {"size": 1}, "Item": {"Size": 2}},
        "free": {"Name": 1},
        "Other": 1,
    }
    assert data["One"] == {"SIZE": 1}
    assert told([document.error(("one", "size"), "bad"), document.error(("apart", 0, "size"), "bad")]) == [
        "One.SIZE: bad",
        "apart[0].Size: bad",
    ]
    assert told([document.error(("exact", "item", "size"), "bad"), document.error("other", "bad")]) == [
        "Exact.item.Size: bad",
        "other: bad",
    ]


def test_a_document_that_is_spelled_as_the_class_stays_the_same():
    document = Document({"name": "x", "one": {}, "other": 1})
    assert folded(document, File) is document


def test_one_key_in_two_spellings_is_an_error():
    document = folded(Document({"one": {"size": 1, "Size": 2}}, "file.json"), File)
    assert document.data == {"one": {"size": 1}}
    assert told(document.errors) == ["one.Size: given beside 'size', expected only one of the two"]


def test_what_came_from_the_environment_stays_hidden():
    original = Document({"Name": "secret-text"}, "file.json")
    original.put(("Name",), "secret-text", Origin("file.json", (("VARIABLE", "secret-text"),), text="text"))
    document = folded(original, File)
    assert document.text(("name",)) == "text"
    assert told([document.error(("name",), "got 'secret-text'")]) == ["Name: got a value from ${VARIABLE}"]


@pytest.mark.parametrize("key", ["use_keyless", "USE_KEYLESS", "U\u017fe_keyless", "use_\u212aeyless"])
def test_keys_are_compared_as_go_compares_them(key):
    assert fold(key) == "use_keyless"


def test_the_parts_that_classes_describe_are_found():
    data = {"one": {"size": 1}, "apart": [{"size": 2}], "many": 5, "free": {"one": {}}}
    assert [place for place, *_ in described(File, data)] == [(), ("one",), ("apart", 0)]
    assert [place for place, *_ in described(File, data, inside=False)] == [(), ("one",)]
