"""The command line: each command through ``main``, and the real program for pipes, terminals and statuses."""

from __future__ import annotations

import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from plugmw import cli
from plugmw.cli import command, program
from plugmw.cli.command import Terminal, columns, printable
from plugmw.inspection import description
from plugmw.sources import Catalogue
from tests.support.servers import ROOT

GATEWAY = """
store: redis://me:secret@localhost:6379/0
routes:
  - {name: api, paths: [/api], service: orders, headers: {x-a: ["1", "2"]}}
  - {name: shop, paths: [/shop, /old]}
consumers:
  - {username: alice}
plugins:
  - {name: ip-restriction, config: {deny: [10.0.0.0/8]}}
  - {name: "tests.support.samples:Key", route: shop, config: {key: topsecret, hint: "ask us"}}
  - {name: "tests.support.samples:Limit", config: {minute: 5}}
  - {name: "tests.support.samples:Limit", config: {minute: 50}, consumer: alice, priority: 950}
  - {name: "tests.support.samples:Wrapper"}
  - {name: "tests.support.samples:Caller", after: [log], on_error: open}
  - {name: "tests.support.samples:Log"}
  - {name: "tests.support.samples:Log", instance: second, enabled: false}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(GATEWAY)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Run a command; returns (status, stdout, stderr)."""

    def run_(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run_


def write(folder, text, name="bad.yaml"):
    (folder / name).write_text(text)
    return name


# -- check --------------------------------------------------------------------------------------------


def test_check_says_that_a_file_is_good(run):
    assert run("check", "gateway.yaml") == (0, "gateway.yaml: good, 8 entries, 2 routes\n", "")


def test_check_counts_in_english(run, folder):
    name = write(folder, "routes: [{name: a, paths: [/]}]\nplugins: [{name: tests.support.samples:Log}]")
    assert run("check", name)[1] == "bad.yaml: good, 1 entry, 1 route\n"


BAD = """
plugins:
  - name: tests.support.samples:Limit
    config: {minute: -5}
  - name: ip-restrictoin
  - name: tests.support.samples:Key
    config: {key: [topsecret]}
stor: memory://
"""


def test_check_prints_every_error_with_its_path(run, folder):
    status, out, err = run("check", write(folder, BAD))
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        'bad.yaml: stor: unknown field "stor"; did you mean "store"?',
        "bad.yaml: plugins[0].config.minute: got -5, expected a number above 0",
        'bad.yaml: plugins[1].name: no plugin "ip-restrictoin"; did you mean "ip-restriction"?',
        "bad.yaml: plugins[2].config.key: got a secret value, expected a string",
    ]


def test_check_gives_errors_as_json(run, folder):
    status, out, err = run("check", write(folder, "stor: memory://"), "--json")
    told = json.loads(out)
    assert (status, err, told["ok"], told["warnings"]) == (1, "", False, [])
    problem = 'unknown field "stor"; did you mean "store"?'
    assert told["errors"] == [{"path": "stor", "source": "bad.yaml", "problem": problem, "expected": None}]


def test_check_gives_good_news_as_json(run):
    assert json.loads(run("check", "gateway.yaml", "--json")[1]) == {"ok": True, "errors": [], "warnings": []}


def test_check_marks_warnings(run, folder):
    text = "routes: [{name: a, paths: [/]}]\nplugins: [{name: tests.support.samples:Rewriter, route: a}]"
    status, _, err = run("check", write(folder, text))
    assert (status, err[:29]) == (0, "warning: bad.yaml: plugins[0]")
    assert len(json.loads(run("check", "bad.yaml", "--json")[1])["warnings"]) == 1


def test_check_of_broken_syntax_is_an_error_in_the_file(run, folder):
    status, _, err = run("check", write(folder, "{", "bad.json"))
    assert status == 1
    assert err.startswith("bad.json:1: not JSON at column 2")


@pytest.mark.parametrize("name", ["none.yaml", "folder.yaml"])
def test_check_of_a_file_that_cannot_be_read_is_a_usage_error(run, folder, name):
    (folder / "folder.yaml").mkdir()
    status, out, err = run("check", name)
    assert (status, out) == (2, "")
    assert err.startswith(f"{name}: ")
    status, out, err = run("check", name, "--json")
    assert (status, err, json.loads(out)["errors"][0]["source"]) == (2, "", name)


def test_check_recognises_foreign_documents(run, folder):
    status, _, err = run("check", write(folder, "{version: 2, endpoints: []}"))
    assert status == 1
    assert "unsupported version: 2 (want: 3)" in err


def test_the_dialect_can_be_said(run, folder):
    name = write(folder, '{"endpoints": []}', "mine.json")
    assert run("check", name)[2].startswith('mine.json: endpoints: unknown field "endpoints"')
    assert run("check", "--dialect", "krakend", name) == (
        1,
        "",
        "mine.json: version: unsupported version: 0 (want: 3)\n",
    )
    write(folder, "", "empty.toml")
    (folder / "lib").mkdir()
    assert run("check", "empty.toml", "--dialect", "prest")[:2] == (
        0,
        "empty.toml: good, 1 entry, 0 routes\n",
    )
    assert run("show", "--dialect", "prest", "empty.toml")[0] == 0
    assert run("explain", "empty.toml", "GET", "/_PLUGIN/a/B", "--dialect", "prest")[1].startswith(
        "GET /_PLUGIN/a/B -> 404 by functions"
    )
    assert run("reload", "empty.toml", "--dialect", "prest")[0] == 0


def test_a_folder_of_tyk_definitions_can_be_checked(run, folder):
    (folder / "apps").mkdir()
    write(folder, '{"name": "a", "use_keyless": true, "proxy": {"listen_path": "/a/"}}', "apps/a.json")
    assert run("check", "apps", "--dialect", "tyk")[:2] == (0, "apps: good, 0 entries, 1 route\n")
    assert run("check", "apps")[::2] == (2, "apps: is not a regular file, expected a file\n")


def test_check_names_the_places_of_a_kong_file(run, folder):
    plugins = "[{name: cors, config: {x: 1}}]"
    text = f"{{_format_version: '3.0', services: [{{name: a, url: 'http://a', plugins: {plugins}}}]}}"
    status, _, err = run("check", write(folder, text))
    assert status == 1
    assert err.startswith('bad.yaml: services[0].plugins[0].config.x: unknown field "x"')


def test_a_plugin_that_ends_the_program_on_import_does_not(run, folder):
    (folder / "ends_program.py").write_text("raise SystemExit(7)")
    status, _, err = run("check", write(folder, "plugins: [{name: 'ends_program:X'}]"))
    assert status == 1
    assert err == "bad.yaml: a plugin's module ended the program when it was imported\n"


# -- show ---------------------------------------------------------------------------------------------


def test_show_prints_the_order_of_a_route_and_why(run):
    status, out, _ = run("show", "gateway.yaml", "--route", "shop")
    assert status == 0
    assert out == (
        "store redis://***@localhost:6379/0\n"
        "\n"
        "route shop: paths /shop, /old\n"
        "  #  entry           priority  order by              phases           applies to      wins                      on_error  from        config\n"  # noqa: E501
        '  1  ip-restriction  3000      class                 access           all                                       closed    plugins[0]  deny=["10.0.0.0/8"]\n'  # noqa: E501
        '  2  key             1003      class                 access           route shop                                closed    plugins[1]  key=... hint="ask us"\n'  # noqa: E501
        "  3  limit           950       entry, class has 901  access           consumer alice  if the consumer is alice  closed    plugins[3]  minute=50\n"  # noqa: E501
        "                                                                      all             otherwise                 closed    plugins[2]  minute=5\n"  # noqa: E501
        "  4  wrapper         800       class                 wrap             all                                       closed    plugins[4]\n"  # noqa: E501
        "  -- wrap of wrapper: what follows runs inside it --\n"
        "  5  log             9         class                 init_worker log  all                                       closed    plugins[6]\n"  # noqa: E501
        "  6  caller          700       class; after log      access           all                                       open      plugins[5]\n"  # noqa: E501
        "\n"
        "disabled, in no chain\n"
        "  entry   applies to  from\n"
        "  second  all         plugins[7]\n"
    )


def test_show_prints_every_route(run):
    titles = [line for line in run("show", "gateway.yaml")[1].splitlines() if line and line[0] not in " s"]
    assert titles == [
        "route api: paths /api; headers x-a: 1 | 2; service orders",
        "route shop: paths /shop, /old",
        "requests without a route",
        "disabled, in no chain",
    ]


def test_show_of_a_file_without_routes_has_one_chain(run, folder):
    out = run("show", write(folder, "store: memory://"))[1]
    assert out == "store memory://\n\nevery request\n  no entries: the app is called as it is\n"


def test_show_says_what_is_hidden_and_what_is_answered_404(run, folder):
    text = """
        unrouted: "404"
        routes: [{name: a, paths: [/]}]
        plugins:
          - {name: "tests.support.samples:Limit", config: {minute: 5}, route: a}
          - {name: "tests.support.samples:Limit", config: {minute: 1}}
          - {name: "tests.support.samples:Rewriter", route: a}
    """
    out = run("show", write(folder, text))[1]
    assert "  never: limit for all (plugins[1]), another always wins here\n" in out
    assert "requests without a route, all answered 404\n" in out
    assert out.splitlines()[-1].startswith("warning: bad.yaml: plugins[2]: runs in rewrite")


def test_show_cuts_a_long_configuration(run, folder):
    text = f"plugins: [{{name: tests.support.samples:Key, config: {{key: k, hint: {'x' * 80}}}}}]"
    assert run("show", write(folder, text))[1].endswith("xx...\n")


def test_show_gives_json(run):
    status, out, _ = run("show", "gateway.yaml", "--json")
    told = json.loads(out)
    assert (status, [one["route"] for one in told["chains"]]) == (0, ["api", "shop", None])
    assert "topsecret" not in out


def test_show_of_an_unknown_route_is_a_usage_error(run):
    assert run("show", "gateway.yaml", "--route", "shpo") == (
        2,
        "",
        'gateway.yaml: no route "shpo"; did you mean "shop"?\n',
    )


def test_show_of_a_bad_file_prints_its_errors(run, folder):
    status, out, err = run("show", write(folder, BAD))
    assert (status, out, err.count("\n")) == (1, "", 4)


# -- explain ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_explain_prints_the_exit(run):
    status, out, _ = run("explain", "gateway.yaml", "GET", "/shop/1")
    assert status == 0
    assert out == (
        "GET /shop/1 -> 401 by key in access\n"
        "\n"
        "route: shop, because the path starts with /shop\n"
        "\n"
        "  #  entry           access    wrap  log  applies to     from\n"
        "  1  ip-restriction  ran                  all            plugins[0]\n"
        "  2  key             EXIT 401             route shop     plugins[1]\n"
        "  3  limit           -                    (not reached)\n"
        "  4  wrapper                   -          all            plugins[4]\n"
        "  5  log                             -    all            plugins[6]\n"
        "  6  caller          -                    all            plugins[5]\n"
        "  the app: not called\n"
        "\n"
        'body: {"message": "No API key found in request", "request_id": "explain"}\n'
    )


def test_explain_prints_what_calls_out_and_what_changed(run):
    out = run("explain", "gateway.yaml", "GET", "/shop/1", "-H", "apikey: topsecret")[1]
    assert out.startswith("GET /shop/1 -> 200 by the app\n")
    assert out.splitlines()[-4:] == [
        "key: request headers changed: X-Consumer-Id, X-Consumer-Username",
        "limit: response headers changed: X-RateLimit-Limit",
        "log: has effects outside the request",
        "caller: would connect to localhost:9",
    ]


def test_explain_takes_a_consumer_and_an_address(run):
    out = run("explain", "gateway.yaml", "GET", "/shop", "--consumer", "alice", "--from", "10.1.2.3")[1]
    assert out.startswith("GET /shop as alice -> 403 by ip-restriction in access\n")
    assert '"message": "IP address not allowed: 10.1.2.3"' in out


def test_explain_lets_entries_run_for_real(run, folder):
    name = write(folder, "plugins: [{name: tests.support.samples:Caller}]")
    out = run("explain", name, "GET", "/", "--run")[1]
    assert out.startswith("GET / -> 502 by caller in access\n")


@pytest.mark.slow
def test_explain_prints_routing(run):
    out = run("explain", "gateway.yaml", "GET", "/api/%252e%252e/shop", "-H", "x-a: 1")[1]
    assert "route: ambiguous: an app could read the path as one of another route" in out
    assert "  read as /shop: shop\n" in out
    out = run("explain", "gateway.yaml", "GET", "/other")[1]
    assert (
        "route: none, so only the entries for all requests count: no route has all its conditions met\n"
        in out
    )
    out = run("explain", "gateway.yaml", "GET", "/api", "-H", "x-a: 1")[1]
    assert "route: api of service orders, because the path starts with /api, the headers are there\n" in out


def test_explain_prints_routes_that_match_too(run, folder):
    name = write(folder, "routes: [{name: a, paths: [/a]}, {name: b, paths: [/]}]")
    assert "  b matches too, but has a shorter path\n" in run("explain", name, "GET", "/a")[1]


def test_explain_prints_notes_and_exceptions(run, folder):
    text = "consumers: [{username: alice}]\nplugins: [{name: boom:Boom}]"
    (folder / "boom.py").write_text(
        "from plugmw import Plugin\n"
        "class Boom(Plugin):\n"
        "    name = 'boom'\n"
        "    def wrap(self, app):\n"
        "        return lambda environ, start_response: 1 / 0\n"
    )
    out = run("explain", write(folder, text), "GET", "/", "--consumer", "alice")[1]
    assert "GET / as alice -> the exception ZeroDivisionError: division by zero\n" in out
    assert "note: no entry here authenticates" in out


def test_explain_gives_json(run):
    told = json.loads(run("explain", "gateway.yaml", "POST", "/shop", "--json")[1])
    assert (told["answer"]["status"], told["answer"]["by"]) == (401, "key")


def test_explain_of_an_unknown_consumer_is_a_usage_error(run):
    status, _, err = run("explain", "gateway.yaml", "GET", "/", "--consumer", "bob")
    assert (status, err) == (2, 'gateway.yaml: no consumer "bob"\n')


def test_explain_says_when_a_plugin_calls_out_outside_of_its_phases(run, folder):
    (folder / "calls_out.py").write_text(
        "import socket\n"
        "from plugmw import Plugin\n"
        "class Out(Plugin):\n"
        "    name = 'out'\n"
        "    def wrap(self, app):\n"
        "        socket.create_connection(('localhost', 9))\n"
    )
    status, _, err = run("explain", write(folder, "plugins: [{name: calls_out:Out}]"), "GET", "/")
    problem = "a plugin would connect to localhost:9 outside of its phases; --run lets it"
    assert (status, err) == (1, f"bad.yaml: {problem}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("GET", "no-slash"),
        ("GET", "/", "-H", "no colon"),
        ("GET", "/", "-H", "bad name: x"),
        ("GET", "/", "-H", "x: a\x00b"),
        (),
    ],
)
def test_explain_refuses_bad_arguments(run, capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        run("explain", "gateway.yaml", *arguments)
    assert ended.value.code == 2
    assert "plugmw explain: error:" in capsys.readouterr().err


# -- plugins, schema ----------------------------------------------------------------------------------


def test_plugins_lists_the_bundled_ones(run):
    status, out, _ = run("plugins")
    assert (status, out.split()[:4]) == (0, ["name", "priority", "version", "phases"])
    (line,) = [line for line in out.splitlines() if line.startswith("ip-restriction")]
    assert line.split()[:5] == ["ip-restriction", "3000", "0.1.0", "access", "bundled"]


def test_plugins_counts_the_folders_of_a_file(run, folder):
    run("new", "my-hello")
    out = run("plugins", write(folder, "folders: [{path: plugins}]"), "--json")[1]
    (mine,) = [one for one in json.loads(out) if one["name"] == "my-hello"]
    assert (mine["source"], mine["summary"]) == ("plugins", "Greet in a response header.")


@pytest.mark.parametrize("remedy", ["pip install 'plugmw[ldap]'", None])
def test_plugins_says_what_a_plugin_lacks(run, monkeypatch, remedy):
    from plugmw.inspection import description

    told = {"name": "ldap-auth", "source": "bundled", "problem": "needs the library ldap3", "remedy": remedy}
    monkeypatch.setattr(description, "plugins", lambda catalogue: [told])
    line = run("plugins")[1].splitlines()[1]
    expected = "not usable: needs the library ldap3" + (f"; {remedy}" if remedy else "")
    assert line.split("bundled")[1].strip() == expected


@pytest.mark.slow
def test_schema_is_a_json_schema_that_the_gateway_file_meets(run):
    import yaml

    status, out, _ = run("schema")
    assert status == 0
    # That this is a schema is proven in inspection/test_description.py.
    assert json.loads(out) == json.loads(json.dumps(description.file_schema(Catalogue())))
    assert Draft202012Validator(json.loads(out)).is_valid(yaml.safe_load(GATEWAY))


def test_schema_of_a_bad_file_prints_its_errors(run, folder):
    assert run("schema", write(folder, BAD))[0] == 1


def test_new_never_overwrites(run, folder):
    run("new", "my-hello")
    (folder / "plugins/my_hello.py").write_text("mine")
    status, _, err = run("new", "my-hello")
    assert (status, err) == (
        1,
        "plugins/my_hello.py, plugins/tests/test_my_hello.py: exists already, nothing written\n",
    )
    assert (folder / "plugins/my_hello.py").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["My-Plugin", "my_plugin", "5x", "../x", "none", "config", "ip-restriction", ""]
)
def test_new_refuses_names_that_would_not_work(run, folder, name):
    status, _, err = run("new", name)
    assert (status, err.startswith(f"name: got {name!r}, expected")) == (2, True)
    assert not (folder / "plugins").exists()


def test_new_says_why_a_file_cannot_be_written(run, folder):
    write(folder, "", "plugins")
    status, _, err = run("new", "my-hello")
    assert (status, err) == (1, "plugins/my_hello.py: cannot be written: File exists\n")


# -- the program --------------------------------------------------------------------------------------


def test_every_command_has_a_help_and_its_own_entry(capsys):
    names = [one.name for one in program.COMMANDS]
    assert len(set(names)) == len(names)
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    # Where lines are broken is argparse's choice.
    out = " ".join(capsys.readouterr().out.split())
    assert all(one.name in out and one.help in out for one in program.COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["check"], ["show", "--no-such-option"]])
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: plugmw")


def test_an_interrupt_ends_quietly(run, monkeypatch):
    monkeypatch.setattr(
        "plugmw.inspection.description.plugins", lambda catalogue: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert run("plugins") == (130, "", "")


class Closed(io.StringIO):
    """A pipe that nobody reads."""

    def write(self, text):
        raise BrokenPipeError


def test_a_closed_pipe_ends_quietly(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Closed())
    # Else pytest's own file for it would be given up, too.
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert cli.main(["show", "gateway.yaml"]) == 141


def test_closed_streams_are_written_nothing():
    terminal = Terminal(None, None)
    terminal.print("x")
    terminal.error("x")
    terminal.flush()
    terminal.abandon()


@pytest.mark.parametrize(
    ("text", "encoding", "printed"),
    [
        ("café", "utf-8", "café"),
        ("café €", "latin-1", "café \\u20ac"),
        ("café", "ascii", "caf\\xe9"),
        ("café", None, "caf\\xe9"),
        ("\x1b[2Jtwo\nlines\r", "utf-8", "\\x1b[2Jtwo\nlines\\r"),
        ("\udcff", "utf-8", "\\udcff"),
        ("a\u202eb", "utf-8", "a\\u202eb"),
    ],
)
def test_prints_what_the_terminal_can_hold_and_nothing_that_steers_it(text, encoding, printed):
    assert printable(text, encoding) == printed


def test_columns_are_aligned_and_empty_ones_left_out():
    assert columns([("a", "b", "c"), ("1", "", "333"), ("22", "", "")], " ") == [" a   c", " 1   333", " 22"]
    assert columns([]) == []


def test_json_has_what_it_does_not_know_as_text():
    out = io.StringIO()
    Terminal(out, out).json({"path": Path("x")})
    assert json.loads(out.getvalue()) == {"path": "x"}


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def plugmw(*arguments, **more):
    whole = [sys.executable, "-X", "dev", "-W", "error", "-m", "plugmw", *arguments]
    return subprocess.run(whole, capture_output=True, timeout=60, env=environment(**more))


def test_a_failure_carries_its_status():
    assert command.Failure("x").status == command.USAGE


# -- the documentation --------------------------------------------------------------------------------

PAGE = (ROOT / "docs/cli.rst").read_text(encoding="utf-8")


def blocks(kind):
    """Return the code blocks of this kind, without their indentation."""
    found = re.findall(rf"\.\. code-block:: {kind}\n((?:    .*\n|\n)+)", PAGE)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in found]


def test_the_page_names_every_command():
    assert all(f"\nplugmw {one.name}" in PAGE for one in program.COMMANDS)


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.partition("\n")[0])
def test_the_page_prints_what_the_program_prints(run, folder, monkeypatch, block):
    monkeypatch.delenv("ALICE_KEY", raising=False)
    for caption, text in re.findall(r":caption: (\S+)\n\n((?:    .*\n)+)", PAGE):
        write(folder, text, caption)
    line, _, expected = block.partition("\n")
    _, out, err = run(*shlex.split(line)[2:])
    assert doctest.OutputChecker().check_output(expected, out + err, doctest.ELLIPSIS), out + err


# -- what a start would build -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "status", "problem"),
    [
        ("def HelloMiddlewareLoad(rw, rq, next): next(rw, rq)", 0, ""),
        ("1/0", 1, 'plugins[0]: cannot be started: lib/middlewares/hello.py: plugin.Open("hello")'),
        ("def HelloMiddlewareLoad(a, b): pass", 1, "middleware HelloMiddlewareLoad is no func(rw, rq, next)"),
    ],
)
def test_check_builds_the_middleware_of_functions(run, folder, source, status, problem):
    (folder / "lib/middlewares").mkdir(parents=True)
    (folder / "lib/middlewares/hello.py").write_text(source, encoding="utf-8")
    config = "{path: lib, middlewares: [{file: hello, func: Hello}]}"
    name = write(folder, f"plugins: [{{name: functions, config: {config}}}]")
    found, _, err = run("check", name)
    assert found == status
    assert problem in err.replace(f"{folder}/", "")


def test_strict_makes_errors_of_warnings(run, folder):
    entry = "{name: key-auth, route: admin}"
    name = write(folder, f"routes: [{{name: admin, paths: [/]}}]\nplugins: [{entry}]")
    status, out, err = run("check", name)
    assert (status, out) == (0, "bad.yaml: good, 1 entry, 1 route\n")
    assert err.startswith("warning: bad.yaml: plugins[0]: ")
    assert run("check", "--strict", name) == (1, "", err.removeprefix("warning: "))
    assert run("check", "--strict", "gateway.yaml")[0] == 0
    report = json.loads(run("check", "--strict", "--json", name)[1])
    assert (report["ok"], len(report["errors"]), report["warnings"]) == (False, 1, [])


def test_reload_does_not_spread_what_would_not_start(run, folder):
    (folder / "mine.py").write_text(
        "class Mine:\n    PRIORITY, VERSION = 1, '1.0.0'\n"
        "    def __init__(self): raise KeyError('x')\n    def access(self, config): pass\n"
    )
    name = write(folder, "plugins: [{name: './mine.py:Mine'}]")
    assert run("reload", name) == (1, "", "bad.yaml: plugins[0]: cannot be started: KeyError: 'x'\n")


def test_a_bundle_is_fetched_only_online(run, folder):
    definition = {
        "name": "a",
        "use_keyless": True,
        "proxy": {"listen_path": "/a/"},
        "custom_middleware_bundle": "b.zip",
        "plugmw": {
            "tyk_conf": {
                "enable_bundle_downloader": True,
                "bundle_base_url": "http://127.0.0.1:1/",
                "allow_unsigned_bundles": True,
            }
        },
    }
    name = write(folder, json.dumps(definition), "api.json")
    status, _, err = run("check", name)
    assert (status, "nothing is fetched to look at a file" in err) == (0, True)
    status, _, err = run("check", "--online", name)
    assert (status, "api.json: custom_middleware_bundle: " in err, "refused" in err) == (1, True, True)


def test_check_reports_a_plugin_whose_rehearsal_raises(run, folder):
    (folder / "mine.py").write_text(
        "from plugmw import Plugin\n"
        "class Mine(Plugin):\n"
        "    name = 'mine'\n"
        "    def access(self, x): pass\n"
        "    def rehearse(self): raise KeyError('x')\n",
        encoding="utf-8",
    )
    name = write(
        folder, "folders: [{path: .}]\nplugins: [{name: mine}, {name: mine, enabled: false, instance: b}]"
    )
    status, _, err = run("check", name)
    assert (status, err) == (1, f"{name}: plugins[0]: cannot be started: KeyError: 'x'\n")
