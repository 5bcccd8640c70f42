"""references: what stands for a secret in a configuration, and that every secret field takes it."""

from __future__ import annotations

import os

import pytest

from plugmw.errors import ConfigErrors
from plugmw.schema import build, config, field, matches
from plugmw.schema.references import LONGEST, Unresolved, is_reference, resolve

SECRET = "correct-horse"


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("PLUGMW_TEST_KEY", SECRET)
    monkeypatch.setenv("PLUGMW_TEST_EMPTY", "")
    monkeypatch.setenv("PLUGMW_TEST_NESTED", "{env://PLUGMW_TEST_KEY}")
    monkeypatch.setitem(os.environ, "PLUGMW_TEST_BYTES", "\udcff")
    monkeypatch.delenv("PLUGMW_TEST_UNSET", raising=False)


# -- resolving ---------------------------------------------------------------------------------------------

PLAIN = ["", SECRET, "a{env://B}", "{env://B} ", "{ENV://B}", "env://B", "{}", "{a}", "{a://{b}}"]


@pytest.mark.parametrize("text", PLAIN)
def test_any_other_text_is_what_it_is(text):
    assert not is_reference(text)
    assert resolve(text) == text


@pytest.mark.parametrize("value", [5, None, ["{env://B}"]])
def test_what_is_no_text_is_no_reference(value):
    assert not is_reference(value)


def test_a_variable_is_read():
    assert resolve("{env://PLUGMW_TEST_KEY}") == SECRET


def test_what_a_variable_holds_is_not_a_reference_again():
    assert resolve("{env://PLUGMW_TEST_NESTED}") == "{env://PLUGMW_TEST_KEY}"


FILES = {
    "as it is": (b"key", "key"),
    "one line end is cut": (b"key\n", "key"),
    "a line end of Windows too": (b"key\r\n", "key"),
    "only one is": (b"key\n\n", "key\n"),
    "blanks stay": (b" k\n e y ", " k\n e y "),
    "UTF-8": ("clé".encode(), "clé"),
    "as long as may be": (b"k" * LONGEST, "k" * LONGEST),
}


@pytest.mark.parametrize(("content", "value"), FILES.values(), ids=FILES)
def test_a_file_is_read(tmp_path, content, value):
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert resolve(f"{{file://{path}}}") == value


BAD = {
    "variable that is not set": ("{env://PLUGMW_TEST_UNSET}", "{env://PLUGMW_TEST_UNSET} is not set"),
    "variable that is empty": ("{env://PLUGMW_TEST_EMPTY}", "{env://PLUGMW_TEST_EMPTY} is empty"),
    "variable that is no text": ("{env://PLUGMW_TEST_BYTES}", "{env://PLUGMW_TEST_BYTES} is not UTF-8"),
    "no name of a variable": ("{env://A-B}", "got {env://A-B}"),
    "no name": ("{env://}", "got {env://}"),
    "path that depends on where the process runs": ("{file://secret}", "got {file://secret}"),
    "file that is not there": (
        "{file:///nowhere/secret}",
        "{file:///nowhere/secret} cannot be read: no such file or directory",
    ),
    "path with NUL": ("{file:///a\0b}", "{file:///a\0b} cannot be read: embedded null byte"),
    "no file": ("{file:///dev/null}", "{file:///dev/null} is not a regular file"),
    "kind that nobody knows": ("{vault://env/key}", "got {vault://env/key}"),
}


@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD)
def test_says_what_is_wrong_with_a_reference(text, problem):
    assert is_reference(text)
    with pytest.raises(Unresolved) as caught:
        resolve(text)
    assert caught.value.problem == problem


BAD_FILES = {
    "empty": (b"\n", "is empty"),
    "no text": (b"\xff", "is not UTF-8"),
    "too long": (b"k" * (LONGEST + 1), f"is longer than {LONGEST} bytes"),
}


@pytest.mark.parametrize(("content", "problem"), BAD_FILES.values(), ids=BAD_FILES)
def test_says_what_is_wrong_with_a_file(tmp_path, content, problem):
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(Unresolved) as caught:
        resolve(f"{{file://{path}}}")
    assert caught.value.problem == f"{{file://{path}}} {problem}"


# -- in configurations -------------------------------------------------------------------------------------


@config
class Inner:
    token: str = field(secret=True, help="A secret inside.")


@config
class Many:
    password: str | None = field(None, matches("[a-z-]+", "small letters"), secret=True, help="A secret.")
    keys: list[str] = field([], secret=True, help="Secrets.")
    headers: dict[str, str] = field({}, secret=True, help="Secrets by name.")
    either: str | int | None = field(None, secret=True, help="A secret or a number.")
    name: str | None = field(None, help="No secret.")
    inner: Inner | None = field(None, help="A mapping.")


KEY = "{env://PLUGMW_TEST_KEY}"


def test_every_secret_may_be_a_reference():
    made = build(
        Many,
        {"password": KEY, "keys": ["a", KEY], "headers": {"X": KEY}, "either": KEY, "inner": {"token": KEY}},
        "test",
    )
    assert (made.password, made.keys, made.headers) == (SECRET, ["a", SECRET], {"X": SECRET})
    assert (made.either, made.inner.token) == (SECRET, SECRET)


def test_what_is_no_secret_stays_as_it_is():
    assert build(Many, {"name": KEY}, "test").name == KEY


MESSAGES = {
    "not set": (
        {"password": "{env://PLUGMW_TEST_UNSET}"},
        "test: password: {env://PLUGMW_TEST_UNSET} is not set, expected it in the environment",
    ),
    "in a list": (
        {"keys": ["{vault://x}"]},
        "test: keys[0]: got {vault://x}, expected {env://NAME} or {file:///absolute/path}",
    ),
    "in a mapping inside": (
        {"inner": {"token": "{env://PLUGMW_TEST_EMPTY}"}},
        "test: inner.token: {env://PLUGMW_TEST_EMPTY} is empty, expected at least one character",
    ),
    "a value that does not do": (
        {"password": "{env://PLUGMW_TEST_NESTED}"},
        "test: password: got a value from {env://PLUGMW_TEST_NESTED}, expected small letters",
    ),
    "one of several types": (
        {"either": "{env://PLUGMW_TEST_UNSET}"},
        "test: either: got a value from {env://PLUGMW_TEST_UNSET}, expected a string or an integer",
    ),
    "no reference": ({"password": "SECRET"}, "test: password: got a secret value, expected small letters"),
}


@pytest.mark.parametrize(("data", "message"), MESSAGES.values(), ids=MESSAGES)
def test_messages_name_the_reference_and_never_the_value(data, message):
    with pytest.raises(ConfigErrors) as caught:
        build(Many, data, "test")
    assert str(caught.value) == message
