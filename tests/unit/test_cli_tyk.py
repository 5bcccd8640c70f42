"""plugmw plugin load."""

from __future__ import annotations

import json

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


# -- check ------------------------------------------------------------------------------------------------


def definition(**hook):
    hooks = {"pre": [{"name": "AddFooBarHeader", "path": "plugin.so", **hook}]}
    return {
        "name": "A", "api_id": "a", "use_keyless": True, "proxy": {"listen_path": "/a/"},
        "version_data": {"not_versioned": True, "versions": {"Default": {"name": "Default"}}},
        "custom_middleware": {"driver": "goplugin", **hooks},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hook", "status", "problem"),
    [
        ({}, 0, ""),
        ({"path": "none.so"}, 1, "custom_middleware.pre[0]: none.so: plugin file not found"),
        ({"name": "Nothing"}, 1, "custom_middleware.pre[0]: plugin.so: symbol 'Nothing' not found"),
    ],
    ids=["good", "no file", "no function"],
)
def test_check_reports_a_hook_that_every_request_would_be_refused_for(folder, capsys, hook, status, problem):
    (folder / "api.json").write_text(json.dumps(definition(**hook)), encoding="utf-8")
    assert cli.main(["check", "api.json"]) == status
    assert problem in capsys.readouterr().err
