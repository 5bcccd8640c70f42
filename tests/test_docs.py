"""The docs say all that there is: plugins, fields, phases, errors, commands; and link only to what exists."""

from __future__ import annotations

import importlib.util
import re

import pytest

from plugmw.cli.program import COMMANDS
from plugmw.phases import PHASES
from plugmw.sources import bundled
from tests.support.servers import ROOT

DOCS = ROOT / "docs"
RECIPES = sorted(folder for folder in (ROOT / "recipes").iterdir() if (folder / "app.py").exists())
PAGES = sorted(
    [
        *DOCS.rglob("*.rst"),
        *ROOT.glob("*.md"),
        *ROOT.glob("recipes/*/README.md"),
        ROOT / "changes/README.md",
    ]
)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def extension():
    """The Sphinx extension that writes the tables."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed (plugmw[docs])")
    spec = importlib.util.spec_from_file_location("plugin_fields", DOCS / "_ext/plugin_fields.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", bundled.names())
def test_every_plugin_has_a_page_with_its_fields(name):
    text = page(f"plugins/{name}.rst")
    assert text.startswith(f"{name}\n{'=' * len(name)}\n")
    assert f".. plugin-fields:: {name}\n" in text


def test_every_page_of_a_plugin_is_of_one_that_exists():
    pages = {path.stem for path in (DOCS / "plugins").glob("*.rst")} - {"index"}
    assert pages <= set(bundled.names())


@pytest.mark.parametrize("name", bundled.names())
def test_the_table_of_fields_names_every_field_and_says_what_it_is(extension, name):
    from plugmw import schema

    config = bundled.find(name).Config
    rows = list(extension.field_rows(config))
    listed = {field for row in rows for field in re.findall(r"``([^`]+)``", row[0])}
    assert {attribute.name for attribute, _ in schema.fields(config)} <= listed
    assert all(cell for row in rows for cell in row)


def test_the_table_goes_into_mappings_and_lists_of_them(extension):
    from plugmw.settings import Settings

    names = {row[0] for row in extension.field_rows(Settings)}
    assert {"``store``", "``plugins[].on_error``", "``routes[].paths``", "``folders[].path``"} <= names


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("`auto` or `memory://`", "``auto`` or ``memory://``"),
        ("as it was", "as it was"),
        ("``already`` so", "``already`` so"),
        ("see :func:`plugmw.config`", "see ``plugmw.config``"),
    ],
)
def test_help_texts_become_restructured_text(extension, text, written):
    assert extension.prose(text) == written


@pytest.mark.parametrize("name", ["request-life.rst", "writing-plugins.rst"])
def test_every_phase_is_named(name):
    text = page(name)
    assert ".. phase-table::" in text or all(f"``{phase}``" in text for phase in PHASES)


def test_every_error_and_every_setting_is_named():
    text = page("configuration.rst")
    assert ".. error-table::" in text
    assert ".. config-fields:: plugmw.settings:Settings" in text
    assert ".. config-fields:: plugmw.consumers:ConsumerConfig" in text


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_is_named(command):
    assert f"plugmw {command}" in page("cli.rst")
    assert f"plugmw {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", bundled.names())
def test_every_plugin_has_a_posture(name):
    assert f"| {name} |" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_links_to_exists(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text) if path.suffix == ".md" else []
    links += re.findall(r"^\.\. (?:literalinclude|include):: (\S+)", text, re.M)
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_that_names_a_file_of_the_clone_names_one_that_exists(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:recipes/|tools/|docs/|tests/run|tests/support/)[\w./-]*\b(?!<)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("folder", RECIPES, ids=lambda folder: folder.name)
def test_a_recipe_is_complete(folder):
    for name in ("README.md", "app.py", "gunicorn.conf.py", "run", "test_recipe.py"):
        assert (folder / name).exists(), name
    assert f"sh recipes/{folder.name}/run" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_of_the_readme_work():
    from werkzeug.test import Client

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^## Ten lines\n\n```python\n(.*?)```", text, re.M | re.S)
    names: dict[str, object] = {}
    exec(block[1], names)
    answer = Client(names["app"]).get("/")
    assert (answer.text, answer.headers["X-RateLimit-Remaining-Minute"]) == ("hello\n", "59")


def test_the_plugin_of_the_readme_works():
    from plugmw.testing import get

    block = re.search(
        r"```python\n(from plugmw import Plugin\n.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    names: dict[str, object] = {}
    exec(block[1], names)
    assert get(names["Greeting"]()).headers["X-Greeting"] == "hello"


@pytest.mark.slow
def test_the_session_of_the_readme_is_what_happens(gunicorn):
    import time

    from tests.support.transcript import check_sessions

    recipe = ROOT / "recipes/quickstart-flask"
    server = gunicorn(
        "app:app", workers=4, args=["--chdir", str(recipe), "--config", str(recipe / "gunicorn.conf.py")]
    )
    if time.time() % 60 > 50:
        time.sleep(61 - time.time() % 60)
    check_sessions(ROOT / "README.md", server.url)
