"""Ask a plugin server's query command which plugins it has, and believe only what is well-formed.

go-pdk prints ``{"Protocol": "ProtoBuf:1", "Plugins": [...]}``, kong-pdk for Python and JavaScript a bare
list. Programs print other lines too; the last one that is JSON counts.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from plugmw.dialects.kong.schema.typedefs import Definition
from plugmw.dialects.kong.servers.wire import MAX_MESSAGE
from plugmw.errors import LoadError

MSGPACK: Final = "MsgPack:1"
PROTOBUF: Final = "ProtoBuf:1"
#: What a server may serve; ``preread`` belongs to streams and is never called here.
PHASES: Final = ("certificate", "rewrite", "access", "response", "preread", "log")
_VERSION: Final = re.compile(r"\d+\.\d+(?:\.\d+)?").fullmatch
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*").fullmatch


@attrs.frozen
class PluginInfo:
    """One plugin of a dump. ``fields`` is the field list of its configuration, in Kong's schema language."""

    name: str
    priority: int
    version: str
    phases: tuple[str, ...]
    schema: Definition


@attrs.frozen
class Dump:
    """What a server says of itself; ``socket`` is the base name of its socket, if it says that."""

    protocol: str
    plugins: tuple[PluginInfo, ...]
    socket: str | None = None


def query(
    name: str, command: Sequence[str], environment: Mapping[str, str], cwd: str, timeout: float
) -> Dump:
    """Run the query command and read its output; raises :class:`LoadError`."""
    where = f"pluginserver {name}"
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(  # noqa: S603 - the configuration's command
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise LoadError(where, f"cannot run {command[0]!r}: {error.strerror}", "a program") from None
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LoadError(where, f"{command[0]!r} gave no answer within {timeout:g} s", "a dump") from None
        finally:
            try:
                # What it started may hold on to its output.
                os.killpg(process.pid, signal.SIGKILL)
            except OSError:
                pass
            process.wait()
        out.seek(0)
        printed = out.read(MAX_MESSAGE + 1)
        err.seek(0, os.SEEK_END)
        err.seek(max(0, err.tell() - 2000))
        errors = err.read().decode("utf-8", "replace").strip()
    if len(printed) > MAX_MESSAGE:
        raise LoadError(where, f"printed more than {MAX_MESSAGE} bytes", "a dump")
    return read(where, printed.decode("utf-8", "replace"), status, errors)


def read(where: str, printed: str, status: int = 0, errors: str = "") -> Dump:
    """Read what a query command printed; raises :class:`LoadError` naming what is wrong."""
    dump = _last_json(printed)
    if dump is None:
        ending = f"; it ended with status {status}" if status else ""
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        # Python tells the error last, Node.js before its stack.
        hint = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")
        hint = f": {hint[:300]}" if hint else ""
        raise LoadError(where, f"printed no JSON{ending}{hint}", "one line with the dump")
    if isinstance(dump, Mapping):
        protocol, plugins = dump.get("Protocol", MSGPACK), dump.get("Plugins")
        path = dump.get("SocketPath")
    else:
        protocol, plugins, path = MSGPACK, dump, None
    if protocol not in (MSGPACK, PROTOBUF):
        raise LoadError(where, f"Protocol: got {protocol!r}", f"{MSGPACK} or {PROTOBUF}")
    if not isinstance(plugins, list) or not plugins:
        raise LoadError(where, f"Plugins: got {str(plugins)[:80]}", "a list with a plugin")
    socket = os.path.basename(path) if isinstance(path, str) else None
    return Dump(protocol, tuple(_plugin(where, item) for item in plugins), socket or None)


def _last_json(printed: str) -> object:
    """Return the value of the last line that is a JSON object or list; the whole text counts as one, too."""
    for text in (*reversed(printed.splitlines()), printed):
        if text.lstrip()[:1] in ("{", "["):
            try:
                value: object = json.loads(text)
                return value
            except (ValueError, RecursionError):
                continue
    return None


def _plugin(where: str, item: object) -> PluginInfo:
    if not isinstance(item, Mapping):
        raise LoadError(where, f"Plugins: got {str(item)[:80]}", "a plugin's Name, Priority, Version, Phases")
    name, priority, version = item.get("Name"), item.get("Priority"), item.get("Version")
    if not isinstance(name, str) or not _NAME(name):
        raise LoadError(where, f"Name: got {name!r}", "a plugin's name")
    where = f"{where}: {name}"
    if isinstance(priority, float) and priority.is_integer():
        priority = int(priority)
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise LoadError(where, f"Priority: got {priority!r}", "an integer")
    if not isinstance(version, str) or not _VERSION(version):
        raise LoadError(where, f"Version: got {version!r}", "a version like 1.0.0")
    phases = item.get("Phases")
    if not isinstance(phases, list) or not phases:
        raise LoadError(where, f"Phases: got {phases!r}", f"a list of {', '.join(PHASES)}")
    for phase in phases:
        if phase not in PHASES:
            raise LoadError(where, f"Phases: got {phase!r}", f"only {', '.join(PHASES)}")
    schema = item.get("Schema")
    if not isinstance(schema, Mapping):
        raise LoadError(where, f"Schema: got {str(schema)[:80]}", "a table with fields")
    return PluginInfo(name, priority, version, tuple(phases), schema)
