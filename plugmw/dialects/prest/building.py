"""Sources of native functions compiled to libraries, each when it has changed.

    python -m plugmw.dialects.prest.building lib        # what a gateway does with `build: true`

As prestd's container does at its start: every ``lib/src/hello.go`` becomes ``lib/hello.so`` and every
``lib/src/shop/main.go`` ``lib/shop.so``; so do ``lib/src/hello.c`` and ``lib/src/hello.rs``. A source that
cannot be compiled is reported and skipped, and the library it made before stays. What was built from what is
kept in ``lib/.plugmw-built.json``; a lock beside it lets several workers build once.

Go sources are prestd's as they are: what ``//export`` and cgo need is generated, and added while compiling.
Compilers run as this user, without a shell: who may write to the folder may run code here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import attrs

from plugmw.concurrency.locking import locked
from plugmw.dialects.prest.include import FOLDER as INCLUDE
from plugmw.kernel.runtime import Logger
from plugmw.loading.regular import read_regular
from plugmw.loading.watching import note

#: Seconds that one compiler may take; Go fetches modules meanwhile.
DEADLINE: Final = 300.0
#: Lines of a compiler's messages that are logged, and their length.
LINES: Final = 12
LENGTH: Final = 300
_BUILT: Final = ".plugmw-built.json"
_WORK: Final = ".plugmw-building-"
_LOCK: Final = ".plugmw-building.lock"
_NAME: Final = re.compile(r"[A-Za-z0-9_]+").fullmatch


@attrs.frozen
class Problem:
    """A source that was not built: which, why, and the compiler's first lines."""

    source: Path
    what: str
    output: str = ""

    def __str__(self) -> str:
        return f"{self.source}: {self.what}" + (f":\n{self.output}" if self.output else "")


@attrs.frozen
class Source:
    """What becomes one library: its files, the first of which is the one that is compiled."""

    name: str
    files: list[Path]

    @property
    def path(self) -> Path:
        return self.files[0]

    def fingerprint(self) -> str:
        """Return a hash of all that the library is built from, our headers and the platform included."""
        digest = hashlib.sha256(f"{sys.platform} {os.uname().machine}".encode())
        for file in [*self.files, *sorted(INCLUDE.glob("plugmw_*"))]:
            content = read_regular(file)
            digest.update(f"\0{file.name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()


def build_all(
    folder: str | os.PathLike[str], logger: Logger | None = None, deadline: float = DEADLINE
) -> list[Problem]:
    """Build the libraries of ``folder`` whose sources in ``folder/src`` have changed; return what failed.

    Blocks while another process builds. Each problem is logged as an error, each library built as info.
    Raises nothing: a folder that cannot be written to is a problem like any other.
    """
    logger = logger or logging.getLogger("plugmw")
    lib = Path(folder).absolute()
    problems: list[Problem] = []
    try:
        all_sources, problems = sources(lib / "src")
        # Looked at twice: another worker may build, or have built, meanwhile.
        if _stale(all_sources, lib):
            with locked(lib / _LOCK):
                _clear(lib)
                for source in _stale(all_sources, lib):
                    problem = _build(source, lib, logger, deadline)
                    if problem:
                        problems.append(problem)
    except OSError as error:
        problems.append(Problem(lib, f"cannot build here: {error.strerror or error}"))
    for problem in problems:
        logger.error("%s", problem)
    return problems


def sources(folder: Path) -> tuple[list[Source], list[Problem]]:
    """Return the sources to build, by name, and the problems of those that cannot be built."""
    note(folder)
    by_name: dict[str, Source] = {}
    problems = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        source = _source(path)
        if source is None:
            continue
        for file in source.files:
            note(file)
        if not _NAME(source.name):
            problems.append(Problem(path, f"not built: got {source.name!r}, expected letters, digits and _"))
        elif source.name in by_name:
            other = by_name[source.name].path
            problems.append(Problem(path, f"not built: {other} is for {source.name}.so already"))
        else:
            by_name[source.name] = source
    return list(by_name.values()), problems


def _source(path: Path) -> Source | None:
    first = path / "main.go"
    if first.is_file():
        rest = (file for file in sorted(path.rglob("*")) if file.is_file() and file != first)
        return Source(path.name, [first, *rest])
    return Source(path.stem, [path]) if path.suffix in _COMPILERS and path.is_file() else None


def _stale(all_sources: list[Source], lib: Path) -> list[Source]:
    """Return the sources whose libraries are not there, or were made from something else."""
    built = _read_built(lib / _BUILT)
    return [
        source
        for source in all_sources
        if built.get(source.name) != source.fingerprint() or not (lib / f"{source.name}.so").exists()
    ]


def _clear(lib: Path) -> None:
    """Remove what a build has left that was killed."""
    for left in lib.glob(f"{_WORK}*"):
        shutil.rmtree(left, ignore_errors=True)


def _build(source: Source, lib: Path, logger: Logger, deadline: float) -> Problem | None:
    """Build one library; return what went wrong."""
    library = lib / f"{source.name}.so"
    fingerprint = source.fingerprint()
    with tempfile.TemporaryDirectory(prefix=_WORK, dir=lib) as work:
        output = Path(work) / library.name
        problem = _COMPILERS[source.path.suffix](source, output, deadline)
        if problem:
            return problem
        # A library in use stays whole: the new file takes the old one's name, not its place on disk.
        os.replace(output, library)
        listed = Path(work) / _BUILT
        listed.write_text(
            json.dumps({**_read_built(lib / _BUILT), source.name: fingerprint}, indent=1), encoding="utf-8"
        )
        os.replace(listed, lib / _BUILT)
    logger.info("%s: built %s", source.path, library)
    return None


# -- compilers ---------------------------------------------------------------------------------------------


def _c(source: Source, output: Path, deadline: float) -> Problem | None:
    compiler = os.environ.get("CC") or "cc"
    options = ["-shared", "-fPIC", "-O2", "-Wall", f"-I{INCLUDE}", "-o", str(output), str(source.path)]
    return _compiled(source, [*compiler.split(), *options], {}, deadline)


def _rust(source: Source, made: Path, deadline: float) -> Problem | None:
    options = ["--crate-type=cdylib", "--edition=2021", "-O", "-o", str(made), str(source.path)]
    command = [os.environ.get("RUSTC") or "rustc", *options]
    return _compiled(source, command, {"PLUGMW_INCLUDE": str(INCLUDE)}, deadline)


def _go(source: Source, output: Path, deadline: float) -> Problem | None:
    """Compile with the glue as an overlay: nothing is written beside the source."""
    folder, work = source.path.parent, output.parent
    own = [file for file in source.files if file.parent == folder and file.suffix == ".go"]
    own = [file for file in own if not file.name.endswith("_test.go")]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in own)
    added: list[Path] = []
    if not re.search(r"^//export plugmw_abi$", text, re.M):
        added = [work / "plugmw_exports.go", INCLUDE / "plugmw_function.go"]
        added[0].write_text(exports(text), encoding="utf-8")
    overlay = work / "overlay.json"
    placed = {str(folder / file.name): str(file) for file in added}
    overlay.write_text(json.dumps({"Replace": placed}), encoding="utf-8")
    # A module of its own knows its files; else they are named, and what they import is Go's own library.
    module = source.path.name == "main.go" and folder / "go.mod" in source.files
    what = ["."] if module else [f"./{file.name}" for file in (*own, *added)]
    command = ["go", "build", "-buildmode=c-shared", "-buildvcs=false", f"-overlay={overlay}"]
    flags = f"'-I{INCLUDE}' {os.environ.get('CGO_CFLAGS', '-g -O2')}"
    env = {"CGO_ENABLED": "1", "CGO_CFLAGS": flags}
    return _compiled(source, [*command, "-o", str(output), *what], env, deadline)


_COMPILERS: Final = {".c": _c, ".go": _go, ".rs": _rust}
_GO_FUNCTION: Final = re.compile(r"^func ([A-Z]+[A-Z][A-Za-z0-9_]*Handler)\(", re.M)


def exports(text: str) -> str:
    """Return the Go file that exports the functions of a source named ``{METHOD}{Func}Handler``."""
    names = dict.fromkeys(_GO_FUNCTION.findall(text))
    macros = "\n".join(f"PLUGMW_FUNCTION({name})" for name in names)
    registrations = "\n".join(f'\tplugmwFunctions["{name}"] = {name}' for name in names)
    main = "" if re.search(r"^func main\(", text, re.M) else "\nfunc main() {}\n"
    return (
        f'package main\n\n/*\n#include "plugmw_go.h"\n{macros}\n*/\nimport "C"\n\n'
        f"func init() {{\n{registrations}\n}}\n{main}"
    )


def _compiled(source: Source, command: list[str], env: dict[str, str], deadline: float) -> Problem | None:
    """Run a compiler in the source's folder; return what it had against it."""
    if shutil.which(command[0]) is None:
        return Problem(source.path, f"not built: there is no {command[0]} on PATH")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - a compiler, without a shell
            command,
            cwd=source.path.parent,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(deadline)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Problem(source.path, f"not built: {command[0]} did not end within {deadline:g} s")
        if process.returncode == 0:
            return None
        output.seek(0)
        text = output.read(LINES * LENGTH * 4).decode("utf-8", "replace")
    lines = ["".join(c if c.isprintable() else " " for c in line)[:LENGTH] for line in text.splitlines()]
    return Problem(source.path, f"not built: {command[0]} said", "\n".join(lines[:LINES]))


# -- what was built ----------------------------------------------------------------------------------------


def _read_built(path: Path) -> dict[str, str]:
    try:
        fingerprints = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return fingerprints if isinstance(fingerprints, dict) else {}


def main(arguments: list[str] | None = None) -> int:
    """Build the folders named on the command line; 1 if anything failed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folders = (sys.argv[1:] if arguments is None else arguments) or ["lib"]
    return 1 if [problem for folder in folders for problem in build_all(folder)] else 0


if __name__ == "__main__":  # pragma: no cover (in a process of its own)
    sys.exit(main())
