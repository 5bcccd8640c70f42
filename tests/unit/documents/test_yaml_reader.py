"""YAML: 1.2 types, no tags, no cycles, bounded aliases, and the line of every refusal."""

import pytest
import yaml

from plugmw.documents import yaml_reader
from plugmw.documents.yaml_reader import parse_yaml
from plugmw.errors import ConfigError

LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])]


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__, autouse=True)
def loader(request, monkeypatch):
    """Run every test with the Python parser and with libyaml."""
    monkeypatch.setattr(yaml_reader, "Loader", request.param)


GOOD = {
    "yes and no": ("[yes, no, on, off, y]", ["yes", "no", "on", "off", "y"]),
    "booleans": ("[true, False]", [True, False]),
    "nulls": ("[null, ~, ]", [None, None]),
    "no value": ("a:", {"a": None}),
    "dates": ("[2026-01-01, 2026-01-01T10:00:00Z]", ["2026-01-01", "2026-01-01T10:00:00Z"]),
    "times": ("12:30", "12:30"),
    "octal": ("[0o17, 017]", [15, "017"]),
    "quoted": ("['5', \"true\"]", ["5", "true"]),
    "block": ("|\n  5\n", "5\n"),
    "tagged as text": ("[!!str 5, ! true]", ["5", "true"]),
    "keys are text": ("{404: a, on: b, ~: c, 1.0: d}", {"404": "a", "on": "b", "~": "c", "1.0": "d"}),
    "alias": ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
    "alias of a scalar": ("[&x 5, *x]", [5, 5]),
    "alias of a mapping": ("[&x {a: 1}, *x]", [{"a": 1}, {"a": 1}]),
    "alias of a key": ("{&x a: *x}", {"a": "a"}),
    "anchor given again": ("[&x 1, &x 2, *x]", [1, 2, 2]),
    "merge, own key wins": ("[&x {a: 1, b: 1}, {a: 2, <<: *x}]", [{"a": 1, "b": 1}, {"a": 2, "b": 1}]),
    "merge, first of several wins": ("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
    "quoted << is a key": ("{'<<': 1}", {"<<": 1}),
    "comments only": ("# nothing", None),
    "end marker": ("a: 1\n...\n", {"a": 1}),
}


@pytest.mark.parametrize(("text", "value"), GOOD.values(), ids=GOOD)
def test_reads(text, value):
    assert parse_yaml(text, "gateway.yaml") == value


def test_places_of_one_alias_share_nothing():
    data = parse_yaml("a: &x {b: [1]}\nc: *x\nd: {<<: *x}\n", "gateway.yaml")
    data["a"]["b"].append(2)
    assert data["c"] == data["d"] == {"b": [1]}


BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))

BAD = {
    "key twice": ("a: 1\nb: 2\na: 3\n", ':3: key "a" is given twice, expected each key once'),
    "key twice in other words": ("1: x\n'1': y\n", ':2: key "1" is given twice, expected each key once'),
    "merge twice": ("<<: {}\n<<: {}\n", ':2: key "<<" is given twice, expected each key once'),
    "merge of a scalar": ("a: 1\n<<: 3", ":2: << of something else, expected a mapping or a list of"),
    "python tag": (
        "a: !!python/object/apply:os.system [x]",
        ":1: a tag (! before a text), expected plain data without tags",
    ),
    "own tag": ("\na: !env HOME", ":2: a tag (! before a text), expected plain data without tags"),
    "tag on a key": ("!env a: 1", ":1: a key that is not plain text, expected keys that are text"),
    "list as key": ("? [a]\n: 1", ":1: a key that is not plain text, expected keys that are text"),
    "unknown alias": ("a: *x", ":1: an alias (* before a text), expected an anchor of that name before it"),
    "cycle": (
        "a: &x\n  - *x",
        ":2: an alias (* before a text) inside itself, expected a document without cycles",
    ),
    "two documents": ("a: 1\n---\nb: 2\n", ":2: a second document, expected one document in a file"),
    "alias bomb": (BOMB, ":6: aliases unfold to more than 100000 values, expected fewer aliases"),
    "deep by aliases": (CHAIN, ":100: nested deeper than 100 levels, expected a flatter document"),
    "deep flow": ("a: " + "[" * 20_000, ":1: nested deeper than 100 levels, expected a flatter document"),
    "deep block": (
        "".join(f"{' ' * depth}a:\n" for depth in range(150)),
        ":101: nested deeper than 100 levels, expected a flatter document",
    ),
    "delete character": ("a: é\nb: \x7f", ":2: character '\\x7f', expected text"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_refuses(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "gateway.yaml")
    assert str(caught.value).startswith("gateway.yaml" + message)


@pytest.mark.parametrize("text", ["\na: [1,\n", "\na: b: c", "\n\tb: 1", '\na: "'])
def test_a_syntax_error_has_its_line(text):
    with pytest.raises(ConfigError, match=r"^gateway\.yaml:[23]: not YAML: \w+"):
        parse_yaml(text, "gateway.yaml")


def test_a_syntax_error_without_a_mark_has_the_file(monkeypatch):
    error = yaml.MarkedYAMLError(problem="odd")
    monkeypatch.setattr(yaml, "parse", lambda *_, **__: (_ for _ in ()).throw(error))
    with pytest.raises(ConfigError, match=r"^gateway\.yaml: not YAML: odd$"):
        parse_yaml("a: 1", "gateway.yaml")
