"""plugmw plugin load."""

from __future__ import annotations

import pytest

from plugmw import cli


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "def AddFooBarHeader(rw, r): pass\nBuilt = iter\n"
    (tmp_path / "plugin.py").write_text(text, encoding="utf-8")
    return tmp_path


def run(capsys, *arguments):
    """Return the exit status and the lines printed."""
    status = cli.main(["plugin", "load", *arguments])
    return status, capsys.readouterr().out.splitlines()


def test_says_what_was_loaded(folder, capsys):
    assert run(capsys, "-f", "plugin.so", "-s", "AddFooBarHeader") == (
        0,
        ["[file=plugin.so, symbol=AddFooBarHeader] loaded ok, got AddFooBarHeader(rw, r)"],
    )


def test_says_what_cannot_be_loaded_and_goes_on(folder, capsys):
    status, lines = run(capsys, "--file", "none.so,plugin.py,plugin.so", "--symbol", "AddFooBarHeader")
    assert status == 1
    assert lines[0].startswith(
        "[file=none.so, symbol=AddFooBarHeader] unexpected error: none.so: plugin file not"
    )
    assert [line.rpartition("] ")[2] for line in lines[1:]] == ["loaded ok, got AddFooBarHeader(rw, r)"] * 2


def test_a_callable_without_a_signature_is_good_too(folder, capsys):
    assert run(capsys, "-f", "plugin.py", "-s", "Built")[0] == 0


def test_file_and_symbol_are_required(folder, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(capsys, "-f", "plugin.py")
