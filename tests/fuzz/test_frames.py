"""What other processes say: plugin servers over MessagePack and ProtoBuf, workers of native functions."""

from __future__ import annotations

import io
import json
import math
import re
import socket
import struct

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from plugmw.dialects.kong.servers import dump
from plugmw.dialects.kong.servers.messages import METHODS, RPC_RETURN
from plugmw.dialects.kong.servers.msgpack_rpc import MsgPackRPC
from plugmw.dialects.kong.servers.pdk_calls import Calls
from plugmw.dialects.kong.servers.protobuf import (
    Malformed,
    decode,
    encode,
    read_value,
    sized,
    varint,
    write_value,
)
from plugmw.dialects.kong.servers.protobuf_rpc import ProtoBufRPC
from plugmw.dialects.kong.servers.wire import Closed, Garbled, Late, ServerError
from plugmw.dialects.prest import abi
from plugmw.errors import LoadError
from plugmw.testing import gateway, hello_app
from tests.fuzz.budget import REFUSED, tried
from tests.fuzz.strategies import VALUES, blobs, headers, texts, trees
from tests.support.kong import plugin
from tests.support.wsgi import environ_of, serve

#: What a broken server leads to.
FAULTS = (Closed, Late, Garbled, ServerError)
_UNSENDABLE = re.compile("[\r\n\0]").search


class Said:
    """A connection on which the server has said all it has to say before it is asked."""

    def __init__(self, data, piece):
        self.pieces = [data[at : at + piece] for at in range(0, len(data), piece)]

    def send(self, data, end):
        assert isinstance(data, bytes)

    def receive(self):
        if not self.pieces:
            raise Closed("closed the connection")
        return self.pieces.pop(0)

    receive_more = receive


def event(kind, data, piece, phase="access", **request):
    """Run an event with a server that says ``data``, in a phase of a request; fail for unknown exceptions."""
    errors = []

    def method(config):
        try:
            kind(Said(data, piece)).event(1, phase, Calls().ask, math.inf)
        except FAULTS:
            pass
        except Exception as error:
            errors.append(error)

    app = gateway(plugin(**{phase: method}), app=hello_app)
    result = tried(lambda: serve(app, environ_of(**{"QUERY_STRING": "a=1", "HTTP_X_A": "b", **request})))
    assert not errors, errors
    assert result.raised is None
    for name, value in result.headers:
        assert not _UNSENDABLE(name + value)


def start(kind, data, piece):
    found = tried(lambda: kind(Said(data, piece)).start("hello", "{}", math.inf), refuses=FAULTS)
    assert found is REFUSED or isinstance(found, int)


PIECES = st.sampled_from([1, 3, 65536])
PHASES = st.sampled_from(["access", "response", "log"])

# -- MessagePack -------------------------------------------------------------------------------------------

CALLS = (
    ("kong.request.get_header", ["x-a"]),
    ("kong.request.get_query", [10]),
    ("kong.response.set_header", ["x-b", ["1", 2, True]]),
    ("kong.response.exit", [200, "body", {"x-c": "d"}]),
    ("kong.service.request.set_headers", [{"x-d": ["1", "2"]}]),
    ("kong.service.request.set_path", ["/a/b"]),
    ("kong.service.request.set_raw_body", [b"\xff"]),
    ("kong.service.request.set_query", [{"a": ["b", True]}]),
    ("kong.service.request.set_body", [{"a": "b"}, "application/json"]),
    ("kong.ctx.shared.set", ["a", {"b": [1]}]),
    ("kong.client.authenticate", [{"id": "1", "username": "a"}, {"id": "2"}]),
    ("kong.log.notice", ["a", {"b": 1}]),
    ("kong.log.set_serialize_value", ["a.b", 1]),
)


def steps(*calls):
    """Return the answers of a server that makes these calls and ends."""
    made = [
        [1, n + 1, None, {"Data": {"Method": name, "Args": args}, "EventId": 1}]
        for n, (name, args) in enumerate(calls)
    ]
    return [*made, [1, len(calls) + 1, None, {"Data": "ret", "EventId": 1}]]


STREAMS = (*(steps(call) for call in CALLS), steps(*CALLS[:3]), [[2, "notice", []], [1, 1, "failed", None]])
KEYS = ("Data", "EventId", "Method", "Args", "Id", *(name for name, _ in CALLS))


def packed(stream):
    return b"".join(map(_packed, stream if isinstance(stream, list) else [stream]))


def _packed(value):
    try:
        return msgpack.packb(value, unicode_errors="surrogatepass")
    except (OverflowError, ValueError):
        return msgpack.packb(None)


def test_what_is_changed_here_is_good_before():
    for stream in STREAMS[:-1]:
        app = gateway(
            plugin(
                access=lambda config: MsgPackRPC(Said(packed(stream), 9)).event(1, "access", Calls().ask, 9e9)
            )
        )
        assert serve(app, environ_of()).status[0] == "2", stream
    assert MsgPackRPC(Said(packed([[1, 1, None, {"Id": 7}]]), 9)).start("a", "{}", 9e9) == 7


@given(trees(*STREAMS, keys=KEYS, values=KEYS).map(packed), PIECES, PHASES)
def test_any_messages_of_a_server_are_an_event_or_a_fault(data, piece, phase):
    event(MsgPackRPC, data, piece, phase)


@given(
    blobs(*map(packed, STREAMS), parts=(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91" * 500)),
    PIECES,
)
def test_any_bytes_of_messagepack_are_an_event_or_a_fault(data, piece):
    event(MsgPackRPC, data, piece)
    start(MsgPackRPC, data, piece)


ASKING = packed(
    steps(("kong.request.get_body", []), ("kong.request.get_query", []), ("kong.request.get_headers", []))
)
BODY = {"a": [1, "b", {"c": None}], "d": 1.5}


@given(
    trees(BODY, values=(10**30, -(10**30), "\ud800", [[[]]])).map(json.dumps),
    headers("a=1&%ff=%00", "a[]=%ed%a0%80"),
)
def test_what_a_client_sends_reaches_a_plugin_server(body, query):
    request = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "QUERY_STRING": query}
    request |= {"wsgi.input": io.BytesIO(body.encode()), "REQUEST_METHOD": "POST", "HTTP_X_B": query}
    event(MsgPackRPC, ASKING, 65536, **request)


@given(
    trees([[1, 1, None, {"Id": 7}]], [[2, "a"], [1, 1, None, {"Id": 7}]], keys=("Id",)).map(packed), PIECES
)
def test_an_instance_has_a_number_or_is_a_fault(data, piece):
    start(MsgPackRPC, data, piece)


# -- ProtoBuf ----------------------------------------------------------------------------------------------

ARGUMENTS = (
    b"",
    sized(1, b"x-a"),
    sized(1, b"x-a") + sized(2, write_value("b")),
    sized(1, b"x-a") + sized(2, write_value(["b", 1, None, {"c": True}])),
    b"\x08\xc8\x01" + sized(2, b"body") + sized(3, sized(1, sized(1, b"x-c") + sized(2, write_value("d")))),
    sized(1, sized(1, b"id") + sized(3, b"alice")) + sized(2, sized(1, b"c")),
    write_value({"a": [1.5, "b", None]}),
    b"\x09" + struct.pack("<d", float("nan")),
)
RETURNED = b"\x08\x01\x8a\x02\x0f\x0a\x08go-hello\x10\x07\x20\xe9\x07"
NESTED = (b"\x32\x02\x0a\x00" * 40, b"\x2a\x04\x0a\x02\x12\x00" * 40)


def framed(*payloads):
    return b"".join(len(one).to_bytes(4, "little") + one for one in payloads)


def called(name, arguments):
    return framed(name.encode(), arguments, b"", RETURNED)


SESSIONS = tuple(called(name, arguments) for name, _ in CALLS for arguments in ARGUMENTS[1:5])


@given(st.sampled_from(sorted(METHODS)), blobs(*ARGUMENTS, parts=(*NESTED, varint(-1))), PHASES)
def test_any_arguments_of_a_call_are_answered_or_a_fault(name, arguments, phase):
    event(ProtoBufRPC, called(name, arguments), 65536, phase)


@given(blobs(*SESSIONS, framed(RETURNED), parts=ARGUMENTS), PIECES)
def test_any_bytes_of_protobuf_are_an_event_or_a_fault(data, piece):
    event(ProtoBufRPC, data, piece)
    start(ProtoBufRPC, data, piece)


@given(blobs(RETURNED, *ARGUMENTS, parts=NESTED))
def test_any_message_is_read_or_malformed(data):
    found = tried(decode, RPC_RETURN, data, refuses=Malformed)
    if found is not REFUSED:
        assert decode(RPC_RETURN, encode(RPC_RETURN, found)) == found
    value = tried(read_value, data, refuses=Malformed)
    if value is not REFUSED and value == value and b"nan" not in repr(value).encode():
        assert read_value(write_value(value)) == value


@given(trees(*VALUES, {"a": [1, "b", {"c": None}]}))
def test_any_value_is_written(value):
    read_value(tried(write_value, value))


# -- dumps -------------------------------------------------------------------------------------------------

PLUGIN = {
    "Name": "hello",
    "Phases": ["access", "log"],
    "Priority": 10,
    "Version": "1.0",
    "Schema": {
        "name": "hello",
        "fields": [{"config": {"type": "record", "fields": [{"a": {"type": "string"}}]}}],
    },
}
DUMP = {"Protocol": "ProtoBuf:1", "SocketPath": "/run/hello.socket", "Plugins": [PLUGIN]}


@given(
    trees(DUMP, [PLUGIN], keys=("Name", "Protocol"), values=("MsgPack:1", "config", "record")).map(json.dumps)
)
def test_any_dump_is_read_or_refused(printed):
    tried(dump.read, "pluginserver a", printed, refuses=LoadError)


@given(
    texts(json.dumps(DUMP), "starting\n" + json.dumps([PLUGIN]) + "\ndone", words=("{", "}", "[", "\n", "1"))
)
def test_any_text_that_a_server_prints_is_read_or_refused(printed):
    tried(dump.read, "pluginserver a", printed, 1, printed, refuses=LoadError)


# -- native functions --------------------------------------------------------------------------------------

FIELDS = [b"200", b"{}", b"body", b""]
FRAME = b"".join(struct.pack("!Q", len(field)) for field in FIELDS) + b"".join(FIELDS)


def received(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return abi.receive(ours, 4, 10_000)


@given(blobs(FRAME, FRAME * 2))
def test_any_frame_of_a_worker_is_whole_or_an_error(data):
    found = tried(received, data, refuses=(EOFError, ValueError))
    assert found is REFUSED or (len(found) == 4 and sum(map(len, found)) <= 10_000)
