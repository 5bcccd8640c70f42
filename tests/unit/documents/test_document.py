"""Documents: places, origins, and messages that never show what the environment gave."""

from pathlib import Path

import pytest

from plugmw.documents import Document, Origin, load
from plugmw.documents.document import parse_place, render_place

PLACES = {
    "root": ((), ""),
    "key": (("store",), "store"),
    "index": (("plugins", 2, "config", "minute"), "plugins[2].config.minute"),
    "dash": (("headers", "X-Foo"), "headers.X-Foo"),
    "dot in a key": (("routes", "a.b", "methods"), 'routes["a.b"].methods'),
    "quote in a key": (('a"b', 0), '["a\\"b"][0]'),
    "digits as a key": (("status", "404"), "status.404"),
    "empty key": (("a", ""), 'a[""]'),
}


@pytest.mark.parametrize(("place", "text"), PLACES.values(), ids=PLACES)
def test_a_place_is_printed_and_read_back(place, text):
    assert render_place(place) == text
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["a..", "[x", "a]"])
def test_what_is_no_printed_place_is_one_key(text):
    assert parse_place(text) == (text,)


def test_a_badly_quoted_key_is_kept_as_it_is():
    assert parse_place('a["\\x"]') == ("a", '"\\x"')


@pytest.fixture
def document(tmp_path, monkeypatch):
    """A file with a typed secret, a secret inside a text, an override and plain values."""
    monkeypatch.chdir(tmp_path)
    Path("gateway.yaml").write_text(
        "store: redis://:${PASSWORD}@${HOST}\n"
        "plugins:\n- name: cors\n  config: {minute: '${MINUTE}', hour: 5}\n"
    )
    environ = {
        "PASSWORD": "hunter2hunter2",
        "HOST": "db",
        "MINUTE": "-5",
        "PLUGMW__PLUGINS__0__CONFIG__DAY": "1e3",
    }
    return load("gateway.yaml", environ=environ)


def test_a_value_error_has_file_place_problem_and_expectation(document):
    error = document.error(("plugins", 0, "config", "hour"), "got 5", "a number above 5")
    assert str(error) == "gateway.yaml: plugins[0].config.hour: got 5, expected a number above 5"


def test_an_error_takes_the_place_as_text_too(document):
    error = document.error("plugins[0].config.minute", "got -5", "a number above 0")
    found = "got a value from ${MINUTE}, expected a number above 0"
    assert str(error) == f"gateway.yaml: plugins[0].config.minute: {found}"


def test_an_error_about_an_override_names_the_variable(document):
    name = "PLUGMW__PLUGINS__0__CONFIG__DAY"
    error = document.error(("plugins", 0, "config", "day"), "got 1000.0")
    assert str(error) == f"${name}: plugins[0].config.day: got a value from ${{{name}}}"


def test_an_error_about_two_variables_names_both(document):
    error = document.error("store", "got 'redis://:hunter2hunter2@db'", "a URL")
    assert str(error) == "gateway.yaml: store: got a value from ${PASSWORD} and ${HOST}, expected a URL"


HIDDEN = {
    "whole value": ("store", "cannot reach redis://:hunter2hunter2@db now", "cannot reach ${HOST} now"),
    "part of the value": ("store", "no password 'hunter2hunter2'", "no password '${PASSWORD}'"),
    "short part, own place": ("store", "no host db in dbase", "no host ${HOST} in dbase"),
    "short value, own place": ("plugins[0].config.minute", "is -5", "is ${MINUTE}"),
    "short value, container": ("plugins[0].config", "got {'minute': -5}", "got {'minute': ${MINUTE}}"),
    "typed override": (
        "plugins[0].config", "has day 1000.0", "has day ${PLUGMW__PLUGINS__0__CONFIG__DAY}"
    ),
    "short word elsewhere": ("plugins[0].name", "no plugin db", "no plugin db"),
    "long word elsewhere": ("plugins[0].name", "not hunter2hunter2", "not ${PASSWORD}"),
}  # fmt: skip


@pytest.mark.parametrize(("place", "problem", "shown"), HIDDEN.values(), ids=HIDDEN)
def test_what_the_environment_gave_is_hidden_in_a_problem(document, place, problem, shown):
    assert document.error(place, problem).problem == shown


def test_what_the_environment_gave_is_hidden_in_an_expectation(document):
    assert document.error("store", "is odd", "not hunter2hunter2").expected == "not ${PASSWORD}"


def test_an_escaped_secret_is_hidden_too():
    document = Document({"key": "a\nb"}, "gateway.yaml")
    document.put(("key",), "line1\nline2", Origin("gateway.yaml", (("KEY", "line1\nline2"),)))
    assert document.error("key", "no key 'line1\\nline2'").problem == "no key '${KEY}'"


def test_an_empty_secret_does_not_spoil_the_message():
    document = Document({})
    document.put(("key",), "", Origin("gateway.yaml", (("KEY", ""),)))
    assert document.error("key", "is empty").problem == "is empty"


SECRETS = {
    "placeholder": ("plugins[0].config.minute", True),
    "text around placeholders": ("store", True),
    "override": ("plugins[0].config.day", True),
    "typed in the file": ("plugins[0].config.hour", False),
    "container of secrets": ("plugins[0].config", False),
    "not there": ("plugins[7].x", False),
}


@pytest.mark.parametrize(("place", "secret"), SECRETS.values(), ids=SECRETS)
def test_a_value_is_secret_when_the_environment_gave_it(document, place, secret):
    assert document.is_secret(place) is secret


def test_the_origin_is_the_file_or_the_override(document):
    assert document.origin(("plugins", 0, "config", "minute")).source == "gateway.yaml"
    assert document.origin("plugins[0].config.minute").variables == ("MINUTE",)
    assert str(document.origin("plugins[0].config.day")) == "$PLUGMW__PLUGINS__0__CONFIG__DAY"


def test_the_text_of_a_typed_variable_is_kept(document):
    assert document.text("plugins[0].config.day") == "1e3"
    assert document.text("plugins[0].config.hour") is None
    assert document.text("store") is None


def test_an_ancestor_from_the_environment_is_the_origin_of_what_is_in_it(tmp_path):
    path = tmp_path / "gateway.json"
    path.write_text('{"store": {"url": "${NOT_SET}"}}')
    document = load(path, environ={"PLUGMW__STORE": '{"password": "pw"}'})
    assert document.is_secret("store.password")
    assert document.error("store.password", "is pw").problem == "is ${PLUGMW__STORE}"


def test_putting_a_container_forgets_the_origins_in_the_old_one():
    document = Document({"a": {}})
    document.put(("a", "b"), 1, Origin("old"))
    document.put(("a",), {"b": 2}, Origin("new"))
    assert document.origin("a.b").source == "new"


def test_putting_makes_the_containers_on_the_way():
    document = Document({})
    document.put(("plugins", 0, "name"), "cors", Origin("$X"))
    assert document.data == {"plugins": [{"name": "cors"}]}
    assert document.origin(("plugins", 0)).source == "$X"


def test_no_repr_shows_a_secret(document):
    assert "hunter2" not in repr(document) + repr(document.origin("store"))
    assert repr(document) == "<Document gateway.yaml>"
    assert repr(Document({})) == "<Document <mapping>>"


def test_an_error_in_a_mapping_has_no_source():
    document = load({"store": 5})
    assert str(document.error("store", "got 5", "a URL")) == "store: got 5, expected a URL"
    assert str(document.origin("store")) == "<mapping>"
