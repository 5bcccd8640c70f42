"""Which file a plugin's path stands for."""

from __future__ import annotations

import platform

import pytest

from plugmw.dialects.tyk import lookup
from plugmw.dialects.tyk.lookup import Lookup, candidates
from plugmw.errors import LoadError
from plugmw.loading.watching import recording


@pytest.fixture(autouse=True)
def linux(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


NAMES = [
    "plugin_v5.3.0_linux_amd64.py",
    "plugin_v5.3.0_linux_amd64.so",
    "plugin_5.3.0_linux_amd64.py",
    "plugin_5.3.0_linux_amd64.so",
    "plugin.py",
    "plugin.so",
]


@pytest.mark.parametrize("path", ["plugin.so", "plugin.py"])
def test_names_are_tried_in_tyks_order(path):
    assert list(candidates(path, "5.3.0")) == NAMES
    assert list(candidates(path, "")) == NAMES[-2:]


def test_an_unknown_architecture_keeps_its_name(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert next(candidates("a.so", "1")) == "a_v1_linux_riscv64.py"


def test_the_first_of_the_files_that_is_there_is_taken(tmp_path):
    for place in range(len(NAMES) - 1, -1, -1):
        (tmp_path / NAMES[place]).write_text(f"def F(rw, r): return {place}", encoding="utf-8")
        assert Lookup("5.3.0").function("plugin.so", "F", tmp_path)(None, None) == place


def test_a_file_is_found_beside_the_definition_before_where_the_server_runs(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "p.py").write_text("def F(rw, r): return 'here'", encoding="utf-8")
    assert Lookup().function("p.so", "F", tmp_path)(None, None) == "here"
    (tmp_path / "p.py").write_text("def F(rw, r): return 'beside'", encoding="utf-8")
    assert Lookup().function("p.so", "F", tmp_path)(None, None) == "beside"
    assert Lookup().function(str(tmp_path / "p.so"), "F", tmp_path)(None, None) == "beside"


def test_a_bundle_has_its_files_inside(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.py").write_text("def F(rw, r): pass", encoding="utf-8")
    with pytest.raises(LoadError, match="plugin file not found"):
        Lookup().function("p.so", "F", bundle, bundled=True)
    with pytest.raises(LoadError, match="is outside of its bundle"):
        Lookup().function("../p.so", "F", bundle, bundled=True)


def test_hooks_of_one_file_share_its_state(tmp_path):
    (tmp_path / "p.py").write_text("seen = []\ndef A(): return seen\ndef B(): return seen", encoding="utf-8")
    found = Lookup()
    assert found.function("p.so", "A", tmp_path)() is found.function("p.py", "B", tmp_path)()


def test_a_dotted_module_is_imported():
    found = Lookup().function("plugmw.dialects.tyk.lookup", "candidates", lookup.Path())
    assert found is candidates


def test_a_compiled_plugin_is_told_from_a_python_file(tmp_path):
    (tmp_path / "p.so").write_bytes(b"\x7fELF\x02\x01\x01")
    with pytest.raises(LoadError, match=r"is a compiled plugin, expected a Python file, p\.py"):
        Lookup().function("p.so", "F", tmp_path)


def test_a_file_that_is_missing_is_watched(tmp_path):
    with recording() as record, pytest.raises(LoadError):
        Lookup().function("p.so", "F", tmp_path)
    assert str(tmp_path / "p.py") in record.files
