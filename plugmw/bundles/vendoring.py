"""The libraries that a plugin imports, as wheels for the machine that it will run on, maybe another one.

What is needed stands in the manifest (``"requirements": ["attrs>=23"]``) or in ``requirements.txt``.
``pip download`` fetches wheels and never builds; they are unpacked here, without running anything in them.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from plugmw.bundles.archive import Archive, Limits
from plugmw.bundles.manifest import Manifest
from plugmw.bundles.naming import goarch, goos
from plugmw.errors import LoadError

#: Seconds for pip.
PATIENCE: Final = 600.0
#: System and processor as Go names them -> pip's names of the platforms whose wheels run there.
PLATFORMS: Final = {
    ("linux", "amd64"): ("manylinux_2_28_x86_64", "manylinux2014_x86_64"),
    ("linux", "arm64"): ("manylinux_2_28_aarch64", "manylinux2014_aarch64"),
    ("darwin", "amd64"): ("macosx_11_0_x86_64",),
    ("darwin", "arm64"): ("macosx_11_0_arm64",),
    ("windows", "amd64"): ("win_amd64",),
    ("windows", "arm64"): ("win_arm64",),
}
_LIMITS: Final = Limits(unpacked=1024 * 1024 * 1024)


def target(platform: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Return system, processor and pip's platforms of ``linux/arm64``, of ``win_amd64``, or of this machine.

    Raises :class:`LoadError` for what cannot be told.
    """
    place = tuple(platform.split("/")) if platform else (goos(), goarch())
    for (system, processor), tags in PLATFORMS.items():
        if place == (system, processor):
            return system, processor, tags
    for start, system in (
        ("manylinux", "linux"),
        ("musllinux", "linux"),
        ("macosx", "darwin"),
        ("win", "windows"),
    ):
        if platform and platform.startswith(start):
            machine = platform[len(start) :].lstrip("_.0123456789") or platform
            return system, goarch(machine), (platform,)
    known = ", ".join("/".join(one) for one in PLATFORMS)
    raise LoadError("--platform", f"got {'/'.join(place)!r}", f"one of {known}, or a platform of pip")


def requirements(manifest: Manifest, folder: Path, source: str) -> list[str]:
    """Return what is to be vendored as arguments of pip; raises :class:`LoadError` if nothing says."""
    named = manifest.other.get("requirements")
    if named is not None:
        if not isinstance(named, list) or not all(
            isinstance(one, str) and one[:1].isalnum() for one in named
        ):
            raise LoadError(source, f"requirements: got {named!r}", "a list such as ['attrs>=23']")
        return named
    file = folder / "requirements.txt"
    if not file.is_file():
        raise LoadError(
            source, "there are no requirements to vendor", "requirements in it, or requirements.txt"
        )
    return ["--requirement", str(file)]


def vendored(wanted: Sequence[str], tags: Sequence[str], python: str | None) -> dict[str, bytes]:
    """Return the files of the wheels by their place on the import path; raises :class:`LoadError`."""
    if importlib.util.find_spec("pip") is None:
        raise LoadError("--platform", "there is no pip in this Python to fetch wheels", "python -m ensurepip")
    with tempfile.TemporaryDirectory(prefix="plugmw-wheels-") as wheels:
        _download(wanted, tags, python, wheels)
        files: dict[str, bytes] = {}
        for wheel in sorted(Path(wheels).glob("*.whl")):
            for name, content in _unpacked(wheel).items():
                if files.setdefault(name, content) != content:
                    raise LoadError(wheel.name, f"{name!r} is in another wheel too, and differs")
        return files


def _download(wanted: Sequence[str], tags: Sequence[str], python: str | None, folder: str) -> None:
    options = [f"--platform={tag}" for tag in tags] + ([f"--python-version={python}"] if python else [])
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--only-binary=:all:", *options, "--dest", folder, *wanted]
    try:
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise LoadError("pip download", f"not done within {PATIENCE:g} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        text = "; ".join(line.removeprefix("ERROR:").strip() for line in lines) or done.stderr.strip()
        raise LoadError(
            "pip download", text or f"ended with status {done.returncode}", "a wheel for every one"
        )


def _unpacked(wheel: Path) -> dict[str, bytes]:
    """Return a wheel's files as an installer would place them; programs and the like are left out."""
    archive = Archive(wheel.read_bytes(), wheel.name, _LIMITS)
    files = {}
    for name in archive.names:
        top, _, rest = name.partition("/")
        kind, _, inner = rest.partition("/")
        if not top.endswith(".data"):
            files[name] = archive.read(name, _LIMITS.unpacked)
        elif kind in ("purelib", "platlib"):
            files[inner] = archive.read(name, _LIMITS.unpacked)
    return files
