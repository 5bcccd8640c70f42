"""Kong's MessagePack-RPC, spoken by kong-pdk for Python and JavaScript (``kong/runloop/plugin_servers``).

A stream of MessagePack objects without length prefix: ``[0, id, "plugin.Method", [argument]]`` out,
``[1, id, error, result]`` in. An event is HandleEvent, then one Step per PDK call until its Data is "ret".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

try:
    import msgpack
except ModuleNotFoundError as _error:  # pragma: no cover
    raise ModuleNotFoundError(
        "plugin servers that speak MessagePack need msgpack: pip install 'plugmw[rpc]'", name="msgpack"
    ) from _error

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.kong.servers.wire import (
    MAX_MESSAGE,
    MAX_STEPS,
    Ask,
    Failed,
    Garbled,
    ServerError,
    Wire,
    double,
)

#: Items of one list or map: what a header of five bytes can make an unpacker take memory for.
_MAX_ITEMS: Final = 100_000
#: Lists within lists; deeper ones are no message of this protocol.
_MAX_DEPTH: Final = 100
#: Notifications that may come before an answer; Kong ignores them.
_MAX_NOTICES: Final = 100

#: Answers whose type go-pdk's MessagePack servers (up to 0.6) want to know; Kong's table (``mp_rpc.lua``).
_STEPS: Final = {
    "kong.client.get_credential": "plugin.StepCredential",
    "kong.client.load_consumer": "plugin.StepConsumer",
    "kong.client.get_consumer": "plugin.StepConsumer",
    "kong.client.authenticate": "plugin.StepCredential",
    "kong.node.get_memory_stats": "plugin.StepMemoryStats",
    "kong.router.get_route": "plugin.StepRoute",
    "kong.router.get_service": "plugin.StepService",
    "kong.request.get_query": "plugin.StepMultiMap",
    "kong.request.get_headers": "plugin.StepMultiMap",
    "kong.response.get_headers": "plugin.StepMultiMap",
    "kong.service.response.get_headers": "plugin.StepMultiMap",
}


class MsgPackRPC:
    """One connection; see :class:`plugmw.dialects.kong.servers.wire.Connection`."""

    survives_exit: ClassVar[bool] = True
    closes_instances: ClassVar[bool] = True

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._id = 0
        # Integers beyond 64 bits, which clients may send in JSON, are given to ``default``.
        self._pack = msgpack.Packer(use_bin_type=True, unicode_errors="replace", default=_number).pack
        self._unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=False,
            max_buffer_size=MAX_MESSAGE,
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_ITEMS,
        )

    def start(self, name: str, config: str, deadline: Deadline) -> int:
        """Start an instance; return its id."""
        result = self._call("plugin.StartInstance", {"Name": name, "Config": config}, deadline)
        instance = result.get("Id") if isinstance(result, Mapping) else None
        if isinstance(instance, bool) or not isinstance(instance, int):
            raise Garbled(f"StartInstance gave {instance!r} as Id, expected an integer")
        return instance

    def stop(self, instance: int, deadline: Deadline) -> None:
        """Close an instance."""
        self._call("plugin.CloseInstance", instance, deadline)

    def has_more(self) -> bool:
        return bool(self._unpacker.read_bytes(1))

    def event(self, instance: int, phase: str, ask: Ask, deadline: Deadline) -> None:
        """Run one phase, answering the calls it makes."""
        reply = self._call("plugin.HandleEvent", {"InstanceId": instance, "EventName": phase}, deadline)
        for _ in range(MAX_STEPS):
            try:
                data, event = reply["Data"], reply["EventId"]
                if data == "ret":
                    return
                method, arguments = data["Method"], data.get("Args") or []
            except (TypeError, KeyError, IndexError, AttributeError):
                raise Garbled("an event answer is no {Data, EventId}") from None
            if not isinstance(method, str) or not isinstance(arguments, (list, tuple)):
                raise Garbled("a step is no {Method, Args}")
            try:
                value = ask(method, list(arguments))
                step = _STEPS.get(method, "plugin.Step") if value is not None else "plugin.Step"
                reply = self._call(step, {"EventId": event, "Data": value}, deadline)
            except Failed as error:
                reply = self._call("plugin.StepError", {"EventId": event, "Data": str(error)}, deadline)
        raise Garbled(f"more than {MAX_STEPS} steps in one event")

    def _call(self, method: str, argument: object, deadline: Deadline) -> Any:
        """Make one call and return its result; the answer's id must be the call's."""
        number = self._id + 1
        try:
            data = self._pack([0, number, method, [argument]])
        except ValueError:
            raise Failed("the value is nested too deep to be sent") from None
        self._id = number
        self.wire.send(data, deadline)
        for notices in range(_MAX_NOTICES):
            answer = self._read(b"" if notices else self.wire.receive())
            if not isinstance(answer, list) or not answer:
                raise Garbled("an answer is no list")
            if answer[0] == 2:
                continue
            if len(answer) != 4 or answer[0] != 1 or answer[1] != number:
                raise Garbled(f"got an answer to call {answer[1:2]!r}, expected one to {number}")
            if answer[2] is not None:
                raise ServerError(str(answer[2])[:2000])
            return answer[3]
        raise Garbled("only notifications, no answer")

    def _read(self, data: bytes) -> object:
        """Return the next whole object of the stream, of which ``data`` has just come."""
        unpacker, wire, parts = self._unpacker, self.wire, 0
        while True:
            try:
                unpacker.feed(data)
                value: object = unpacker.unpack()
            except msgpack.OutOfData:
                data = wire.receive_more()
                parts += 1
                continue
            except Exception as error:
                # msgpack raises its own errors, ValueError and UnicodeDecodeError; all mean the same.
                raise Garbled(f"no MessagePack ({type(error).__name__})") from None
            if len(data) > _MAX_DEPTH or parts:
                # What is shorter cannot be nested deeper.
                check_depth(value)
            return value


def _number(value: object) -> float:
    if not isinstance(value, int):
        raise TypeError(f"got {type(value).__name__}, which MessagePack has no form for")
    return double(value)


def check_depth(value: object, left: int = _MAX_DEPTH) -> None:
    """Refuse lists and maps nested too deep."""
    if isinstance(value, (list, dict)):
        if left <= 0:
            raise Garbled(f"nested deeper than {_MAX_DEPTH} levels")
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, (list, dict)):
                check_depth(item, left - 1)
