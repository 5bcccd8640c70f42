"""Commands about KrakenD-style plugin files: test-plugin, check-plugin."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from plugmw.cli.command import BAD, GOOD, Command, Failure, Terminal
from plugmw.errors import LoadError

#: In the order of the original's output.
_KINDS: Final = ("server", "modifier", "client")


# -- test-plugin --------------------------------------------------------------------------------------


def _test_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help="the plugin's file")
    for kind in _KINDS:
        text = f"the plugin must be a {kind} plugin"
        parser.add_argument(f"-{kind[0]}", f"--{kind}", action="store_true", help=text)


def test_plugin(args: Namespace, terminal: Terminal) -> int:
    kinds = [kind for kind in _KINDS if getattr(args, kind)]
    if not args.files:
        raise Failure("At least one plugin is required.", BAD)
    if not kinds:
        raise Failure("You must declare the expected type of the plugin.", BAD)
    began, failed = time.monotonic(), 0
    for file in args.files:
        lines = list(_tested(file, kinds))
        failed += any(line.startswith("[KO]") for line in lines)
        terminal.print("\n".join(lines))
    taken = f"{(time.monotonic() - began) * 1000:.3f}ms"
    if not failed:
        terminal.print(f"[OK] {len(args.files)} tested plugin(s) in {taken}")
        return GOOD
    terminal.print(f"[KO] {len(args.files)} tested plugin(s) in {taken}.\n{failed} plugin(s) failed.")
    return BAD


def _tested(file: str, kinds: list[str]) -> Iterator[str]:
    """Yield a line for each kind of one file, which is executed once."""
    from plugmw.loading.imports import load_file

    if not os.path.exists(file):
        yield f"[KO] Unable to open the plugin {file}."
        return
    module: ModuleType | str
    try:
        module = load_file(Path(file))
    except LoadError as error:
        module = error.what
    except SystemExit:
        module = "it ended the program when it was imported"
    for kind in kinds:
        problem = module if isinstance(module, str) else _problem(module, kind)
        yield f"[{'KO' if problem else 'OK'}] {kind.upper()}\t{file}" + (f": {problem}" if problem else "")


def _problem(module: ModuleType, name: str) -> str:
    """Register one kind from a module; return what is wrong, ``""`` if nothing is."""
    from plugmw.dialects.krakend.loader import Loader
    from plugmw.dialects.krakend.registry import CLIENT, HANDLER, MODIFIER
    from plugmw.kernel.runtime import NoLogger

    kind = {"server": HANDLER, "modifier": MODIFIER, "client": CLIENT}[name]
    if getattr(module, kind.symbol, None) is None:
        return f"The plugin does not contain a {kind.symbol}."
    loader = Loader(NoLogger())
    try:
        loader.load(module, kind)
    except SystemExit:
        return "it ended the program when it was registered"
    return loader.errors[0].what if loader.errors else ""


# -- check-plugin -------------------------------------------------------------------------------------


def _check_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help="the plugin's file")
    text = "a requirements.txt to compare too"
    parser.add_argument(
        "-r", "--requirements", metavar="FILE", action="append", default=[], dest="lists", help=text
    )


def check_plugin(args: Namespace, terminal: Terminal) -> int:
    from plugmw.dialects.krakend.requirements import Difference, differences, of_list, of_plugin

    if not args.files and not args.lists:
        raise Failure("At least one plugin is required.", BAD)
    problems: list[Difference] = []
    for file, read in [
        *((file, of_plugin) for file in args.files),
        *((file, of_list) for file in args.lists),
    ]:
        try:
            wanted = read(file)
        except OSError as error:
            raise Failure(f"{file}: {(error.strerror or str(error)).lower()}") from None
        if not wanted:
            terminal.error(f"warning: {file}: declares no requirements")
        problems += differences(wanted, file)
    for one in problems:
        terminal.print(f"{one.name}\n\thave: {one.have}\n\twant: {one.want}\n\tfrom: {one.source}")
    terminal.print(f"{len(problems)} incompatibilities found" if problems else "No incompatibilities found!")
    return BAD if problems else GOOD


COMMANDS = (
    Command(
        "test-plugin", "Load KrakenD-style plugins and say if they are good.", test_plugin, _test_arguments
    ),
    Command(
        "check-plugin",
        "Compare what plugins need with what is installed.",
        check_plugin,
        _check_arguments,
    ),
)
