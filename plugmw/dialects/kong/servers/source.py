"""Plugin servers as a source of plugin classes, beside folders and entry points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plugmw.dialects.kong.servers.remote import RemotePlugin, remote_class
from plugmw.dialects.kong.servers.server import Server, ServerGroup
from plugmw.dialects.kong.servers.settings import ServerConfig
from plugmw.errors import LoadError
from plugmw.schema import read
from plugmw.schema.messages import Problem
from plugmw.schema.reading import Text


class PluginServers:
    """The plugins of some servers. Asks each what it has, when it is made, and starts none.

    ``errors`` holds (index, LoadError) of each server that could not say; the others count all the same.
    Relative programs and paths are looked for in ``folder``.
    """

    def __init__(self, settings: Sequence[ServerConfig], folder: Path | str = ".") -> None:
        self.group = ServerGroup(settings, str(folder))
        self.path = "plugin servers"
        self.errors: list[tuple[int, LoadError]] = []
        self._classes: dict[str, type[RemotePlugin]] = {}
        for index, server in enumerate(self.group.servers):
            try:
                self._take(server)
            except LoadError as error:
                self.errors.append((index, error))

    def _take(self, server: Server) -> None:
        for info in server.dump().plugins:
            other = self._classes.get(info.name)
            if other is not None:
                where = f"pluginserver {server.name}"
                raise LoadError(
                    where, f"has {info.name}, as {other.server.name} has", "one server per plugin"
                )
            self._classes[info.name] = remote_class(server, info)

    def names(self) -> list[str]:
        """Return the names of the servers' plugins."""
        return sorted(self._classes)

    def find(self, name: str) -> type[RemotePlugin] | None:
        """Return the class of a plugin, None if no server has it."""
        return self._classes.get(name)


def read_servers(
    items: Sequence[object], folder: Path | str, text: Text | None = None
) -> tuple[PluginServers, list[Problem]]:
    """Read ``pluginservers`` of a gateway document: the source, and what is wrong with the entries."""
    configs: list[ServerConfig] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        config, more = read(ServerConfig, item, ("pluginservers", index), text)
        problems += more
        if config is None:
            continue
        if any(other.name == config.name for other in configs):
            problems.append((("pluginservers", index, "name"), f"got {config.name!r} again", "a unique name"))
        configs.append(config)
    # Nothing is asked of servers while others are described wrongly: the errors are all of one kind.
    return PluginServers([] if problems else configs, folder), problems
