"""Kong's ProtoBuf protocol, spoken by go-pdk from 0.7 on (``kong/include/kong/pluginsocket.proto``).

Every frame is a 4-byte little-endian length and its payload. A call is an RpcCall, its answer an RpcReturn;
between the two an event's PDK calls run on the same connection: a frame with the method's name, one with
its arguments, and our frame with the result, until an empty frame.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.kong.servers.messages import CARRIES_ERROR, METHODS, RPC_RETURN, write_error
from plugmw.dialects.kong.servers.protobuf import Malformed, decode, sized, varint
from plugmw.dialects.kong.servers.wire import MAX_MESSAGE, MAX_STEPS, Ask, Failed, Garbled, Wire

_START: Final = 33
_CLOSE: Final = 35
_EVENT: Final = 36


class ProtoBufRPC:
    """One connection; see :class:`plugmw.dialects.kong.servers.wire.Connection`.

    Errors have no message in this protocol: the server closes the connection and says why on its stderr.
    """

    survives_exit: ClassVar[bool] = False
    closes_instances: ClassVar[bool] = False

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._sequence = 0
        self._received = b""
        self._events: dict[tuple[int, str], bytes] = {}

    def start(self, name: str, config: str, deadline: Deadline) -> int:
        """Start an instance; return its id."""
        answer = self._call(sized(_START, sized(1, name.encode()) + sized(2, config.encode())), deadline)
        if answer["status"] is None:
            raise Garbled("the answer to start_instance has no status")
        return int(answer["status"]["id"])

    def stop(self, instance: int, deadline: Deadline) -> None:
        """Close an instance; go-pdk drops all that are older than a minute with it."""
        self._call(sized(_CLOSE, b"\x08" + varint(instance)), deadline)

    def has_more(self) -> bool:
        return bool(self._received)

    def event(self, instance: int, phase: str, ask: Ask, deadline: Deadline) -> None:
        """Run one phase, answering the calls it makes."""
        command = self._events.get((instance, phase))
        if command is None:
            command = sized(_EVENT, b"\x08" + varint(instance) + sized(2, phase.encode()))
            self._events[instance, phase] = command
        self._send_call(command, deadline)
        for _ in range(MAX_STEPS):
            method = self._frame().decode("ascii", "replace")
            if not method:
                self._returned()
                return
            self._send(self._answer(method, self._frame(), ask), deadline)
        raise Garbled(f"more than {MAX_STEPS} steps in one event")

    def _answer(self, method: str, data: bytes, ask: Ask) -> bytes:
        """Answer one PDK call. What cannot be told to the plugin ends the event."""
        known = METHODS.get(method)
        if known is None:
            raise Garbled(f"called {method[:80]!r}, which is no PDK method of this protocol")
        read, write = known
        try:
            arguments = read(data)
        except Malformed as error:
            raise Garbled(f"arguments of {method}: {error}") from None
        try:
            return write(ask(method, arguments))
        except Failed as error:
            if method in CARRIES_ERROR:
                return write_error(str(error))
            if error.expected:
                return b""
            raise Garbled(f"{method}: {error}") from None

    # -- frames ---------------------------------------------------------------------------------------

    def _call(self, command: bytes, deadline: Deadline) -> dict[str, Any]:
        self._send_call(command, deadline)
        return self._returned()

    def _send_call(self, command: bytes, deadline: Deadline) -> None:
        self._sequence += 1
        self._send(b"\x08" + varint(self._sequence) + command, deadline)

    def _returned(self) -> dict[str, Any]:
        try:
            answer = decode(RPC_RETURN, self._frame())
        except Malformed as error:
            raise Garbled(f"an answer is no RpcReturn: {error}") from None
        if answer["sequence"] != self._sequence:
            raise Garbled(f"got an answer to call {answer['sequence']}, expected one to {self._sequence}")
        return answer

    def _send(self, payload: bytes, deadline: Deadline) -> None:
        self.wire.send(len(payload).to_bytes(4, "little") + payload, deadline)

    def _frame(self) -> bytes:
        """Return the next frame's payload; its length is checked before memory is taken."""
        data, wire = self._received, self.wire
        if len(data) < 4:
            data += wire.receive()
            while len(data) < 4:
                data += wire.receive_more()
        size = int.from_bytes(data[:4], "little")
        if size > MAX_MESSAGE:
            raise Garbled(f"a frame of {size} bytes, expected at most {MAX_MESSAGE}")
        if len(data) < 4 + size:
            parts, have = [data], len(data)
            while have < 4 + size:
                parts.append(wire.receive_more())
                have += len(parts[-1])
            data = b"".join(parts)
        self._received = data[4 + size :]
        return data[4 : 4 + size]
