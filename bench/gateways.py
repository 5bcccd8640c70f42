"""CPU per request of a whole system: ``python -m bench.gateways``; see ``README.md``."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.driver import table
from bench.features import KEY, ORIGIN
from bench.peers import CONF, PEERS, Site, Stage, prove, remaining

STAGES = (("sync", 1), ("sync", 2), ("gthread", 1), ("gthread", 2))
LIMIT_S = 120  # no load lasts longer


def load(site: Site, requests: int, options: argparse.Namespace) -> dict[str, float]:
    """Make ``requests`` requests over a fixed number of connections; return CPU and latency."""
    command = ["wrk", "-t1", f"-c{options.connections}", f"-d{LIMIT_S}s", "-s", str(CONF / "load.lua")]
    command += ["-H", f"apikey: {KEY}", "-H", f"Origin: {ORIGIN}"]
    if options.close:
        command += ["-H", "Connection: close"]
    before = site.cpu()
    with on_cores(options.cores, load=True):
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{site.port}/"],
            env={**os.environ, "BENCH_REQUESTS": str(requests), "BENCH_THINK_MS": str(options.think)},
            capture_output=True,
            text=True,
            timeout=LIMIT_S + 30,
        )
    time.sleep(0.05)  # what is still in flight
    spent = site.cpu() - before
    try:
        told = json.loads(done.stderr.splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"wrk: {done.stdout}{done.stderr}") from None
    if told["refused"] or told["errors"] or told["answers"] < requests:
        raise AssertionError(f"wrk on port {site.port}: {told}, expected {requests} answers with 200")
    return {
        "cpu_us": spent * 1e6 / told["answers"],
        "p50_us": told["p50"],
        "p99_us": told["p99"],
        "per_s": told["answers"] / told["seconds"],
    }


@contextmanager
def on_cores(servers: int, load: bool) -> Iterator[None]:
    """Start what the block starts on the first ``servers`` cores, or the load on the others; 0: on all."""
    mine = os.sched_getaffinity(0)
    if servers:
        cores = sorted(mine)
        os.sched_setaffinity(0, cores[servers:] if load else cores[:servers])
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def counted(name: str, site: Site, options: argparse.Namespace) -> dict[str, float]:
    """Load a variant, and look whether its counter counted every request of the load."""
    counts = name != "bare" and "rate-limiting" not in PEERS[name].lacks
    before, reset = remaining(site) if counts else (0, 0)
    start = time.monotonic()
    result = load(site, options.requests, options)
    if counts and time.monotonic() - start < reset - 1:
        used = before - remaining(site)[0] - 1
        if not options.requests <= used <= options.requests + options.connections:
            raise AssertionError(f"{name}: {used} requests counted, expected {options.requests}")
    return result


def run(stage: Stage, names: list[str], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Start all variants of a stage, prove them, load them in interleaved rounds; return medians."""
    shuffle = random.Random(options.seed).shuffle
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with ExitStack() as stack:
        with on_cores(options.cores, load=False):
            sites = {name: stack.enter_context(PEERS[name].start(stage)) for name in names}
        for name, site in sites.items():
            prove(PEERS[name], site)
            load(site, max(200, options.requests // 10), options)
        order = list(names)
        for _ in range(options.rounds):
            shuffle(order)
            for name in order:
                results[name].append(counted(name, sites[name], options))
    return {
        name: {field: statistics.median(one[field] for one in rounds) for field in rounds[0]}
        for name, rounds in results.items()
    }


HEAD = ["variant", "CPU us", "added us", "x nginx-lua", "p50 us", "p99 us", "requests/s", "lacks"]


def report(stage: Stage, medians: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Print one stage's table; return its rows."""
    base = medians["bare"]["cpu_us"]
    nginx = medians["nginx-lua"]["cpu_us"] - base if "nginx-lua" in medians else None
    rows: list[list[object]] = []
    for name, found in medians.items():
        added = found["cpu_us"] - base if name != "bare" else None
        ratio = added / nginx if added is not None and nginx else None
        lacks = ", ".join(PEERS[name].lacks) or "nothing"
        rows.append(
            [name, found["cpu_us"], added, ratio, found["p50_us"], found["p99_us"], found["per_s"], lacks]
        )
    print(f"\n{stage.title}")
    print(table(HEAD, rows), flush=True)
    return [dict(zip(HEAD, row, strict=True)) for row in rows]


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    stages = [f"{kind}-{workers}" for kind, workers in STAGES]
    parser = argparse.ArgumentParser(prog="python -m bench.gateways", description=__doc__)
    parser.add_argument("--only", default=",".join(PEERS), help="variants; bare always runs: %(default)s")
    parser.add_argument("--stages", default=",".join(stages), help="worker class and count: %(default)s")
    parser.add_argument("--requests", type=int, default=10000, help="requests of one load")
    parser.add_argument("--rounds", type=int, default=5, help="loads of each variant")
    parser.add_argument("--connections", type=int, default=4, help="connections of the load")
    parser.add_argument("--cores", type=int, default=0, help="cores of the servers; the load gets the others")
    parser.add_argument("--think", type=int, default=0, help="mean milliseconds between a client's requests")
    parser.add_argument("--close", action="store_true", help="a new client connection for every request")
    parser.add_argument("--seed", type=int, default=1, help="of the order within rounds")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(argv)
    if not shutil.which("wrk"):
        raise SystemExit("no wrk in PATH (Debian: wrk)")
    if not 0 <= options.cores < len(os.sched_getaffinity(0)):
        parser.error(f"--cores: got {options.cores}, expected fewer than all there are")
    names = present(["bare", *(name for name in options.only.split(",") if name != "bare")])
    result: dict[str, Any] = {"python": sys.version, "options": vars(options), "stages": {}}
    with tempfile.TemporaryDirectory(prefix="plugmw-bench-") as directory:
        for text in options.stages.split(","):
            kind, _, workers = text.partition("-")
            place = Path(directory) / text
            place.mkdir()
            stage = Stage(kind, int(workers), place)
            result["stages"][text] = report(stage, run(stage, names, options))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1))
    return 0


def present(names: list[str]) -> list[str]:
    """Say on stderr which variants cannot run here; return the others."""
    found = []
    for name in names:
        if name not in PEERS:
            raise SystemExit(f"no variant {name!r}, expected some of {', '.join(PEERS)}")
        reason = PEERS[name].missing()
        if reason:
            print(f"{name}: left out: {reason}", file=sys.stderr)
        else:
            found.append(name)
    return found


if __name__ == "__main__":
    sys.exit(main())
