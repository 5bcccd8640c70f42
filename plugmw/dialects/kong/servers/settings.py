"""What a plugin server is: ``pluginservers`` of a gateway document, or Kong's own keys.

pluginservers:
  - name: my-plugin
    start_cmd: ./my-plugin
    query_cmd: ./my-plugin -dump
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from plugmw.errors import ConfigError, ConfigErrors
from plugmw.schema import above, at_least, build, config, field, matches

#: Where Kong looks for executables and puts sockets, unless told otherwise.
KONG_BIN: Final = "/usr/local/bin"
KONG_PREFIX: Final = "/usr/local/kong"
_NAME: Final = matches(r"[A-Za-z0-9][A-Za-z0-9_.\-]*", "a name of letters, digits, _, . and -")


@config
class ServerConfig:
    """One plugin server. Commands are split like a shell's words, but no shell runs them."""

    name: str = field(help="The server's name; also of its socket, if `socket` is not given.")
    start_cmd: str | list[str] | None = field(
        None,
        help="Starts it. `--kong-prefix` and a private folder are added, unless `{prefix}` or the option is "
        "in it; `{python}` is this Python, `{folder}` the document's folder. Without it somebody else runs "
        "the server.",
    )
    query_cmd: str | list[str] | None = field(
        None, help="Prints what the server's plugins are, as JSON. Without both commands, Kong's defaults."
    )
    socket: str | None = field(None, help="Its unix socket, if that is not to be found in `prefix`.")
    prefix: str | None = field(None, help="Folder for its socket, instead of a private one.")
    environment: dict[str, str] = field(
        {}, empty=True, help="Its environment, beside PATH, HOME, LANG, LC_ALL, TZ and TMPDIR."
    )
    on_error: Literal["closed", "open"] = field(
        "closed",
        help="What its failures mean: `closed` leaves them to `on_error` of the entry, `open` goes on.",
    )
    step_timeout: float = field(10.0, above(0), help="Seconds it may take for one answer; then it is killed.")
    event_timeout: float = field(30.0, above(0), help="Seconds one phase may take in all; then it is killed.")
    connect_timeout: float = field(5.0, at_least(0), help="Seconds a request waits for it to start again.")
    query_timeout: float = field(30.0, above(0), help="Seconds `query_cmd` may take.")
    log_entries: int = field(1000, at_least(1), help="Log events that may wait; the oldest is dropped.")

    def check(self) -> Iterator[tuple[str, str]]:
        if not _NAME.test(self.name):
            yield "name", f"got {self.name!r}, expected {_NAME.expected}"
        # One that begins with NUL would be an abstract one, which belongs to whoever was first.
        if "\0" in (self.socket or ""):
            yield "socket", f"got {self.socket!r}, expected the path of a socket"
        for name in ("start_cmd", "query_cmd"):
            try:
                words(getattr(self, name))
            except ValueError as error:
                yield name, f"got {getattr(self, name)!r}, expected a command ({error})"
        if self.query_cmd is None and not os.path.exists(f"{KONG_BIN}/{self.name}"):
            yield "query_cmd", f"undefined, and there is no {KONG_BIN}/{self.name}"
        if (
            self.start_cmd is None
            and self.query_cmd is not None
            and self.socket is None
            and self.prefix is None
        ):
            yield "socket", "missing, expected the socket of a server that is not started here"


def words(command: str | list[str] | None) -> list[str]:
    """Split a command; raises ValueError for an open quote or an empty one."""
    if command is None:
        return []
    parts = shlex.split(command) if isinstance(command, str) else list(command)
    if not parts:
        raise ValueError("it is empty")
    return parts


_OPTIONS: Final = ("socket", "start_cmd", "query_cmd")


def from_kong_conf(source: str | Mapping[str, Any]) -> list[ServerConfig]:
    """Read Kong's own keys, from the text of a ``kong.conf`` or a mapping; other keys are left alone.

    ``pluginserver_names`` lists the servers; ``pluginserver_<name>_socket``, ``_start_cmd`` and
    ``_query_cmd`` (a ``-`` in the name is a ``_`` in the key) have the document's defaults:
    ``<prefix>/<name>.socket``, ``/usr/local/bin/<name>`` and ``/usr/local/bin/<name> -dump``, the last two
    only if that file exists. Raises :class:`~plugmw.errors.ConfigErrors`.
    """
    keys = dict(_lines(source)) if isinstance(source, str) else {str(k): v for k, v in source.items()}
    where = "kong.conf"
    listed = keys.get("pluginserver_names") or ""
    names = listed.split(",") if isinstance(listed, str) else [str(one) for one in listed]
    names = [name.strip().lower() for name in names if name.strip() and name.strip().lower() != "off"]
    known = {key_name(name, option): (name, option) for name in names for option in _OPTIONS}
    errors = [
        ConfigError(
            key, "belongs to no name in pluginserver_names", f"one of {', '.join(names) or 'none'}", where
        )
        for key in keys
        if key.startswith("pluginserver_") and key != "pluginserver_names" and key not in known
    ]
    configs = []
    prefix = str(keys.get("prefix") or KONG_PREFIX).rstrip("/")
    for name in names:
        options = {option: keys.get(key_name(name, option)) for option in _OPTIONS}
        data = {"name": name, **{option: value for option, value in options.items() if value}}
        data.setdefault("socket", f"{prefix}/{name}.socket")
        program = f"{KONG_BIN}/{name}"
        if os.path.exists(program):
            data.setdefault("start_cmd", program)
            data.setdefault("query_cmd", f"{program} -dump")
        if "query_cmd" not in data:
            text = f"query_command undefined for pluginserver {name}"
            errors.append(ConfigError(key_name(name, "query_cmd"), text, f"a command, or {program}", where))
            continue
        try:
            configs.append(build(ServerConfig, data, f"{where}: pluginserver {name}"))
        except ConfigErrors as problems:
            errors += problems.errors
    if errors:
        raise ConfigErrors(errors)
    return configs


def key_name(name: str, option: str) -> str:
    """Return the key of kong.conf for an option of a server."""
    return f"pluginserver_{name.replace('-', '_')}_{option}"


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the settings of a kong.conf: ``key = value``, ``#`` begins a comment unless escaped."""
    for line in text.splitlines():
        line = re.sub(r"(?<!\\)#.*", "", line).replace("\\#", "#").strip()
        key, equals, value = line.partition("=")
        if equals:
            yield key.strip(), value.strip().strip("\"'")
