"""The plugins that come with plugmw, by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from plugmw.errors import LoadError
from plugmw.kernel.plugin import Plugin
from plugmw.sources import bundled


def test_every_name_is_the_name_of_its_class():
    found = {name: bundled.find(name) for name in bundled.names()}
    assert {name: cls.name for name, cls in found.items()} == {name: name for name in found}
    assert all(issubclass(cls, Plugin) for cls in found.values())


@pytest.mark.parametrize("name", ["ip-restriction", "http-server", "req-resp-modifier", "response-modifier"])
def test_finds_the_plugins_of_contrib_and_of_the_dialects(name):
    assert name in bundled.names()


@pytest.mark.parametrize("name", ["nowhere", "gostyle", "", "../errors"])
def test_finds_nothing_else(name):
    assert bundled.find(name) is None


@pytest.mark.slow
def test_a_name_is_known_without_importing_a_plugin():
    code = (
        "import sys; from plugmw.sources import bundled; assert bundled.names();"
        "print(*[name for name in sys.modules if name.startswith(('plugmw.contrib.', 'plugmw.dialects.'))])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "\n"
    )


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'jwt'", name="jwt")

    monkeypatch.setattr(bundled.importlib, "import_module", fail)
    with pytest.raises(LoadError, match=r"needs the library jwt, .* pip install 'plugmw\[ip\]'"):
        bundled.find("ip-restriction")


def test_a_mistake_of_our_own_is_not_taken_for_a_missing_library(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'plugmw.nowhere'", name="plugmw.nowhere")

    monkeypatch.setattr(bundled.importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError):
        bundled.find("ip-restriction")
