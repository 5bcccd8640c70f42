"""Commands for those who write files and plugins: plugins, schema, new."""

from __future__ import annotations

import keyword
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from plugmw.cli.command import BAD, GOOD, Command, Failure, Terminal, columns
from plugmw.cli.gateway_file import read
from plugmw.inspection import description
from plugmw.inspection.reports import PluginReport
from plugmw.sources import Catalogue


def _catalogue(file: str | None) -> Catalogue:
    return read(file).catalogue if file else Catalogue()


def _optional_file(parser: ArgumentParser) -> None:
    text = "a gateway file whose plugin folders count too"
    parser.add_argument("file", metavar="FILE", nargs="?", help=text)


# -- plugins ------------------------------------------------------------------------------------------


def _plugins_arguments(parser: ArgumentParser) -> None:
    _optional_file(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def plugins(args: Namespace, terminal: Terminal) -> int:
    reports = description.plugins(_catalogue(args.file))
    if args.json:
        terminal.json(reports)
        return GOOD
    head = ("name", "priority", "version", "phases", "source", "summary")
    terminal.print("\n".join(columns([head, *map(_plugin_row, reports)])))
    return GOOD


def _plugin_row(one: PluginReport) -> tuple[str, ...]:
    if one["problem"]:
        remedy = f"; {one['remedy']}" if one["remedy"] else ""
        return one["name"], "-", "-", "-", one["source"], f"not usable: {one['problem']}{remedy}"
    head = (one["name"], str(one["priority"]), one["version"] or "")
    return *head, " ".join(one["phases"]), one["source"], one["summary"]


# -- schema -------------------------------------------------------------------------------------------


def schema(args: Namespace, terminal: Terminal) -> int:
    terminal.json(description.file_schema(_catalogue(args.file)))
    return GOOD


# -- new ----------------------------------------------------------------------------------------------

_PLUGIN: Final = '''"""Greet in a response header."""

from plugmw import Plugin, config, field


@config
class Config:
    greeting: str = field("hello", help="What the header says.")


class {cls}(Plugin[Config]):
    name, priority, Config = "{name}", 500, Config

    def header_filter(self, exchange):
        exchange.set_header("X-{header}", self.config.greeting)
'''

_TEST: Final = '''"""{name}: what it does to an answer."""

from pathlib import Path

from plugmw.loading.imports import load_file
from plugmw.testing import get

{cls} = load_file(Path(__file__).parent.parent / "{module}.py").{cls}


def test_greets_in_a_response_header():
    assert get({cls}(greeting="hi")).headers["X-{header}"] == "hi"
'''


def _new_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the plugin, such as my-plugin")
    parser.add_argument("--folder", metavar="DIR", default="plugins", help="where to write (%(default)s)")


def new(args: Namespace, terminal: Terminal) -> int:
    name = args.name
    words = {"name": name, "module": name.replace("-", "_"), "header": name.title()}
    words["cls"] = words["header"].replace("-", "")
    _check_name(name, words["cls"])
    folder = Path(args.folder)
    plugin, test = folder / f"{words['module']}.py", folder / "tests" / f"test_{words['module']}.py"
    _write({plugin: _PLUGIN.format(**words), test: _TEST.format(**words)})
    terminal.print(f"wrote {plugin} and {test}")
    terminal.print(f"try it:     python -m pytest {test}")
    terminal.print("use it, in a gateway file beside the folder:")
    terminal.print(f"  folders:\n    - path: {folder}\n  plugins:\n    - name: {name}")
    return GOOD


def _check_name(name: str, cls: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise Failure(f"name: got {name!r}, expected small letters and digits, with - between words")
    if keyword.iskeyword(cls) or cls in ("Plugin", "Config"):
        raise Failure(f"name: got {name!r}, expected another: its class would be {cls}")
    if name in Catalogue().names():
        raise Failure(f"name: got {name!r}, expected another: there is a plugin of that name")


def _write(texts: dict[Path, str]) -> None:
    """Write the files, or none of them when one is there already."""
    there = [str(path) for path in texts if path.exists()]
    if there:
        raise Failure(f"{', '.join(there)}: exists already, nothing written", BAD)
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Failure(f"{path}: cannot be written: {error.strerror}", BAD) from None


COMMANDS = (
    Command("plugins", "List every plugin that can be named in a file.", plugins, _plugins_arguments),
    Command("schema", "Print the JSON Schema of a gateway file, for editors.", schema, _optional_file),
    Command("new", "Write a plugin file and its test to start from.", new, _new_arguments),
)
