"""What is wrong at the start, without a traceback wherever that can be."""

from __future__ import annotations

import sys

import click
import pytest
from click.testing import CliRunner

from plugmw.errors import ConfigError, ConfigErrors, LoadError
from plugmw.mounts import starting
from plugmw.mounts.starting import errors_alone

WRONG = ConfigErrors([ConfigError("a", "got 1", "a text"), ConfigError("b", "unknown field")])
LINES = "a: got 1, expected a text\nb: unknown field"


def fail(error=WRONG):
    with errors_alone():
        raise error


@pytest.fixture(autouse=True)
def without_gunicorn(monkeypatch):
    for name in ("gunicorn.arbiter", "gunicorn.app.base"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_elsewhere_it_is_the_error_itself():
    with pytest.raises(ConfigErrors) as caught:
        fail()
    assert caught.value is WRONG


def test_a_command_of_click_shows_the_lines_alone():
    result = CliRunner().invoke(click.command()(fail))
    assert (result.exit_code, result.output) == (1, f"Error: {LINES}\n")


def test_gunicorn_is_given_what_it_halts_for_and_others_what_they_catch(monkeypatch):
    from gunicorn.errors import AppImportError

    monkeypatch.setitem(sys.modules, "gunicorn.arbiter", sys)
    monkeypatch.setattr(starting, "LINGER", 0)
    with pytest.raises(AppImportError) as caught:
        fail()
    assert isinstance(caught.value, (ConfigErrors, RuntimeError))
    assert (str(caught.value), caught.value.errors) == (LINES, WRONG.errors)


def test_a_source_that_gives_nothing_is_shown_likewise(monkeypatch):
    from gunicorn.errors import AppImportError

    monkeypatch.setitem(sys.modules, "gunicorn.arbiter", sys)
    monkeypatch.setattr(starting, "LINGER", 0)
    with pytest.raises(AppImportError, match=r"^x: is not there, expected a file$"):
        fail(LoadError("x", "is not there", "a file"))


def test_check_config_ends_with_the_lines(monkeypatch):
    monkeypatch.setitem(sys.modules, "gunicorn.app.base", sys)
    monkeypatch.setattr(sys, "argv", ["gunicorn", "--check-config", "app:app"])
    with pytest.raises(SystemExit) as caught:
        fail()
    assert caught.value.code == LINES
