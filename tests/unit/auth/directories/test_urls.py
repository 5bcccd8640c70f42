"""Consumer stores by URL."""

import sys

import pytest

from plugmw.auth.directories import open_directory
from plugmw.auth.directories.urls import KINDS
from plugmw.errors import ConfigError


def test_opens_nothing_yet(tmp_path):
    made = open_directory(f"sqlite://{tmp_path}/a%20b.db")
    assert made.database.url == f"sqlite://{tmp_path}/a b.db"
    assert list(tmp_path.iterdir()) == []
    assert repr(made) == f"<SQLDirectory sqlite://{tmp_path}/a b.db>"


def test_a_path_may_have_the_slash_that_sqlalchemy_writes(tmp_path):
    assert open_directory(f"sqlite:///{tmp_path}/a.db").database.url == f"sqlite://{tmp_path}/a.db"


@pytest.mark.slow
def test_a_password_is_not_told():
    pytest.importorskip("psycopg")
    assert open_directory("postgres://me:secret@host/db").database.url == "postgres://***@host/db"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("consumers.db", KINDS),
        ("mysql://me:secret@host/db", KINDS),
        ("sqlite://relative.db", "sqlite:///path/of/a/file"),
        ("sqlite:///tmp/", "sqlite:///path/of/a/file"),
        ("sqlite:///tmp/a.db?x=1", "sqlite:///path/of/a/file"),
        ("sqlite:///nowhere/a.db", "a file in a folder that exists, '/nowhere' does not"),
        ("postgresql://me:secret@host/db?nonsense=1", "postgresql://user@host:port/database"),
    ],
)
def test_says_what_is_wrong_and_no_secret(url, expected):
    with pytest.raises(ConfigError) as raised:
        open_directory(url)
    assert expected in raised.value.expected
    assert "secret" not in str(raised.value)


def test_says_how_to_get_psycopg(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "plugmw.auth.directories.postgres", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'plugmw\[postgres\]'"):
        open_directory("postgresql://host/db")
