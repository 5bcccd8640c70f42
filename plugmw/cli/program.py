"""The program: find the command, run it, turn what goes wrong into a message and an exit status."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from plugmw import __version__
from plugmw.cli import authors, bundles, consumers, gateway_file, krakend, reload, tyk
from plugmw.cli.command import BAD, Command, Failure, Terminal
from plugmw.errors import PlugmwError

COMMANDS: tuple[Command, ...] = (
    *gateway_file.COMMANDS,
    *authors.COMMANDS,
    *bundles.COMMANDS,
    *consumers.COMMANDS,
    *reload.COMMANDS,
    *krakend.COMMANDS,
    *tyk.COMMANDS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status. Usage errors raise ``SystemExit(2)``, as argparse does."""
    args = parser().parse_args(arguments)
    terminal = Terminal(sys.stdout, sys.stderr)
    try:
        try:
            status: int = args.command.run(args, terminal)
        except Failure as failure:
            terminal.error(failure.message)
            status = failure.status
        except PlugmwError as error:
            terminal.error(str(error))
            status = BAD
        terminal.flush()
        return status
    except BrokenPipeError:
        terminal.abandon()
        return 141  # what a shell reports for a program that SIGPIPE ended
    except KeyboardInterrupt:
        return 130  # the same for SIGINT


def parser() -> ArgumentParser:
    """Return the parser of the whole command line."""
    root = ArgumentParser(prog="plugmw", description="Check, show and try a gateway without a server.")
    root.add_argument("--version", action="version", version=f"plugmw {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        command.arguments(sub)
        sub.set_defaults(command=command)
    return root
