"""Run the suites; see :mod:`tests.foreign`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.foreign.suites import CHAINS, SUITES

ROOT = Path(__file__).resolve().parents[2]
#: What one run of a suite may take, in seconds: the longest take one minute.
LONGEST = 900.0


def main(argv: list[str] | None = None) -> int:
    """Run the suites that are named, bare and under the chains; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.foreign", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--chain", action="append", choices=[*CHAINS], help="one of them; all by default")
    parser.add_argument("--folder", type=Path, help="keeps the distributions")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="plugmw-foreign-") as own:
        folder = options.folder or Path(own)
        good = [judged(name, folder, options.chain or [*CHAINS]) for name in options.suites or SUITES]
    return 0 if all(good) else 1


def judged(name: str, folder: Path, chains: list[str]) -> bool:
    """Run a suite; print what differs and return whether all of it is foreseen."""
    source = fetched(name, folder)
    bare = outcomes(name, source, "")
    passing = [test for test, outcome in bare.items() if outcome == "passed"]
    print(f"{name}: {len(passing)} of {len(bare)} pass bare", flush=True)
    good = bool(passing)
    for chain in chains:
        under = outcomes(name, source, chain)
        fails = [test for test in passing if under.get(test) != "passed"]
        reasons = forced(name, chain)
        new = [test for test in fails if not any(test.endswith(end) for end in reasons)]
        gone = [end for end in reasons if not any(test.endswith(end) for test in fails)]
        print(f"{name}, {chain}: {len(fails)} fail, {len(new)} of them unforeseen", flush=True)
        for test in new:
            print(f"  NEW: {test}: {under.get(test, 'did not run')}")
        for end in gone:
            print(f"  PASSES: {end}, which was to fail")
        good = good and not new and not gone
    return good


def forced(name: str, chain: str) -> list[str]:
    """Return the ends of ids of the tests that have to fail under a chain."""
    return [end for end, (chains, _) in SUITES[name].forced.items() if chain in chains]


def fetched(name: str, folder: Path) -> Path:
    """Return the unpacked source distribution, of the version that is installed if it is."""
    try:
        wanted = f"{name}=={version(name)}"
    except PackageNotFoundError:
        wanted = name
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), wanted], check=True)
    archive = max(folder.glob(f"{name}-*.tar.gz"), key=lambda path: path.stat().st_mtime)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    if SUITES[name].needs:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target"]
        subprocess.run([*install, str(folder / "needs"), *SUITES[name].needs], check=True)
    return folder / archive.name.removesuffix(".tar.gz")


def outcomes(name: str, source: Path, chain: str) -> dict[str, str]:
    """Run the tests of a suite in a process of its own; return how each ended."""
    result = source / "outcomes.json"
    result.unlink(missing_ok=True)
    environ = {
        **os.environ,
        "PYTHONPATH": str(source.parent / "needs"),
        "FOREIGN_SUITE": name,
        "FOREIGN_CHAIN": chain,
        "FOREIGN_RESULT": str(result),
    }
    suite = SUITES[name]
    if suite.script:
        run = [suite.script, "--parallel=1", *suite.options]
    else:
        run = ["pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *suite.options, suite.tests]
    command = [sys.executable, str(ROOT / "tests" / "foreign" / "inside.py"), *run]
    cwd = source / suite.tests if suite.script else source
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=LONGEST)
    if not result.exists():
        raise SystemExit(f"{name} did not run:\n{done.stdout}{done.stderr}")
    (source / f"{chain or 'bare'}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    found: dict[str, str] = json.loads(result.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main())
