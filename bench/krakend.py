"""A no-op endpoint of krakend.json against other proxies: ``python -m bench.krakend``; see ``README.md``."""

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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.driver import table
from bench.gateways import on_cores
from bench.servers import Server, ask, forget_peak, free_port, gunicorn, memory, running

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CHUNK: Final = 64 * 1024
LOAD: Final = Path(__file__).parent / "conf" / "load.lua"
SMALL: Final = {"id": 7, "name": "Ann", "tags": ["a", "b"]}
VARIANTS: Final = ("backend", "nginx", "urllib3", "plugmw", "plugmw-json")
#: What the bodies of these are read and written again for; the others pass them on.
DECODED: Final = ("plugmw-json",)

NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log stderr error;
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_requests 1000000; sendfile on;
    client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
    fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
    {rest}
}}
"""
BACKEND: Final = """
    server {{ listen 127.0.0.1:{port}; root {folder}/files; default_type application/json; }}
"""
PROXY: Final = """
    upstream backend {{ server 127.0.0.1:{backend}; keepalive 16; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
"""


def by_urllib3(backend: int) -> WSGIApplication:
    """Return the shortest WSGI app that streams from the backend through a pool of urllib3."""
    import urllib3

    pool = urllib3.HTTPConnectionPool("127.0.0.1", backend, maxsize=16)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = {"X-Forwarded-For": environ["REMOTE_ADDR"]}
        found = pool.request("GET", environ["PATH_INFO"], headers=headers, preload_content=False)
        kept = [
            item for item in found.headers.items() if item[0].lower() not in ("connection", "server", "date")
        ]
        start_response(f"{found.status} {found.reason}", kept)
        return _Streamed(found)

    return app


class _Streamed:
    """A body of urllib3; its connection goes back when it is closed."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def __iter__(self) -> Iterator[bytes]:
        return self._found.stream(CHUNK)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._found.release_conn()


def by_plugmw(backend: int, encoding: str) -> WSGIApplication:
    """Return a gateway with an endpoint for each file of the backend."""
    from plugmw import Gateway

    return Gateway.from_krakend(
        None,
        {
            "version": 3,
            "timeout": "300s",
            "host": [f"http://127.0.0.1:{backend}"],
            "output_encoding": encoding,
            "endpoints": [
                {"endpoint": path, "backend": [{"url_pattern": path}]}
                for path in ("/small.json", "/big.json")
            ],
        },
    )


def sites(stack: ExitStack, folder: Path, names: Iterable[str], mib: int, options: Any) -> dict[str, Server]:
    """Start the backend and what is in front of it."""
    folder.chmod(0o755)  # nginx's worker is nobody
    (folder / "files").mkdir()
    (folder / "files" / "small.json").write_text(json.dumps(SMALL))
    with (folder / "files" / "big.json").open("wb") as big:
        big.truncate(mib * 2**20)  # a hole: no room on the disk, no time to read it
    found: dict[str, Server] = {}

    def nginx(name: str, text: str, **values: Any) -> Server:
        port = free_port()
        conf = folder / f"{name}.conf"
        rest = text.format(port=port, folder=folder, **values)
        conf.write_text(NGINX.format(folder=folder, name=name, rest=rest))
        command = ["nginx", "-c", str(conf), "-p", str(folder)]
        return stack.enter_context(running(name, command, port, folder / f"{name}.log"))

    with on_cores(options.cores, load=False):
        backend = nginx("backend", BACKEND)
        apps = {
            "urllib3": f"bench.krakend:by_urllib3({backend.port})",
            "plugmw": f"bench.krakend:by_plugmw({backend.port}, 'no-op')",
            "plugmw-json": f"bench.krakend:by_plugmw({backend.port}, 'json')",
        }
        for name in names:
            if name == "backend":
                found[name] = backend
            elif name == "nginx":
                found[name] = nginx(name, PROXY, backend=backend.port)
            else:
                found[name] = stack.enter_context(gunicorn(name, apps[name], "gthread", 1, folder))
    return found


def prove(name: str, site: Server) -> None:
    """Raise unless the variant answers with what the backend has."""
    reply = ask(site.port, "/small.json")
    if reply.status != 200 or json.loads(reply.body) != SMALL:
        raise AssertionError(f"{name}: {reply.status} {reply.body!r}")
    completed = {"plugmw": "false", "plugmw-json": "true"}.get(name)
    if reply.headers.get("X-Krakend-Completed") != completed:
        raise AssertionError(f"{name}: Completed {reply.headers.get('X-Krakend-Completed')}")


def load(site: Server, requests: int, options: argparse.Namespace) -> dict[str, float]:
    """Make ``requests`` requests over a fixed number of connections; return CPU and latency."""
    command = ["wrk", "-t1", f"-c{options.connections}", "-d120s", "-s", str(LOAD)]
    before = site.cpu()
    with on_cores(options.cores, load=True):
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{site.port}/small.json"],
            env={**os.environ, "BENCH_REQUESTS": str(requests), "BENCH_THINK_MS": "0"},
            capture_output=True,
            text=True,
            timeout=150,
        )
    spent = site.cpu() - before
    told = json.loads(done.stderr.splitlines()[-1])
    if told["refused"] or told["errors"] or told["answers"] < requests:
        raise AssertionError(f"{site.name}: {told}, expected {requests} answers with 200")
    return {"CPU us": spent * 1e6 / told["answers"], "p50 us": told["p50"], "p99 us": told["p99"]}


def loads(found: Mapping[str, Server], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Load all variants in interleaved rounds; return their medians and ratios."""
    shuffle = random.Random(options.seed).shuffle
    results: dict[str, list[dict[str, float]]] = {name: [] for name in found}
    order = list(found)
    for name, site in found.items():
        prove(name, site)
        load(site, max(200, options.requests // 10), options)
    for _ in range(options.rounds):
        shuffle(order)
        for name in order:
            results[name].append(load(found[name], options.requests, options))
    rows = []
    for name, rounds in results.items():
        row: dict[str, Any] = {"variant": name}
        row |= {field: statistics.median(one[field] for one in rounds) for field in rounds[0]}
        rows.append(row)
    for peer in ("nginx", "urllib3"):
        base = next((row["CPU us"] for row in rows if row["variant"] == peer), None)
        for row in rows:
            row[f"x {peer}"] = row["CPU us"] / base if base else None
    return rows


def streamed(name: str, site: Server, size: int) -> dict[str, Any]:
    """Read the big file through a variant; return the memory of its worker."""
    worker = site.pids()[-1]
    for _ in range(200):
        ask(site.port, "/small.json")
    before = memory(worker, "VmRSS")
    forget_peak(worker)
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{size_download} %{time_total}"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{site.port}/big.json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    got, seconds = done.stdout.split()
    if int(got) != size:
        raise AssertionError(f"{name}: got {got} bytes, expected {size}")
    return {
        "variant": name,
        "MiB": size / 2**20,
        "RSS MiB": before / 1024,
        "peak growth KiB": memory(worker, "VmHWM") - before,
        "MiB/s": size / 2**20 / float(seconds),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.krakend", description=__doc__)
    parser.add_argument("--only", default=",".join(VARIANTS), help="variants: %(default)s")
    parser.add_argument("--requests", type=int, default=5000, help="requests of one load")
    parser.add_argument("--rounds", type=int, default=5, help="loads of each variant")
    parser.add_argument("--connections", type=int, default=4, help="connections of the load")
    parser.add_argument("--cores", type=int, default=0, help="cores of the servers; the load gets the others")
    parser.add_argument("--mib", type=int, default=1024, help="MiB streamed")
    parser.add_argument("--seed", type=int, default=1, help="of the order within rounds")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(argv)
    for program in ("nginx", "wrk", "curl"):
        if not shutil.which(program):
            raise SystemExit(f"no {program} in PATH (Debian: {program})")
    names = options.only.split(",")
    if unknown := set(names).difference(VARIANTS):
        parser.error(f"--only: got {', '.join(sorted(unknown))}, expected some of {', '.join(VARIANTS)}")
    with tempfile.TemporaryDirectory(prefix="plugmw-bench-") as directory, ExitStack() as stack:
        found = sites(stack, Path(directory), names, options.mib, options)
        rows = loads(found, options)
        print(table(list(rows[0]), [list(row.values()) for row in rows]), flush=True)
        size = options.mib * 2**20
        through = [name for name in names if name != "backend" and name not in DECODED]
        streams = [streamed(name, found[name], size) for name in through]
    if streams:
        print()
        print(table(list(streams[0]), [list(row.values()) for row in streams]))
    if options.json:
        told = {"python": sys.version, "options": vars(options), "loads": rows, "streams": streams}
        Path(options.json).write_text(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
