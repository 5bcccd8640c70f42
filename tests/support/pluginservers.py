"""Real Kong plugin servers: kong-pdk for Python and JavaScript, go-pdk; skipped where there is no toolchain.

with serving(python_server("traps.py", "-g"), {"message": "x"}) as served:
    answer = served.do("nothing")
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plugmw import Gateway
from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.kong.servers import PluginServers, ServerConfig
from plugmw.kernel.order import Entry
from tests.support.fetched import alone, cache, npm, run
from tests.support.servers import ROOT, require_module, require_program
from tests.support.waiting import until

PLUGINS = ROOT / "tests/live/dialects/kong/servers/plugins"
#: Versions that the reference was made with; npm and go fetch them once per machine.
JS_PDK = "kong-pdk@0.6.0"
_numbers = itertools.count(1)


def require_msgpack() -> None:
    """Skip unless the library behind MessagePack-RPC is there."""
    require_module("msgpack")


def js_pdk() -> Path:
    """Return a folder with node_modules/kong-pdk, installed once."""
    return npm(JS_PDK)


@functools.cache
def go_binary(source: Path) -> Path:
    """Build the Go plugin in ``source`` and return the program, named as the folder."""
    go = require_program("go")
    stamp = max(int(file.stat().st_mtime) for file in source.iterdir())
    folder = cache() / f"go-{source.name}-{stamp}"
    folder.mkdir(exist_ok=True)
    program = folder / source.name
    with alone(folder.name):
        if not program.exists():
            command = [go, "build", "-o", f"{program}.new", "."]
            run(command, source, "go-pdk", GOFLAGS="-mod=mod -buildvcs=false")
            os.replace(f"{program}.new", program)
    return program


def python_server(script: str, *options: str, folder: Path = PLUGINS, **settings: Any) -> ServerConfig:
    """Describe a dedicated Python plugin server; ``options`` are ``-g`` (gevent) or ``-m`` (processes).

    Each call describes a server of its own: its environment has a NUMBER.
    """
    require_msgpack()
    require_module("kong_pdk")
    path = folder / script
    settings["environment"] = {"NUMBER": str(next(_numbers)), **settings.get("environment", {})}
    return ServerConfig(
        name=script.partition(".")[0],
        start_cmd=["{python}", "-W", "ignore", str(path), *options],
        query_cmd=["{python}", "-W", "ignore", str(path), "-dump"],
        **settings,
    )


def js_server(folder: Path, **settings: Any) -> ServerConfig:
    """Describe the JavaScript plugin server for the plugins in ``folder``."""
    require_msgpack()
    pdk = js_pdk()
    settings["environment"] = {"NUMBER": str(next(_numbers)), **settings.get("environment", {})}
    program = str(pdk / "node_modules/kong-pdk/bin/kong-js-pluginserver")
    node = shutil.which("node") or "node"
    return ServerConfig(
        name="js",
        start_cmd=[node, program, "-d", str(folder)],
        query_cmd=[node, program, "-d", str(folder), "--dump-all-plugins"],
        **settings,
    )


def go_server(source: Path, **settings: Any) -> ServerConfig:
    """Describe a Go plugin server built from ``source``."""
    program = str(go_binary(source))
    settings["environment"] = {"NUMBER": str(next(_numbers)), **settings.get("environment", {})}
    return ServerConfig(name=source.name, start_cmd=[program], query_cmd=[program, "-dump"], **settings)


class Served:
    """A gateway with one remote plugin round a small app, called in process."""

    def __init__(self, servers: PluginServers, plugins: list[Any], gateway: Gateway, seen: list[Any]) -> None:
        from werkzeug.test import Client

        self.servers = servers
        self.plugins = plugins
        self.plugin = plugins[0]
        self.server = self.plugin.server
        self.gateway = gateway
        self.client = Client(gateway)
        # Read and close the answer, as a server does.
        self.client.open = functools.partial(self.client.open, buffered=True)  # type: ignore[method-assign]
        #: The environs that the app was given.
        self.seen = seen

    def get(self, path: str = "/", **options: Any) -> Any:
        return self.client.get(path, **options)

    def do(self, what: str, path: str = "/", **headers: str) -> Any:
        """Ask the test plugin for one of its behaviours."""
        return self.client.get(path, headers={"x-do": what, **headers})

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while it is down."""
        with contextlib.suppress(Exception):
            connection = self.server.pool().take(Deadline.after(5))
            self.server.pool().give(connection)
            return int(connection.wire.peer[0])
        return None


@contextlib.contextmanager
def serving(
    settings: ServerConfig,
    *configs: Mapping[str, Any],
    on_error: str = "closed",
    logger: Any = None,
    app: Any = None,
    name: str | None = None,
) -> Iterator[Served]:
    """Serve an app behind a plugin server's plugin, one entry for each configuration."""
    servers = PluginServers([settings], PLUGINS)
    assert not servers.errors, servers.errors
    cls = servers.find(name or servers.names()[0])
    seen: list[Any] = []

    def own(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "yes")])
        return [b"from the app"]

    plugins = [cls(**config) for config in configs or ({},)]
    entries = [Entry(plugin, instance=f"i{place}", on_error=on_error) for place, plugin in enumerate(plugins)]
    gateway = Gateway(app or own, plugins=entries, logger=logger)
    try:
        yield Served(servers, plugins, gateway, seen)
    finally:
        gateway.stop()


def check_recipe(gunicorn: Any, folder: Path) -> None:
    """Run a recipe with four workers: its README, one server for all, back after a kill, then gone."""
    import json
    import signal

    import requests

    from tests.support.transcript import check_sessions

    (folder / "requests.log").unlink(missing_ok=True)
    server = gunicorn(
        "app:app", workers=4, args=["--chdir", str(folder), "--config", str(folder / "gunicorn.conf.py")]
    )
    until(lambda: requests.get(server.url, timeout=20).status_code == 200)
    check_sessions(folder / "README.md", server.url)
    entries = until(lambda: (folder / "requests.log").exists() and (folder / "requests.log").read_text())
    assert json.loads(entries.splitlines()[0])["response"]["status"] == 200
    pids = plugin_servers_of(folder)
    assert len(pids) == 1, f"expected one plugin server for four workers, found {pids}"
    os.kill(pids[0], signal.SIGKILL)
    begun = time.monotonic()
    for _ in range(8):
        assert requests.get(server.url, timeout=20).status_code == 200
    assert time.monotonic() - begun < 10
    assert plugin_servers_of(folder) != pids
    server.stop()
    until(lambda: not plugin_servers_of(folder))


def plugin_servers_of(folder: Path) -> list[int]:
    """Return the processes that lead a session of their own and run in ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            ours = os.getsid(pid) == pid and os.path.samefile(entry / "cwd", folder)
            if ours and b"kong-prefix" in (entry / "cmdline").read_bytes():
                found.append(pid)
    return sorted(found)
