"""What a process holds, read from /proc: memory of its own, file descriptors, threads."""

from __future__ import annotations

import os
from pathlib import Path

import attrs


@attrs.frozen
class Reading:
    """``anonymous`` is RssAnon in KiB: pages of files and of shared memory are not the process's own."""

    pid: int
    anonymous: int
    descriptors: int
    threads: int


def read(pid: int) -> Reading:
    """Look at a process."""
    return Reading(pid, status(pid, "RssAnon"), len(os.listdir(f"/proc/{pid}/fd")), status(pid, "Threads"))


def status(pid: int, name: str) -> int:
    """Return a number of ``/proc/PID/status``; ``VmHWM`` and the like in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise LookupError(name)


def forget_peak(pid: int) -> None:
    """Make ``VmHWM`` start again from the present size: proc(5), clear_refs, value 5."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
