"""prest.toml as a gateway document, and what is left out."""

from __future__ import annotations

import logging

import pytest
from werkzeug.test import Client

from plugmw import ConfigError, Gateway
from plugmw.dialects.prest.configuration import translate
from plugmw.documents import Document
from plugmw.documents.translated import Options
from tests.unit.dialects.prest.conftest import app
from tests.unit.dialects.prest.test_middlewares import DIRECT

HELLO = "/_PLUGIN/hello/Hello"


@pytest.fixture
def toml(lib, tmp_path, monkeypatch):
    """Write prest.toml beside the folder `lib`, and work there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREST_PLUGINPATH", raising=False)

    def write(text):
        path = tmp_path / "prest.toml"
        path.write_text(text, encoding="utf-8")
        return "prest.toml"

    return write


def config(data, environ=None, **options):
    made = translate(Document(data), Options(**options), environ or {})
    return made.data["plugins"][0]["config"]


def problems(data, environ=None):
    made = translate(Document(data), Options(), environ or {})
    return [str(error) for error in made.errors], [str(error) for error in made.warnings]


@pytest.mark.parametrize(
    ("data", "environ", "path"),
    [
        ({}, {}, "./lib"),
        ({"pluginpath": "./functions"}, {}, "./functions"),
        ({"pluginpath": "./functions"}, {"PREST_PLUGINPATH": "/srv/lib"}, "/srv/lib"),
        ({}, {"PREST_PLUGINPATH": "/srv/lib"}, "/srv/lib"),
        ({"pluginpath": "./functions"}, {"PREST_PLUGINPATH": ""}, "./functions"),
        ({"pluginPath": "./functions"}, {}, "./functions"),
    ],
    ids=["default", "file", "environment-wins", "environment", "empty", "any-case"],
)
def test_the_environment_is_stronger_than_the_file_and_the_file_than_lib(data, environ, path):
    assert config(data, environ)["path"] == path


@pytest.mark.parametrize(
    ("context", "prefix"),
    [
        (None, "/_PLUGIN"),
        ("", "/_PLUGIN"),
        ("/", "/_PLUGIN"),
        ("prest", "/prest/_PLUGIN"),
        ("/a/b/", "/a/b/_PLUGIN"),
    ],
)
def test_context_is_before_the_prefix(context, prefix):
    assert config({} if context is None else {"context": context})["prefix"] == prefix
    assert config({}, {"PREST_CONTEXT": context or ""})["prefix"] == prefix


def test_what_whoever_builds_the_gateway_says_goes_into_the_entry():
    assert config({}, compat=True, strict=True) == {
        "path": "./lib", "prefix": "/_PLUGIN", "compat": True, "strict": True,
    }  # fmt: skip
    assert config({}, {"PREST_BUILD_PLUGINS": "1"})["build"] is True
    assert "build" not in config({}, {"PREST_BUILD_PLUGINS": "0"})


@pytest.mark.parametrize(
    ("data", "environ"),
    [
        ({"jwt": {"default": True}}, {}),
        ({"jwt": {"default": "true"}}, {}),
        ({"jwt": {"default": 1}}, {}),
        ({"jwt": {"default": 2.5}, "debug": 0}, {}),
        ({"JWT": {"Default": True}, "debug": False}, {}),
        ({}, {"PREST_JWT_DEFAULT": "1"}),
        ({"jwt": {"default": False}}, {"PREST_JWT_DEFAULT": "true"}),
    ],
)
def test_a_token_that_is_asked_of_everybody_is_an_error(data, environ):
    errors, _ = problems(data, environ)
    assert [error.lower() for error in errors] == [
        "jwt.default: got true, which has no counterpart, expected false, and an entry that authenticates"
    ]


@pytest.mark.parametrize(
    ("data", "environ"),
    [
        ({"jwt": {"default": True}, "debug": True}, {}),
        ({"jwt": {"default": 1}, "debug": 1}, {}),
        ({"jwt": {"default": 0}}, {}),
        ({"jwt": {"default": True}}, {"PREST_DEBUG": "true"}),
        ({"jwt": {"default": False, "key": "secret"}}, {}),
        ({"jwt": 5}, {}),
    ],
)
def test_a_token_that_is_asked_of_nobody_is_none(data, environ):
    assert problems(data, environ)[0] == []


def test_what_has_no_counterpart_is_left_out_with_a_warning():
    errors, warnings = problems(
        {"pg": {"host": "db", "pass": "secret"}, "http": {"port": 3000}, "debug": True}
    )
    assert errors == []
    assert warnings == [
        f"{key}: left out: only functions and middlewares are served" for key in ("pg", "http")
    ]


def test_one_middleware_may_be_a_table_instead_of_a_list():
    table = {"File": "hello", "func": "Hello"}
    (entry,) = translate(Document({"pluginmiddlewarelist": table}), Options(), {}).data["plugins"]
    assert entry["config"]["middlewares"] == [{"file": "hello", "func": "Hello"}]


# -- through the gateway ---------------------------------------------------------------------------

DOCUMENT = """
pluginpath = "./lib"

[[pluginmiddlewarelist]]
file = "hello"
func = "Hello"

[[pluginmiddlewarelist]]
file = "no"
func = "No"
"""


def test_a_prest_toml_serves_functions_and_middlewares(toml, write, caplog):
    write("middlewares/hello.py", DIRECT.format("Hello"))
    client = Client(Gateway(app, toml(DOCUMENT), strict=False))
    response = client.get(HELLO + "?abc=123")
    assert response.json["url_query"] == {"abc": ["123"]}
    assert response.headers["Link"] == "Hello"
    assert client.get("/").text == "the app"
    assert "middleware No of no left out" in caplog.text


def test_from_prest_needs_no_app_and_keeps_its_ways_in_compat(toml, write):
    write("middlewares/hello.py", DIRECT.format("Hello"))
    client = Client(Gateway.from_prest(None, toml(DOCUMENT), compat="prest"))
    assert "Link" not in client.get(HELLO).headers
    assert client.get("/").status_code == 404


def test_the_environment_is_looked_at(toml, tmp_path, monkeypatch):
    monkeypatch.setenv("PREST_PLUGINPATH", str(tmp_path / "nowhere"))
    assert Client(Gateway(app, toml(DOCUMENT), strict=False)).get(HELLO).status_code == 404


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pluginpath = 5", "prest.toml: pluginpath: got 5, expected a string"),
        ('pluginpath = "lib"\ncontext = 5', "prest.toml: context: got 5"),
        ('pluginpath = "lib"\npluginmiddlewarelist = 5', "prest.toml: pluginmiddlewarelist: got 5"),
        ('[[pluginmiddlewarelist]]\nfile = "a"', "prest.toml: pluginmiddlewarelist[0].func"),
        (
            '[[pluginmiddlewarelist]]\nfile = "../a"\nfunc = "A"',
            "prest.toml: pluginmiddlewarelist[0].file: got",
        ),
        ("\npluginpath = ./lib", "prest.toml:2: not TOML: invalid value, expected text in quotes, as in"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_in_the_file(toml, text, problem):
    with pytest.raises(ConfigError) as caught:
        Gateway.from_prest(app, toml(text))
    assert problem in str(caught.value)


def test_warnings_reach_the_log(toml, caplog):
    caplog.set_level(logging.WARNING)
    Gateway(app, toml(DOCUMENT + '[pg]\nhost = "db"\n'), strict=False)
    assert "prest.toml: pg: left out: only functions and middlewares are served" in caplog.text


def test_keys_of_a_middleware_are_read_in_any_case():
    listed = [{"File": "hello", "FUNC": "Hello"}, "no table"]
    assert config({"PluginMiddlewareList": listed})["middlewares"] == [
        {"file": "hello", "func": "Hello"},
        "no table",
    ]
