"""The commands for KrakenD's files: check, test-plugin, check-plugin."""

from __future__ import annotations

import json
import re

import pytest

from plugmw import cli
from tests.unit.dialects.krakend import conftest as sources

KRAKEND = {
    "version": 3,
    "endpoints": [{"endpoint": "/x", "backend": [{"host": ["http://a"], "url_pattern": "/x"}]}],
}
CLIENT = """
class ClientRegisterer:
    def register_clients(self, f):
        f("c", lambda context, extra: None)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with some plugins."""
    monkeypatch.chdir(tmp_path)
    handler, modifier = sources.HANDLER.format(name="h"), sources.MODIFIER.format(name="m")
    files = {
        "server.py": handler,
        "modifier.py": modifier,
        "all.py": handler + modifier + CLIENT,
        "wrong.py": "HandlerRegisterer = 5",
        "broken.py": "1/0",
        "raising.py": "class HandlerRegisterer:\n    def register_handlers(self, f): raise ValueError('no')",
        "leaving.py": "import sys\nsys.exit(3)",
        "late.py": "import sys\nclass HandlerRegisterer:\n    def register_handlers(self, f): sys.exit(3)",
        "a.py": "1/0",
        "ba.py": handler,
        "library.so": "no library",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Run a command; returns (status, stdout, stderr)."""

    def run_(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run_


def write(folder, content, name="krakend.json"):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


# -- check ----------------------------------------------------------------------------------------------


def test_check_says_that_a_file_is_good(run, folder):
    assert run("check", write(folder, KRAKEND)) == (0, "krakend.json: good, 1 entry, 0 routes\n", "")


def test_check_refuses_another_version(run, folder):
    status, _, err = run("check", write(folder, {**KRAKEND, "version": 2}))
    assert (status, err) == (
        1,
        "krakend.json: version: unsupported version: 2 (want: 3), expected version 3: "
        "krakend-config-migrator writes a file of version 2 anew\n",
    )


FAILING = """
class HandlerRegisterer:
    def register_handlers(self, f):
        f("h", self.handler)

    def handler(self, context, extra, handler):
        raise ValueError("no section")

class ModifierRegisterer:
    def register_modifiers(self, f):
        f("m", self.modifier, True, False)

    def modifier(self, extra):
        raise ValueError("no section")
"""


def guarded(**root):
    return {**KRAKEND, "plugin": {"folder": "guards", "pattern": ".py"}, **root}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (FAILING, "cannot be started: plugin/http-server: Error getting the plugin handler: no section"),
        (sources.HANDLER.format(name="other"), 'name: no plugin "h"'),
        ("1/0", "plugin.folder: guards/h.py: ZeroDivisionError: division by zero"),
    ],
    ids=["failing", "missing", "broken"],
)
def test_check_reports_a_server_plugin_that_a_start_would_leave_out(run, folder, text, problem):
    (folder / "guards").mkdir()
    write(folder, text, "guards/h.py")
    content = guarded(extra_config={"plugin/http-server": {"name": ["h"]}})
    status, out, err = run("check", write(folder, content))
    assert (status, out) == (1, "")
    assert err.splitlines()[0].startswith("krakend.json: ")
    assert problem in err


def test_check_reports_a_modifier_of_an_endpoint_whose_factory_fails(run, folder):
    (folder / "guards").mkdir()
    write(folder, FAILING, "guards/h.py")
    endpoints = [{**KRAKEND["endpoints"][0], "extra_config": {"plugin/req-resp-modifier": {"name": ["m"]}}}]
    status, _, err = run("check", write(folder, guarded(endpoints=endpoints)))
    assert status == 1
    assert err.startswith("krakend.json: endpoints: cannot be started: plugin/req-resp-modifier: ")
    assert "no section" in err


def test_check_is_content_with_what_a_start_in_compat_leaves_out(run, folder):
    (folder / "guards").mkdir()
    write(folder, FAILING, "guards/h.py")
    server = {"plugin/http-server": {"name": ["h"]}, "plugmw": {"compat": True}}
    assert run("check", write(folder, guarded(extra_config=server)))[0] == 0


def test_check_tells_all_errors_at_once(run, folder):
    bad = {"endpoint": "/__health", "method": "GTE", "backend": []}
    status, _, err = run("check", write(folder, {**KRAKEND, "endpoints": [bad]}))
    assert (status, len(err.splitlines())) == (1, 3)


def test_check_of_a_file_that_is_not_there_is_a_usage_error(run):
    assert run("check", "none.json", "--lint")[0] == 2


def test_check_of_broken_json_tells_the_line(run, folder):
    status, _, err = run("check", write(folder, '{\n"version": 3,,'), "--lint")
    assert (status, err.startswith("krakend.json:2: not JSON")) == (1, True)


def test_check_warns_of_unknown_fields_unless_linting_makes_errors_of_them(run, folder):
    name = write(folder, {**KRAKEND, "tiemout": "2s"})
    problem = 'krakend.json: tiemout: unknown field "tiemout"; did you mean "timeout"?\n'
    assert run("check", name) == (0, f"{name}: good, 1 entry, 0 routes\n", f"warning: {problem}")
    assert run("check", "--lint", name) == (1, "", problem)


def test_linting_adds_to_the_errors_of_the_check(run, folder):
    status, _, err = run("check", "--lint", write(folder, {**KRAKEND, "version": 2, "tiemout": "2s"}))
    assert (status, [line.split(":")[1] for line in err.splitlines()]) == (1, [" version", " tiemout"])


def test_linting_a_good_file_finds_nothing(run, folder):
    assert run("check", "--lint", write(folder, KRAKEND))[0] == 0


def test_linting_of_a_gateway_file_finds_no_more_than_the_check(run, folder):
    name = write(folder, "store: memory://", "gateway.yaml")
    assert (
        run("check", "--lint", name) == run("check", name) == (0, f"{name}: good, 0 entries, 0 routes\n", "")
    )


# -- test-plugin ----------------------------------------------------------------------------------------


def lines(out):
    """Return the lines of an output, its time replaced by T."""
    return re.sub(r"in \d+\.\d+ms", "in T", out).splitlines()


def test_a_plugin_of_every_kind_is_good_in_krakend_s_order(run):
    status, out, err = run("test-plugin", "-c", "-m", "-s", "all.py")
    assert (status, err) == (0, "")
    assert lines(out) == [
        "[OK] SERVER\tall.py",
        "[OK] MODIFIER\tall.py",
        "[OK] CLIENT\tall.py",
        "[OK] 1 tested plugin(s) in T",
    ]


@pytest.mark.parametrize(
    ("flag", "file", "line"),
    [
        ("-s", "modifier.py", "SERVER\tmodifier.py: The plugin does not contain a HandlerRegisterer."),
        ("-m", "server.py", "MODIFIER\tserver.py: The plugin does not contain a ModifierRegisterer."),
        ("-c", "server.py", "CLIENT\tserver.py: The plugin does not contain a ClientRegisterer."),
        ("-s", "wrong.py", "SERVER\twrong.py: http-server-handler plugin loader: unknown type"),
        ("-s", "broken.py", "SERVER\tbroken.py: ZeroDivisionError: division by zero"),
        ("-s", "raising.py", "SERVER\traising.py: plugin #0 (FILE): ValueError: no"),
        ("-s", "leaving.py", "SERVER\tleaving.py: it ended the program when it was imported"),
        ("-s", "late.py", "SERVER\tlate.py: it ended the program when it was registered"),
        ("-s", "library.so", "SERVER\tlibrary.so: ImportError"),
        ("-s", "none.py", "Unable to open the plugin none.py."),
        ("--server", "a.py", "SERVER\ta.py: ZeroDivisionError: division by zero"),
    ],
)
def test_a_plugin_that_is_not_good_fails(run, flag, file, line):
    status, out, _ = run("test-plugin", flag, file)
    first, *rest = lines(out)
    assert first.startswith(f"[KO] {line.replace('plugin #0 (FILE): ', '')}")
    assert (status, rest) == (1, ["[KO] 1 tested plugin(s) in T.", "1 plugin(s) failed."])


def test_a_file_whose_name_ends_like_another_one_is_tested_alone(run):
    assert run("test-plugin", "-s", "ba.py")[0] == 0


def test_files_that_fail_are_counted_once_each(run):
    status, out, _ = run("test-plugin", "-s", "-m", "broken.py", "all.py", "none.py")
    assert status == 1
    assert lines(out) == [
        "[KO] SERVER\tbroken.py: ZeroDivisionError: division by zero",
        "[KO] MODIFIER\tbroken.py: ZeroDivisionError: division by zero",
        "[OK] SERVER\tall.py",
        "[OK] MODIFIER\tall.py",
        "[KO] Unable to open the plugin none.py.",
        "[KO] 3 tested plugin(s) in T.",
        "2 plugin(s) failed.",
    ]


def test_what_is_missing_is_told(run):
    assert run("test-plugin", "-s") == (1, "", "At least one plugin is required.\n")
    assert run("test-plugin", "all.py") == (1, "", "You must declare the expected type of the plugin.\n")
    assert run("check-plugin") == (1, "", "At least one plugin is required.\n")


# -- check-plugin ---------------------------------------------------------------------------------------

SCRIPT = """# /// script
# requires-python = "{python}"
# dependencies = [
#   "attrs>=23",
#   "nothing-like-this",
# ]
# ///
#
"""


@pytest.mark.parametrize(
    "text",
    [
        'REQUIREMENTS = ["attrs>=23"]',
        'REQUIREMENTS: list[str] = ["attrs>=23", "nothing; python_version < \'3\'"]\n1/0',
        "import nothing_like_this\nREQUIREMENTS = ('attrs',)",
        '# /// script\n# dependencies = ["attrs>=23"]\n# ///\n',
        '# /// script\n# requires-python = ">=3.10"\n# ///\n',
    ],
)
def test_a_plugin_whose_requirements_are_met_is_good_and_not_executed(run, folder, text):
    name = write(folder, text, "plugin.py")
    assert run("check-plugin", name) == (0, "No incompatibilities found!\n", "")


def test_differences_are_told_with_what_is_there_and_what_is_wanted(run, folder):
    name = write(folder, SCRIPT.format(python=">=4") + 'REQUIREMENTS = ["werkzeug<1"]', "plugin.py")
    status, out, _ = run("check-plugin", name)
    told = re.sub(r"have: \d+\.\d[^\n]*", "have: V", out)
    assert status == 1
    assert told.splitlines() == [
        *("werkzeug", "\thave: V", "\twant: <1", "\tfrom: plugin.py"),
        *("nothing-like-this", "\thave: not installed", "\twant: any version", "\tfrom: plugin.py"),
        *("python", "\thave: V", "\twant: >=4", "\tfrom: plugin.py"),
        "3 incompatibilities found",
    ]


def test_a_list_of_requirements_is_compared_too(run, folder):
    write(folder, 'REQUIREMENTS = ["attrs"]', "plugin.py")
    name = write(folder, "# ours\nattrs>=23  # for classes\n\nnothing-like-this==1\n", "requirements.txt")
    status, out, _ = run("check-plugin", "plugin.py", "-r", name)
    assert (status, out.splitlines()[-1]) == (1, "1 incompatibilities found")


def test_a_plugin_that_declares_nothing_is_told(run):
    status, out, err = run("check-plugin", "server.py")
    assert (status, out) == (0, "No incompatibilities found!\n")
    assert err == "warning: server.py: declares no requirements\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("REQUIREMENTS = [5]", "REQUIREMENTS[0]: got 5, expected a requirement such as requests>=2.31"),
        ("REQUIREMENTS = ['a >>> 2']", "REQUIREMENTS[0]: got 'a >>> 2', expected a requirement such as"),
        ("REQUIREMENTS = list('a')", "REQUIREMENTS: is no literal, expected a list of texts, written out"),
        ("REQUIREMENTS = 'attrs'", "REQUIREMENTS: is no literal, expected a list of texts, written out"),
        ("REQUIREMENTS: list[str]", "REQUIREMENTS: is no literal, expected a list of texts, written out"),
        ("def (", "not Python: "),
        ("# /// script\n# dependencies = 5\n# ///\n", "dependencies: got 5, expected a list of texts"),
        ("# /// script\n# dependencies = [5]\n# ///\n", "dependencies[0]: got 5, expected a requirement"),
        ("# /// script\n# requires-python = 5\n# ///\n", "requires-python: got 5, expected versions such as"),
        ("# /// script\n# requires-python = 'x'\n# ///\n", "requires-python: got 'x', expected versions"),
        ("# /// script\n# dependencies =\n# ///\n", "not TOML"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_place(run, folder, text, problem):
    status, _, err = run("check-plugin", write(folder, text, "plugin.py"))
    assert status == 1
    assert re.sub(r"^plugin\.py(:\d+)?: ", "", err).startswith(problem)


def test_an_option_in_a_list_of_requirements_is_an_error(run, folder):
    status, _, err = run("check-plugin", "-r", write(folder, "attrs\n-r more.txt", "requirements.txt"))
    assert (status, err.startswith("requirements.txt: line 2: got '-r more.txt', expected")) == (1, True)


def test_a_plugin_that_is_no_text_is_an_error(run, folder):
    (folder / "plugin.py").write_bytes(b"\xff\xfe")
    assert run("check-plugin", "plugin.py") == (
        1,
        "",
        "plugin.py: is no UTF-8 text, expected a Python file\n",
    )


def test_a_plugin_that_is_not_there_is_a_usage_error(run):
    assert run("check-plugin", "none.py") == (2, "", "none.py: no such file or directory\n")
