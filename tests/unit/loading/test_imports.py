"""User code by name or by file."""

from __future__ import annotations

import pytest

from plugmw.errors import LoadError
from plugmw.loading.imports import load_file, load_module, resolve


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with one module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_to_import.py").write_text("value = {'a': 1}\nclass Outer:\n    inner = 5\n")
    return tmp_path


def test_resolves_an_attribute_of_a_module():
    assert resolve("mine_to_import:value") == {"a": 1}


def test_resolves_an_attribute_of_an_attribute():
    assert resolve("mine_to_import:Outer.inner") == 5


def test_resolves_an_attribute_of_a_file():
    assert resolve("./mine_to_import.py:value") == {"a": 1}


@pytest.mark.parametrize("reference", ["", "module", ":attribute", "module:"])
def test_refuses_what_is_no_reference(reference):
    with pytest.raises(LoadError, match="expected module:attribute"):
        resolve(reference)


def test_a_missing_attribute_is_told_with_those_there_are():
    with pytest.raises(LoadError, match="mine_to_import has no 'nothing', expected one of Outer, value"):
        resolve("mine_to_import:nothing")


def test_a_failing_import_names_the_whole_reference_and_the_reason():
    with pytest.raises(LoadError, match="nowhere_at_all:x: import failed: ModuleNotFoundError") as caught:
        resolve("nowhere_at_all:x")
    assert caught.value.source == "nowhere_at_all:x"


@pytest.mark.parametrize("reference", ["mine_to_import", "mine_to_import.py", "./mine_to_import.py"])
def test_loads_a_module_by_name_or_file(reference):
    assert load_module(reference).value == {"a": 1}


def test_finds_modules_of_the_working_directory(here, monkeypatch):
    monkeypatch.setattr("sys.path", ["/nowhere"])
    (here / "only_in_cwd.py").write_text("value = 2")
    assert load_module("only_in_cwd").value == 2


def test_a_file_is_a_module_of_its_own_each_time(here):
    first, second = (load_file(here / "mine_to_import.py") for _ in range(2))
    assert first is not second
    assert first.__name__ != second.__name__


def test_a_file_may_be_given_names_before_it_is_executed(here):
    (here / "named.py").write_text("doubled = given * 2", encoding="utf-8")
    assert load_file(here / "named.py", {"given": 21}).doubled == 42


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("x.txt", "", "got a file ending in '.txt', expected a Python file"),
        ("x.py", "1 / 0", "ZeroDivisionError: division by zero"),
        ("missing.py", None, "FileNotFoundError"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told_with_its_path(here, name, source, problem):
    if source is not None:
        (here / name).write_text(source)
    with pytest.raises(LoadError, match=problem) as caught:
        load_file(here / name)
    assert caught.value.source == str(here / name)


def test_a_file_that_ends_the_process_is_let(here):
    (here / "x.py").write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit):
        load_file(here / "x.py")


def test_a_file_may_be_source_whatever_its_name_ends_in(here):
    (here / "named.so").write_text("found = 1", encoding="utf-8")
    assert load_file(here / "named.so", source=True).found == 1
