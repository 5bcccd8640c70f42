"""Terminal sessions in a README, run again: what the text shows is what comes back.

A fenced ``console`` block is a session: a line that starts with ``$`` is a command, the lines below it are
what it printed, ``...`` is anything left out. Ids, dates and seconds left may differ.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.servers import ROOT, require_program

#: The address that every README shows; the tests' servers listen somewhere else.
SHOWN = "http://127.0.0.1:8000"
_COMMANDS = {"plugmw": "-m plugmw", "python": ""}
_MASKS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(#\d+)?"), "<uuid>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"((?:RateLimit-Reset|Retry-After): )\d+"), r"\1<seconds>"),
    (re.compile(r"\bin \d+\.\d+s\b"), "in <seconds>"),
)


def sessions(readme: Path) -> list[tuple[str, list[str]]]:
    """Return (command, lines shown below it) for every command of the console blocks."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", readme.read_text(encoding="utf-8"), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found[-1][0].endswith("\\"):
                found[-1] = (f"{found[-1][0]}\n{line}", [])
            else:
                found[-1][1].append(line)
    return found


def check_sessions(readme: Path, url: str = SHOWN, folder: Path | None = None) -> None:
    """Run every command in ``folder`` (the README's own) with ``url`` for the address shown."""
    require_program("curl")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    # The tests' own plugmw and Python, also where none is installed.
    shell = "".join(f'{name}() {{ "{sys.executable}" {what} "$@"; }}\n' for name, what in _COMMANDS.items())
    ran = 0
    for command, shown in sessions(readme):
        done = subprocess.run(
            ["sh", "-c", shell + command.replace(SHOWN, url)],
            cwd=folder or readme.parent,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
        )
        assert_shown(command, shown, done.stdout)
        ran += 1
    assert ran, f"{readme} shows no session"


def assert_shown(command: str, shown: list[str], output: str) -> None:
    """Fail unless the lines shown come in this order in the output, each whole."""
    lines = iter([mask(line) for line in output.splitlines()])
    for line in shown:
        if line.strip() and line.strip() != "...":
            assert mask(line) in lines, f"$ {command}\n{output}\n-- does not have, at its place: {line}"


def mask(line: str) -> str:
    """Put names in the place of what differs from run to run."""
    line = line.rstrip()
    for pattern, name in _MASKS:
        line = pattern.sub(name, line)
    return line
