"""What a command is made of: its table entry, its output, its failures.

A command is one function ``(arguments, terminal) -> exit status`` and one :class:`Command` in the
``COMMANDS`` of its module; :mod:`plugmw.cli.program` lists the modules.
"""

from __future__ import annotations

import contextlib
import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Final, TextIO

import attrs

GOOD: Final = 0
#: Something in a file is wrong.
BAD: Final = 1
#: The command cannot be done: wrong arguments (as argparse), a file that cannot be read.
USAGE: Final = 2


class Failure(Exception):
    """A command ends with a message to the user and an exit status."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        self.message = message
        self.status = status
        super().__init__(message)


class Terminal:
    """Standard output and error: text that every encoding can hold, JSON in ASCII.

    A stream is None when the program was started with it closed (``>&-``): then nothing is written.
    """

    def __init__(self, out: TextIO | None, err: TextIO | None) -> None:
        self.out = out
        self.err = err

    def print(self, text: str) -> None:
        _write(self.out, text)

    def error(self, text: str) -> None:
        _write(self.err, text)

    def json(self, data: object) -> None:
        _write(self.out, json.dumps(data, indent=2, default=str))

    def flush(self) -> None:
        for stream in (self.out, self.err):
            if stream is not None:
                stream.flush()

    def abandon(self) -> None:
        """Give up on a pipe that was closed, so that the interpreter does not complain at exit."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (self.out, self.err):
            # A stream that is not of the operating system (a test's) has no number.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:
        stream.write(printable(text, stream.encoding) + "\n")


def printable(text: str, encoding: str | None) -> str:
    """Escape what this encoding cannot hold and what would steer a terminal; line feeds and tabs stay."""
    if not text.isascii():
        text = text.encode(encoding or "ascii", "backslashreplace").decode(encoding or "ascii")
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


@attrs.frozen
class Command:
    """One command of the program."""

    name: str
    #: One line, for the list of commands.
    help: str
    run: Callable[[Namespace, Terminal], int]
    #: Adds the command's arguments to its parser.
    arguments: Callable[[ArgumentParser], None] = lambda parser: None


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Align cells in columns two blanks apart; columns that are empty throughout are left out."""
    used = [i for i in range(max(map(len, rows), default=0)) if any(row[i] for row in rows[1:])]
    widths = [max(len(row[i]) for row in rows) for i in used]
    return [
        (indent + "  ".join(row[i].ljust(width) for i, width in zip(used, widths, strict=True))).rstrip()
        for row in rows
    ]
