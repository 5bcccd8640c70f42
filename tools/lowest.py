"""Print the least versions that setup.py allows, as constraints for pip.

    python3 tools/lowest.py >constraints.txt
    pip install --constraint constraints.txt --editable '.[dev,docs]'

`tox -e lowest` and `.ci/run` run the tests with exactly these. Needs nothing but Python.
"""

from __future__ import annotations

import re
import runpy
import sys
import types
from pathlib import Path
from typing import Any

SETUP = Path(__file__).resolve().parents[1] / "setup.py"
#: A name, extras that a constraint must not have, the least version, an upper bound, a marker.
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?>=([0-9.]+)(?:,[^;]*)?(;.*)?")


def requirements() -> set[str]:
    """Return what setup.py asks for, all extras among it, without setuptools."""
    metadata: dict[str, Any] = {}
    recorder = types.ModuleType("setuptools")
    recorder.setup = metadata.update  # type: ignore[attr-defined]
    recorder.find_packages = lambda **_: []  # type: ignore[attr-defined]
    real = sys.modules.get("setuptools")
    sys.modules["setuptools"] = recorder
    try:
        runpy.run_path(str(SETUP))
    finally:
        del sys.modules["setuptools"]
        if real is not None:
            sys.modules["setuptools"] = real
    return {
        *metadata["install_requires"],
        *(name for extra in metadata["extras_require"].values() for name in extra),
    }


def constraint(requirement: str) -> str:
    """Return the constraint that pins a requirement to its least version."""
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise ValueError(f"{requirement!r} in setup.py names no least version")
    name, version, marker = match.groups()
    return f"{name}=={version}{marker or ''}"


def main() -> None:
    """Print one constraint a line."""
    print("\n".join(sorted(map(constraint, requirements()), key=str.lower)))


if __name__ == "__main__":
    main()
