"""The command that makes running gateways take their configuration again: reload."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from plugmw.cli.command import GOOD, Command, Failure, Terminal
from plugmw.cli.gateway_file import add_dialect, read
from plugmw.configuration.rehearsal import rehearse
from plugmw.errors import ConfigErrors


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the gateway file, as the servers were given it")
    add_dialect(parser)


def reload(args: Namespace, terminal: Terminal) -> int:
    plan = read(args.file, args.dialect)
    errors, _ = rehearse(plan)
    if errors:
        raise ConfigErrors(errors)
    if not plan.settings.reload:
        raise Failure(f"{args.file}: reload is false, so nobody watches it; restart the workers instead")
    for path in plan.document.files:
        try:
            os.utime(path)
        except OSError as error:
            raise Failure(f"{path}: cannot be touched: {(error.strerror or str(error)).lower()}") from None
    terminal.print(f"{args.file}: good; every worker that watches it takes it within a second")
    return GOOD


COMMANDS = (
    Command("reload", "Check a gateway file, and make running gateways take it again.", reload, _arguments),
)
