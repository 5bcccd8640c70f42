"""The command about Tyk's native plugins: plugin load."""

from __future__ import annotations

import inspect
from argparse import ArgumentParser, Namespace
from pathlib import Path

from plugmw.cli.command import BAD, GOOD, Command, Terminal
from plugmw.errors import LoadError


def _arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    text = "Load plugin files and say if they have a function."
    load = actions.add_parser("load", help=text, description=text)
    load.add_argument(
        "-f", "--file", required=True, metavar="FILE[,FILE]", help="files, as a definition has them"
    )
    load.add_argument("-s", "--symbol", required=True, metavar="NAME", help="the function in each of them")


def plugin(args: Namespace, terminal: Terminal) -> int:
    status = GOOD
    for file in args.file.split(","):
        try:
            text = f"loaded ok, got {_found(file, args.symbol)}"
        except LoadError as error:
            text, status = f"unexpected error: {error}", BAD
        terminal.print(f"[file={file}, symbol={args.symbol}] {text}")
    return status


def _found(file: str, name: str) -> str:
    """Return a function as it is written; raises :class:`LoadError`."""
    from plugmw.dialects.tyk.lookup import Lookup

    function = Lookup().function(file, name, Path())
    try:
        return f"{name}{inspect.signature(function)}"
    except (TypeError, ValueError):  # callables written in C
        return name


COMMANDS = (Command("plugin", "Load native plugins of Tyk's kind.", plugin, _arguments),)
