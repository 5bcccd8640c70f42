"""Make the environment `.venv` of this clone, with plugmw and the extras named, and print its Python.

    python3 tools/environment.py flask            # plugmw[flask]
    python3 tools/environment.py dev docs         # all that the tests need
    python3 tools/environment.py rpc kong-pdk==0.36   # another library beside, in this version

Needs Python 3.10 or later and pip, nothing else: neither Debian's python3-venv nor an activated
environment. What was installed already for the same setup.py stays, so that a second call takes no time.
`PLUGMW_VENV` names another folder.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = Path(os.environ.get("PLUGMW_VENV") or ROOT / ".venv")


def main(wanted: list[str]) -> int:
    """Make or complete the environment; everything but the path goes to standard error."""
    if sys.version_info < (3, 10):
        print(f"plugmw needs Python 3.10 or later, this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    python = VENV / "bin" / "python"
    if not python.exists():
        # Without pip inside: where Python has no ensurepip (Debian's python3), the pip outside does it.
        venv.create(VENV, symlinks=True)
    missing = sorted(name for name in set(wanted) if not _mark(name).exists())
    if missing:
        extras = ",".join(name for name in missing if "==" not in name)
        packages = [name for name in missing if "==" in name]
        print(f"installing plugmw {' '.join(missing)} into {VENV} ...", file=sys.stderr)
        status = _pip_install(python, "--editable", f"{ROOT}[{extras}]" if extras else str(ROOT), *packages)
        if status:
            return status
        for name in missing:
            _mark(name).touch()
    print(python)
    return 0


def _pip_install(python: Path, *what: str) -> int:
    command = ["-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        # No pip for this Python: let the environment have one of its own.
        if subprocess.run([str(python), "-m", "ensurepip"], stdout=sys.stderr).returncode:
            print("pip is needed: apt-get install python3-pip, or the like", file=sys.stderr)
            return 1
        command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        return subprocess.run([str(python), *command, *what], stdout=sys.stderr).returncode
    return subprocess.run([sys.executable, *command, *what], stdout=sys.stderr).returncode


def _mark(name: str) -> Path:
    """Name the file that says an extra or a library is there, as setup.py asks for it today."""
    wanted = hashlib.sha256((ROOT / "setup.py").read_bytes()).hexdigest()[:12]
    return VENV / f".plugmw-{name}-{wanted}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
