"""The docs say all that there is: plugins, fields, phases, errors, commands; and link only to what exists."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import re
import sys
import traceback

import attrs
import pytest

from plugmw import Gateway
from plugmw.cli.program import COMMANDS
from plugmw.kernel.phases import PHASES
from plugmw.kernel.plugin import Plugin
from plugmw.sources import bundled
from plugmw.testing import get, hello_app
from plugmw.wsgi import keys
from tests.support.servers import ROOT

DOCS = ROOT / "docs"
RECIPES = sorted(folder for folder in (ROOT / "recipes").iterdir() if (folder / "app.py").exists())
PAGES = sorted(
    [
        *DOCS.rglob("*.rst"),
        *ROOT.glob("*.md"),
        *ROOT.glob("recipes/*/README.md"),
        *ROOT.glob("changes/*.md"),
        ROOT / "bench/README.md",
        ROOT / "tests/README.md",
    ]
)
#: Names that look like modules, beside keys of the environ: the group of entry points, a logger, a file, the
#: numbers of Django's checks.
NO_MODULES = re.compile(r"plugmw\.(plugins|tyk-python|schema\.json|[EW]\d{3})")


def exists(name: str) -> bool:
    """Say whether a dotted name leads to a module, or to something inside of one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


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
    assert {field.name for field in schema.fields_of(config)} <= listed
    assert all(cell for row in rows for cell in row)


def test_the_table_goes_into_mappings_and_lists_of_them(extension):
    from plugmw.configuration.settings import Settings

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
    assert ".. config-fields:: plugmw.configuration.settings:Settings" in text
    assert ".. config-fields:: plugmw.auth.consumers:ConsumerConfig" in text


def test_every_public_key_is_named_and_no_private_one(extension):
    text = page("environ-keys.rst")
    for directive, cls, table in (
        ("environ-keys", extension.EnvironKeys, keys.KEYS),
        ("context-keys", extension.ContextKeys, keys.CTX_KEYS),
    ):
        assert f".. {directive}::\n" in text
        rows = list(cls.rows(cls))
        assert [row[0] for row in rows] == [f"``{key.name}``" for key in table if key.public]
        assert all(cell for row in rows for cell in row)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_is_named(command):
    assert f"plugmw {command}" in page("cli.rst")
    assert f"plugmw {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


# -- security --------------------------------------------------------------------------------------------


#: What a plugin does when it cannot work; SECURITY.md says what each word means.
POSTURES = ("closed", "error", "open")
#: Traps whose tests are not written yet.
UNTESTED: set[str] = set()
TRAPS = [f"S{number}" for number in range(1, 31)]


def rows(title: str) -> dict[str, list[str]]:
    """Return the rows of the table under a title of SECURITY.md, by their first cell."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines[1:]}


FLAGS = (
    "authenticates",
    "configure_all",
    "fail_closed",
    "forwards",
    "keeps_length",
    "needs_timings",
    "needs_upstream_response",
    "no_consumer",
    "wants_body",
)


def test_the_table_of_flags_has_all_that_the_base_class_declares(extension):
    rows = list(extension.flag_rows())
    assert sorted(name.strip("`()") for name, *_ in rows) == list(FLAGS)
    assert all(default and text.endswith(".") for _, default, text in rows)
    assert ".. flag-table::" in (ROOT / "docs/writing-plugins.rst").read_text(encoding="utf-8")


def test_bundled_plugins_say_nothing_of_themselves_that_the_base_class_does_not_declare():
    known = set(dir(Plugin))
    for name in bundled.names():
        said = {key for key, value in vars(bundled.find(name)).items() if isinstance(value, bool)}
        assert {key for key in said if not key.startswith("_")} <= known, name


def words_in(text: str, words) -> list[str]:
    return [word for word in words if re.search(rf"\b{word}\b", text)]


def fits(cls, posture: str) -> bool:
    """Say whether a cell like ``closed, authenticates`` is what the class says of itself."""
    word, _, rest = posture.partition(", ")
    assert word in POSTURES
    return (word == "closed", rest == "authenticates") == (cls.fail_closed, cls.authenticates)


def test_security_tells_of_every_plugin_and_of_no_other():
    assert list(rows("Posture of each plugin")) == bundled.names()


@pytest.mark.parametrize("name", bundled.names())
def test_every_plugin_has_a_posture(name):
    phases, posture, text = rows("Posture of each plugin")[name]
    cls = bundled.find(name)
    assert phases.split(", ") == cls.phases()
    assert fits(cls, posture)
    assert text


@pytest.mark.parametrize("name", bundled.names())
def test_the_page_of_a_plugin_says_the_same_as_security(name):
    text = page(f"plugins/{name}.rst")
    fields = dict(re.findall(r"^:([\w ]+): (.*(?:\n   .*)*)", text, re.M))
    phases, posture, _ = rows("Posture of each plugin")[name]
    assert words_in(fields["Phases"], PHASES) == phases.split(", ")
    assert re.match(r"\w+", fields["When it cannot work"])[0] == posture.partition(",")[0]


def test_an_entry_refuses_when_its_plugin_fails_unless_it_says_otherwise():
    from plugmw import Entry
    from plugmw.configuration.settings import EntryConfig

    assert "`on_error` of an entry is `closed` unless written otherwise" in page("../SECURITY.md")
    assert Entry(None).on_error == "closed"
    assert attrs.fields(EntryConfig).on_error.default == "closed"


def plugins_of_dialects():
    """Return the plugin classes of the dialects that are not bundled, and not only the base of others."""
    import plugmw.dialects

    for module in pkgutil.walk_packages(plugmw.dialects.__path__, "plugmw.dialects."):
        importlib.import_module(module.name)
    known = tuple(bundled.find(name) for name in bundled.names())
    queue, found = [Plugin], {}
    while queue:
        cls = queue.pop()
        queue += cls.__subclasses__()
        # Not those that another test has derived from a foreign plugin.
        own = cls.__module__.startswith("plugmw.dialects.") and hasattr(
            sys.modules[cls.__module__], cls.__qualname__
        )
        own = own and not cls.__name__.startswith("_")
        if own and cls.name and cls.phases() and not issubclass(cls, known):
            found[f"{cls.__module__.removeprefix('plugmw.dialects.')}:{cls.__qualname__}"] = cls
    return found


def test_security_tells_the_posture_of_what_dialects_make():
    told = {cells[0].strip("`"): cells[1:] for cells in rows("Posture of the dialects' entries").values()}
    # What these are depends on the foreign plugin.
    assert told.pop("kong.handler:HandlerPlugin")[0] == "own"
    assert told.pop("kong.servers.remote:RemotePlugin")[:2] == ["init_worker, own", "closed"]
    found = plugins_of_dialects()
    assert set(told) == set(found)
    for name, (phases, posture, text) in told.items():
        assert phases.split(", ") == found[name].phases(), name
        assert fits(found[name], posture), name
        assert text


def test_every_trap_is_in_the_table():
    assert list(rows("Traps, and the tests that prove them shut")) == TRAPS


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_tests_that_are_named_after_it(trap):
    cell = rows("Traps, and the tests that prove them shut")[trap][-1]
    named = re.findall(r"\]\(([^)]+)\)", cell)
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in named]
    assert all(re.search(rf"^def test_{trap.lower()}_", text, re.M) for text in texts), named
    assert bool(named) is (trap not in UNTESTED)


def test_what_a_page_links_to_exists():
    missing = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)#:]+)\)", text) if path.suffix == ".md" else []
        links += re.findall(r"^\.\. (?:literalinclude|include):: (\S+)", text, re.M)
        missing += [(str(path), link) for link in links if not (path.parent / link).exists()]
    assert missing == []


def test_a_page_that_names_a_file_of_the_clone_names_one_that_exists():
    folders = "bench|changes|docs|plugmw|recipes|tests|tools"
    missing = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        named = re.findall(rf"(?<![\w/.-])(?:{folders})/[\w./-]*\b(?![<*])", text)
        missing += [(str(path), name) for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_a_page_that_names_a_module_or_a_part_of_one_names_what_exists():
    pages: dict[str, str] = {}
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        named = set(re.findall(r"(?<![\w./:-])plugmw(?:\.\w+(?:-\w+)*)+", text))
        for module, names in re.findall(r"from (plugmw[\w.]*) import (\w+(?:, \w+)*)", text):
            named |= {f"{module}.{name}" for name in names.split(", ")}
        pages |= dict.fromkeys(named - {key.name for key in keys.KEYS}, str(path))
    missing = {name: path for name, path in pages.items() if not (NO_MODULES.fullmatch(name) or exists(name))}
    assert missing == {}


def frames_of(text: str) -> list[tuple[str, str]]:
    """Return file and function of each frame that the page about a request's life shows."""
    block = text.partition("what it does\n")[2].partition("\n\n")[0]
    return [tuple(re.split(r"  +", line.strip())[:2]) for line in block.splitlines()]


@pytest.mark.parametrize("rewriting", [False, True], ids=["routed", "rewritten"])
def test_the_frames_of_a_request_are_those_of_the_page(tmp_path, rewriting):
    frames = []

    class Probe(Plugin):
        name, priority, forwards = "probe", 1, True

        def access(self, exchange):
            frames.extend(traceback.extract_stack())

    class Rewriting(Probe):
        def rewrite(self, exchange):
            exchange.environ["PATH_INFO"] = "/api"

    file = tmp_path / "gateway.json"
    settings = {"reload": False, "remote_user": "username", "store": "memory://"}
    routes, plugins = (
        [{"name": "api", "paths": ["/api"]}],
        [{"name": "key-auth", "config": {"anonymous": "any"}}],
    )
    file.write_text(
        json.dumps({**settings, "routes": routes, "plugins": plugins, "consumers": [{"username": "any"}]})
    )
    gateway = Gateway(hello_app, str(file), plugins=[Rewriting() if rewriting else Probe()])
    gateway.start()
    assert get(gateway, path="/api").status_code == 200

    names = [(re.sub(r"(.*/)?(plugmw/)", r"\2", frame.filename), frame.name) for frame in frames]
    first = names.index(("plugmw/kernel/worker.py", "__call__"))
    shown = [(re.sub(r"chain \d+", "chain 1", file), name) for file, name in names[first:-1]]
    expected = frames_of(page("request-life.rst"))
    if rewriting:
        expected[-2:] = [("plugmw/dispatch.py", "_rewrite"), ("<plugmw chain 1>", "enter")]
    assert shown == expected
    gateway.stop()


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
    block = re.search(
        r"```python\n(from plugmw import Plugin\n.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    names: dict[str, object] = {}
    exec(block[1], names)
    assert get(names["Greeting"]()).headers["X-Greeting"] == "hello"
