"""plugmw reload: check, then touch."""

from __future__ import annotations

import os

from plugmw import cli


def write(path, text):
    path.write_text(text)
    os.utime(path, ns=(10**18, 10**18))
    return str(path)


def test_touches_a_good_file_and_says_so(tmp_path, capsys):
    path = write(tmp_path / "gateway.yaml", "plugins: []")
    assert cli.main(["reload", path]) == 0
    assert capsys.readouterr().out == (
        f"{path}: good; every worker that watches it takes it within a second\n"
    )
    assert os.stat(path).st_mtime_ns > 10**18


def test_leaves_a_bad_file_alone(tmp_path, capsys):
    path = write(tmp_path / "gateway.yaml", "plugins: 5")
    assert cli.main(["reload", path]) == 1
    assert f"{path}: plugins: got" in capsys.readouterr().err
    assert os.stat(path).st_mtime_ns == 10**18


def test_says_when_nobody_watches(tmp_path, capsys):
    path = write(tmp_path / "gateway.yaml", "reload: false")
    assert cli.main(["reload", path]) == 2
    assert "reload is false, so nobody watches it" in capsys.readouterr().err


def test_says_when_a_file_cannot_be_touched(tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "gateway.yaml", "plugins: []")

    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refused)
    assert cli.main(["reload", path]) == 2
    assert f"{path}: cannot be touched: operation not permitted" in capsys.readouterr().err
