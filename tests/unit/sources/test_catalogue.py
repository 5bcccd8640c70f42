"""All sources behind one look-up."""

from __future__ import annotations

import pytest

from plugmw.contrib.ip_restriction import IPRestriction
from plugmw.errors import LoadError
from plugmw.kernel.plugin import Plugin
from plugmw.sources import Catalogue, Folder, entrypoints


class Mine(Plugin):
    name = "mine"

    def access(self, x):
        pass


class Point:
    """An entry point."""

    def __init__(self, name, value):
        self.name, self.value, self._found = name, "elsewhere:Thing", value

    def load(self):
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


@pytest.fixture
def points(monkeypatch):
    def offer(**found):
        made = {name: Point(name, value) for name, value in found.items()}
        monkeypatch.setattr(entrypoints, "_points", lambda: made)

    offer()
    return offer


@pytest.fixture
def folder(tmp_path):
    lines = ["from plugmw import Plugin"]
    for name in ("folder-one", "mine"):
        lines += [
            f"class {name.title().replace('-', '')}(Plugin):",
            f"    name = {name!r}",
            "    access = print",
        ]
    (tmp_path / "a.py").write_text("\n".join(lines))
    return Folder(tmp_path)


def test_a_plugin_is_found_by_reference_bundled_by_entry_point_or_in_a_folder(points, folder):
    points(offered=Mine)
    catalogue = Catalogue([folder])
    assert catalogue.find(f"{__name__}:Mine") is Mine
    assert catalogue.find("ip-restriction") is IPRestriction
    assert catalogue.find("offered") is Mine
    assert catalogue.find("folder-one").name == "folder-one"


def test_an_entry_point_is_stronger_than_a_folder(points, folder):
    points(mine=Mine)
    catalogue = Catalogue([folder])
    assert catalogue.find("mine") is Mine
    assert catalogue.names()["mine"] == "entry point"


def test_every_name_is_told_with_its_origin(points, folder):
    points(offered=Mine)
    names = Catalogue([folder]).names()
    assert (names["ip-restriction"], names["offered"], names["folder-one"]) == (
        "bundled",
        "entry point",
        str(folder.path),
    )


def test_an_unknown_name_is_refused_with_a_likely_one(points):
    with pytest.raises(LoadError, match='no plugin "ip-restricton"; did you mean "ip-restriction"'):
        Catalogue().find("ip-restricton")


def test_an_entry_point_that_fails_says_which_and_why(points):
    points(bad=ImportError("no such library"))
    with pytest.raises(LoadError) as caught:
        Catalogue().find("bad")
    assert str(caught.value) == "entry point bad: elsewhere:Thing: ImportError: no such library"


def test_what_is_found_must_be_a_plugin_class(points):
    points(bad=5)
    with pytest.raises(LoadError, match=r"bad: got 5, expected a class derived from plugmw\.Plugin"):
        Catalogue().find("bad")


def test_installed_entry_points_are_listed():
    assert entrypoints.names() == sorted(entrypoints.names())
    assert entrypoints.find("nothing-like-that") is None


class Handler:
    PRIORITY, VERSION, NAME = 7, "1.0.0", "of-kong"

    def log(self, config):
        """Do nothing."""


def test_a_kong_handler_is_adapted_once():
    catalogue = Catalogue()
    found = catalogue.find(f"{__name__}:Handler")
    assert (found.name, found.priority, issubclass(found, Plugin)) == ("of-kong", 7, True)
    assert catalogue.find(f"{__name__}:Handler") is found


def test_what_is_neither_plugin_nor_handler_is_refused():
    with pytest.raises(LoadError, match=r"expected a class derived from plugmw\.Plugin"):
        Catalogue().find("json:loads")
