"""Plugins from the files of a folder."""

from __future__ import annotations

import pytest

from plugmw.kernel.plugin import Plugin
from plugmw.sources import Folder

CLASS = """
from plugmw import Plugin
class {cls}(Plugin):
    name = {name!r}
    def access(self, x): pass
"""


@pytest.fixture
def folder(tmp_path):
    def make(pattern="*.py", **files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        return Folder(tmp_path, pattern)

    return make


def test_classes_are_found_by_their_names(folder):
    found = folder(a=CLASS.format(cls="A", name="one"), b=CLASS.format(cls="B", name="two"))
    assert found.names() == ["one", "two"]
    assert issubclass(found.find("one"), Plugin)
    assert found.find("three") is None
    assert found.errors == []


def test_only_files_of_the_pattern_are_read_and_folders_are_left_alone(folder, tmp_path):
    (tmp_path / "inner.py").mkdir()
    (tmp_path / "text.txt").write_text("no Python")
    found = folder("plugin_*.py", plugin_a=CLASS.format(cls="A", name="a"), other="1 / 0")
    assert (found.names(), found.errors) == (["a"], [])


def test_a_file_that_fails_is_told_and_the_others_count(folder, tmp_path):
    found = folder(a="1 / 0", b="import nothing_like_that", c="(", d=CLASS.format(cls="D", name="d"))
    assert found.names() == ["d"]
    texts = [str(error) for error in found.errors]
    assert texts[0] == f"{tmp_path}/a.py: ZeroDivisionError: division by zero"
    assert texts[1].startswith(f"{tmp_path}/b.py: ModuleNotFoundError")
    assert texts[2].startswith(f"{tmp_path}/c.py: SyntaxError")


def test_a_class_without_a_name_or_with_a_taken_one_is_told(folder, tmp_path):
    two = CLASS.format(cls="A", name="") + CLASS.format(cls="B", name="b")
    found = folder(a=two, b=CLASS.format(cls="C", name="b"))
    assert found.names() == ["b"]
    assert [str(error) for error in found.errors] == [
        f"{tmp_path}/a.py: A: has no name, expected a class attribute `name`",
        f"{tmp_path}/b.py: C: name 'b' is taken, expected another name",
    ]


def test_private_and_imported_classes_are_no_plugins_of_the_file(folder):
    text = "from plugmw import Plugin\nfrom plugmw.contrib.ip_restriction import IPRestriction\n"
    found = folder(a=text + "class _Base(Plugin): pass\nclass A(_Base):\n    name = 'a'\n")
    assert (found.names(), found.errors) == (["a"], [])


def test_two_folders_may_have_files_of_one_name(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.py").write_text(CLASS.format(cls="A", name=name))
    one, two = Folder(tmp_path / "x"), Folder(tmp_path / "y")
    assert one.find("x").__module__ != two.find("y").__module__


def test_reading_again_takes_the_new_code(folder):
    first = folder(a=CLASS.format(cls="A", name="a"))
    second = folder(a=CLASS.format(cls="A", name="b"))
    assert (first.names(), second.names()) == (["a"], ["b"])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    (error,) = Folder(tmp_path / "nowhere").errors
    assert str(error) == f"{tmp_path}/nowhere: No such file or directory, expected a folder"
