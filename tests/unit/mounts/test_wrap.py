"""wrap: a gateway round an app that is named, in code and on gunicorn's command line."""

from __future__ import annotations

import sys

import pytest
from werkzeug.test import Client

import plugmw
from plugmw.errors import ConfigErrors, LoadError

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]

def make(text):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]
    return app
"""
GOOD = "plugins:\n  - name: correlation-id\n    config: {echo_downstream: true}\n"
BAD = "plugins:\n  - name: ip-restrictio\n  - name: ip-restriction\n    config: {denyy: []}\n"
BAD_LINES = [
    'bad.yaml: plugins[0].name: no plugin "ip-restrictio"; did you mean "ip-restriction"?',
    'bad.yaml: plugins[1].config.denyy: unknown field "denyy"; did you mean "deny"?',
]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder to be in, with an app and two configurations."""
    (tmp_path / "wrapped_site.py").write_text(APP)
    (tmp_path / "broken_site.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("named", "body"),
    [
        ("wrapped_site:application", "hello"),
        ("wrapped_site", "hello"),
        ("wrapped_site:make('made')", "made"),
    ],
)
def test_names_the_app_as_gunicorn_does(site, named, body):
    answer = Client(plugmw.wrap(named, "good.yaml")).get("/")
    assert (answer.text, "X-Correlation-ID" in answer.headers) == (body, True)


def test_takes_the_app_itself_a_mapping_and_options(site):
    import wrapped_site

    gateway = plugmw.wrap(wrapped_site.application, {"store": "memory://"}, plugins=[])
    assert Client(gateway).get("/").text == "hello"


def test_a_bad_configuration_is_its_own_error_outside_gunicorn(site, monkeypatch):
    monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    with pytest.raises(ConfigErrors) as caught:
        plugmw.wrap("wrapped_site", "bad.yaml")
    assert str(caught.value).splitlines() == BAD_LINES


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("no_such_site:app", "no_such_site:app: No module named 'no_such_site'"),
        ("wrapped_site.deeper:app", "wrapped_site.deeper:app: No module named 'wrapped_site.deeper'"),
        ("wrapped_site:nope", "wrapped_site:nope: Failed to find attribute 'nope' in 'wrapped_site'"),
        ("wrapped_site:make(os)", "wrapped_site:make(os): Failed to parse arguments as literal values"),
    ],
)
def test_a_name_that_leads_nowhere_is_said(site, monkeypatch, named, message):
    monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    with pytest.raises(LoadError) as caught:
        plugmw.wrap(named, "good.yaml")
    assert str(caught.value).startswith(message)


def test_what_the_app_itself_fails_to_import_is_left_alone(site):
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        plugmw.wrap("broken_site:app", "good.yaml")
