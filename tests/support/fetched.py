"""What tests fetch with a package manager, once per machine: npm packages, jars from Maven.

folder = npm("statsd@0.9.0")            # has node_modules/statsd
jar = maven("io.zipkin:zipkin-server:3.4.4:jar:exec")
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.servers import missing, require_program

#: What fetching and building may take.
_LONG = 600.0


def cache() -> Path:
    """Return the folder of this user in which what was fetched and built is kept between runs."""
    folder = Path(
        os.environ.get("PLUGMW_TEST_CACHE") or Path(tempfile.gettempdir()) / f"plugmw-tests-{os.getuid()}"
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Let one process of this user at a time fetch or build ``name``; the others wait and find it there."""
    with open(cache() / f"{name.replace('/', '-')}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str], cwd: Path, what: str, **env: str) -> None:
    """Run a command that fetches or builds ``what``; where it cannot be had, see :func:`missing`."""
    found = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_LONG,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **env},
    )
    if found.returncode:
        missing(f"{what}: {' '.join(command[:3])} failed: {(found.stderr or found.stdout).strip()[-300:]}")


@functools.cache
def npm(package: str) -> Path:
    """Return a folder in whose node_modules ``package`` (``name@version``) is."""
    require_program("node")
    program = require_program("npm")
    folder = cache() / package
    name = package.rpartition("@")[0]
    with alone(package):
        if not (folder / "node_modules" / name / "package.json").exists():
            folder.mkdir(exist_ok=True)
            (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
            run([program, "install", "--no-audit", "--no-fund", package], folder, package)
    return folder


@functools.cache
def maven(artifact: str) -> Path:
    """Return the file of an artifact, ``group:name:version:jar:classifier``."""
    program = require_program("mvn")
    group, name, version, kind, classifier = artifact.split(":")
    file = cache() / f"{name}-{version}-{classifier}.{kind}"
    with alone("m2"):
        if not file.exists():
            home = cache() / "m2"
            command = [program, "-q", "-B", f"-Dmaven.repo.local={home}", "dependency:get"]
            run([*command, f"-Dartifact={artifact}", "-Dtransitive=false"], cache(), artifact)
            found = home / group.replace(".", "/") / name / version / file.name
            shutil.copyfile(found, f"{file}.new")
            os.replace(f"{file}.new", file)
    return file
