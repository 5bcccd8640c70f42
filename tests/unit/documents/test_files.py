"""Files: three formats that say the same, and every bad file as a ConfigError."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plugmw.documents import fingerprint, load
from plugmw.documents.files import _toml_error, read
from plugmw.errors import ConfigError, ConfigErrors
from tests.support.servers import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that names are short and relative."""
    monkeypatch.chdir(tmp_path)


def write(name, content):
    """Write text or bytes and return the name."""
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


EXPECTED = {"store": "memory://", "plugins": [{"name": "cors", "config": {"minute": 60}}]}
FORMATS = {
    "gateway.json": '{"store": "memory://", "plugins": [{"name": "cors", "config": {"minute": 60}}]}',
    "gateway.yaml": "store: memory://\nplugins:\n- name: cors\n  config:\n    minute: 60\n",
    "gateway.YML": "{store: 'memory://', plugins: [{name: cors, config: {minute: 60}}]}",
    "gateway.toml": 'store = "memory://"\n[[plugins]]\nname = "cors"\nconfig.minute = 60\n',
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_data(name):
    document = load(write(name, FORMATS[name]), environ={})
    assert document.data == EXPECTED
    assert document.source == name


def test_a_path_object_is_a_source_too():
    assert load(Path(write("gateway.json", "{}")), environ={}).source == "gateway.json"


def test_none_is_an_empty_document():
    document = load(None)
    assert (document.data, document.source, document.files) == ({}, None, ())


def test_a_mapping_is_taken_as_it_is():
    environ = {"NAME": "x", "PLUGMW__STORE": "y"}
    document = load({"store": "${NAME} $$"}, environ=environ)
    assert (document.data, document.source) == ({"store": "${NAME} $$"}, None)


def test_dates_of_toml_become_text():
    write("gateway.toml", "a = 2026-01-01T10:00:00Z\nb = 2026-01-01\nc = 10:00:00\n")
    data = load("gateway.toml", environ={}).data
    assert data == {"a": "2026-01-01T10:00:00+00:00", "b": "2026-01-01", "c": "10:00:00"}


DEEP = "nested deeper than 100 levels, expected a flatter document"
BAD = {
    "json, empty": ("a.json", "", "a.json: is empty, expected a mapping"),
    "json, blank": ("a.json", " \n", "a.json: is empty, expected a mapping"),
    "yaml, comments": ("a.yaml", "# soon\n", "a.yaml: is empty, expected a mapping"),
    "toml, empty": ("a.toml", "", "a.toml: is empty, expected a mapping"),
    "json, list": ("a.json", "[]", "a.json: got a list at the top level, expected a mapping"),
    "json, number": ("a.json", "5", "a.json: got a number at the top level, expected a mapping"),
    "yaml, string": ("a.yaml", "hello", "a.yaml: got a string at the top level, expected a mapping"),
    "json, half": (
        "a.json",
        '{"a": 1,\n "b":',
        "a.json:2: not JSON at column 6: expecting value",
    ),
    "json, a template": (
        "a.json",
        '{\n "endpoints": {{ include "x" }}\n}',
        "a.json:2: not JSON at column 16, but a template, expected the file that KrakenD makes of it: "
        "FC_ENABLE=1 FC_OUT=krakend.json krakend check -c FILE",
    ),
    "a template": (
        "krakend.tmpl",
        "{}",
        "krakend.tmpl: is a template, expected the file that KrakenD makes of it: "
        "FC_ENABLE=1 FC_OUT=krakend.json krakend check -c FILE",
    ),
    "json, more": ("a.json", "{}\n{}", "a.json:2: not JSON at column 1: extra data"),
    "yaml, half": ("a.yaml", "a: [1,\n", None),
    "toml, half": ("a.toml", "a = [\n1,\n", "a.toml:3: not TOML: "),
    "toml, key twice": ("a.toml", "a = 1\na = 2\n", "a.toml:2: not TOML: cannot overwrite a value"),
    "toml, no quotes": (
        "a.toml",
        "a = ./lib\n",
        "a.toml:1: not TOML: invalid value, expected text in quotes",
    ),
    "json, key twice": (
        "a.json",
        '{"p": [{"k": 1, "k": 2}]}',
        'a.json: p[0]: key "k" is given twice, expected each key once',
    ),
    "json, NaN": ("a.json", '{"a": NaN}', "a.json: a: not a finite number, expected a number that JSON"),
    "json, Infinity": ("a.json", '{"a": -Infinity}', "a.json: a: not a finite number, "),
    "json, overflow": ("a.json", '{"a": 1e999}', "a.json: a: not a finite number, "),
    "toml, inf": ("a.toml", "a = inf", "a.toml: a: not a finite number, "),
    "json, digits": ("a.json", '{"a": %s}' % ("9" * 5000), "a.json: a number with too many digits, "),
    "toml, digits": ("a.toml", "a = " + "9" * 5000, "a.toml: a number with too many digits, "),
    "json, surrogate": ("a.json", '{"a": "\\ud800"}', "a.json: a: text with half a surrogate pair, "),
    "json, surrogate in a key": ("a.json", '{"\\ud800": 1}', "a.json: got key '\\ud800', expected keys that"),
    "json, deep": ("a.json", '{"a":' * 500 + "1" + "}" * 500, None),
    "json, very deep": ("a.json", '{"a":' + "[" * 100_000, "a.json: " + DEEP),
    "toml, very deep": ("a.toml", "a = " + "[" * 100_000, "a.toml: " + DEEP),
    "toml, deep key": ("a.toml", ".".join("a" * 500) + " = 1", "a.toml:1: " + DEEP),
    "toml, very deep key": ("a.toml", "b = 1\n'a'" + " . \"a\"" * 50_000 + " = 1", "a.toml:2: " + DEEP),
    "toml, very deep table": ("a.toml", "[ " + ".".join("a" * 50_000) + "]\nb = 1", "a.toml:1: " + DEEP),
    "toml, very deep inline": ("a.toml", f"b = {{c = 1, {'.'.join('a' * 50_000)} = 1}}", "a.toml:1: " + DEEP),
    "binary": ("a.yaml", b"a: \x00\x01", "a.yaml:1: control character '\\x00', expected a text file"),
    "not UTF-8": ("a.json", b'{"a":\n"caf\xe9"}', "a.json:2: byte 0xe9, expected UTF-8 text"),
    "byte order mark": (
        "a.json",
        b"\xef\xbb\xbf{}",
        "a.json:1: UTF-8 with a byte order mark, expected UTF-8 without a byte order mark",
    ),
    "UTF-16": ("a.yaml", "a: 1".encode("utf-16-le"), "a.yaml:1: control character"),
    "UTF-16 with mark": ("a.yaml", "\ufeffa: 1".encode("utf-16-be"), "a.yaml:1: UTF-16, expected UTF-8"),
    "UTF-32 with mark": ("a.yaml", "\ufeffa: 1".encode("utf-32-le"), "a.yaml:1: UTF-32, expected UTF-8"),
    "extension": ("a.ini", "a=1", 'a.ini: extension ".ini", expected .json, .yaml, .yml or .toml'),
    "no extension": ("gateway", "{}", "gateway: no extension, expected .json, .yaml, .yml or .toml"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_refuses_the_file(name, content, message):
    write(name, content)
    with pytest.raises(ConfigError) as caught:
        load(name, environ={})
    assert str(caught.value).startswith(message or name)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named_as_it_was_spelled():
    with pytest.raises(ConfigError) as caught:
        load("./conf/gateway.yaml", environ={})
    assert str(caught.value) == "./conf/gateway.yaml: no such file"


def test_a_directory_is_refused():
    os.mkdir("gateway.json")
    with pytest.raises(ConfigError) as caught:
        load("gateway.json", environ={})
    assert str(caught.value) == "gateway.json: is a directory, expected a file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_instead_of_waited_for():
    os.mkfifo("gateway.json")
    with pytest.raises(ConfigError, match="is not a regular file"):
        load("gateway.json", environ={})


def test_a_file_that_may_not_be_read_is_refused(monkeypatch):
    write("gateway.json", "{}")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ConfigError) as caught:
        load("gateway.json", environ={})
    monkeypatch.undo()
    assert str(caught.value) == "gateway.json: cannot be read: permission denied"


@pytest.mark.parametrize("name", ["\0.json", "x" * 5000 + ".json"], ids=["NUL", "too long"])
def test_an_impossible_name_is_refused(name):
    with pytest.raises(ConfigError, match="cannot be read: "):
        load(name, environ={})


@pytest.mark.parametrize(
    "source", [5, ["gateway.yaml"], b"gateway.yaml"], ids=lambda source: type(source).__name__
)
def test_another_kind_of_source_is_refused(source):
    with pytest.raises(ConfigError, match="expected a path, a mapping or None"):
        load(source)


def test_missing_pyyaml_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "plugmw.documents.yaml_reader", raising=False)
    write("gateway.yaml", "a: 1")
    with pytest.raises(ConfigError) as caught:
        load("gateway.yaml", environ={})
    assert str(caught.value) == (
        "gateway.yaml: PyYAML, which YAML needs, is missing,"
        " expected it installed: pip install 'plugmw[yaml]'"
    )


def test_missing_tomli_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tomllib" if sys.version_info >= (3, 11) else "tomli", None)
    write("gateway.toml", "a = 1")
    with pytest.raises(ConfigError, match="pip install tomli"):
        load("gateway.toml", environ={})


def test_a_toml_error_without_a_position_has_the_file():
    assert str(_toml_error("odd", "", "gateway.toml")) == "gateway.toml: not TOML: odd"


def test_a_toml_error_at_the_end_has_the_last_line():
    assert str(_toml_error("Odd (at end of document)", "a\nb", "g.toml")) == "g.toml:2: not TOML: odd"


@pytest.mark.slow
def test_only_the_parsers_that_are_needed_are_imported():
    code = "import sys, plugmw.documents; print({'yaml', 'tomllib', 'tomli'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_all_errors_of_a_file_are_reported_together():
    write("gateway.json", '{"a": NaN, "b": "\\ud800"}')
    with pytest.raises(ConfigErrors) as caught:
        load("gateway.json", environ={})
    assert [error.path for error in caught.value.errors] == ["a", "b"]


def test_the_fingerprint_follows_the_content():
    first = fingerprint(write("a.json", "{}"))
    assert first == fingerprint(Path(write("b.json", "{}")))
    assert first != fingerprint(write("a.json", "{ }"))


def test_a_missing_file_has_no_fingerprint():
    with pytest.raises(ConfigError, match=r"^a\.json: no such file$"):
        fingerprint("a.json")


def test_a_document_lists_its_files_with_the_fingerprints_of_what_was_read():
    document = load(write("gateway.json", "{}"), environ={})
    path = os.path.abspath("gateway.json")
    assert document.files == (path,)
    assert document.fingerprints == {path: fingerprint("gateway.json")}


def test_a_file_may_be_read_as_another_extension_says(tmp_path):
    (tmp_path / "a.conf").write_text('{"a": 1}')
    assert read(str(tmp_path / "a.conf"), ".json").data == {"a": 1}
