"""File names that say what a build is for: ``hello_v5.3.0_linux_arm64.so``, as Tyk's compiler writes.

One folder can so hold builds of a plugin for several gateways and machines; :func:`candidates` gives the
order in which a gateway looks for its own.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Final

_SYSTEMS: Final = {"win32": "windows", "cygwin": "windows"}
_MACHINES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "win32": "386",
    "i686": "386",
    "armv6l": "arm",
    "armv7l": "arm",
}


def goos() -> str:
    """Return this system as Go calls it: ``linux``, ``darwin``, ``windows``."""
    return _SYSTEMS.get(sys.platform, sys.platform)


def goarch(machine: str | None = None) -> str:
    """Return a processor (this one) as Go calls it: ``amd64``, ``arm64``."""
    name = (machine or platform.machine()).lower()
    return _MACHINES.get(name, name)


def build_name(stem: str, version: str, system: str, processor: str, ext: str) -> str:
    """Return the name of a build; ``version`` may have its ``v`` or not."""
    return f"{stem}_v{version.removeprefix('v')}_{system}_{processor}{ext}"


def candidates(path: str | Path, version: str) -> list[Path]:
    """Return where to look for a plugin, the build for this machine and version first, ``path`` itself last.

    The order of ``goplugin/plugin_name_builder.go`` of Tyk; its documents have another one.
    """
    exact = Path(path)
    named = build_name(exact.stem, version, goos(), goarch(), exact.suffix)
    plain = named.replace(f"{exact.stem}_v", f"{exact.stem}_", 1)
    return [exact.with_name(named), exact.with_name(plain), exact]
