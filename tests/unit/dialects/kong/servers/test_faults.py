"""Servers that do everything wrong, over both protocols: one request suffers, in time, and nothing leaks."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
import time
from types import SimpleNamespace

import msgpack
import pytest

from plugmw.dialects.kong.servers.dump import MSGPACK, PROTOBUF, Dump, PluginInfo
from plugmw.dialects.kong.servers.msgpack_rpc import MsgPackRPC
from plugmw.dialects.kong.servers.remote import remote_class
from plugmw.dialects.kong.servers.server import ServerGroup
from plugmw.dialects.kong.servers.settings import ServerConfig
from plugmw.errors import RemoteError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Runtime
from plugmw.wsgi.answer import Exit
from tests.support.events import listening
from tests.support.length import by_length


class Script:
    """A plugin server that does one thing: ``do(connection)`` for each that is made."""

    def __init__(self, path, do):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.do = do
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            try:
                self.do(connection)
            except OSError:
                pass

    def close(self):
        # A thread that waits in accept would keep a socket that is only closed.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_call(connection):
    """Read one MessagePack message."""
    unpacker = msgpack.Unpacker(raw=False)
    while data := connection.recv(65536):
        unpacker.feed(data)
        for message in unpacker:
            return message
    raise OSError("closed")


def answering(*replies):
    """Return a server that starts instances rightly, then sends ``replies``: bytes or functions of the id."""

    def do(connection):
        started = read_call(connection)
        connection.sendall(msgpack.packb([1, started[1], None, {"Id": 0, "Name": "p"}]))
        for reply in replies:
            call = read_call(connection)
            connection.sendall(reply(call[1]) if callable(reply) else reply)
        connection.recv(1)

    return do


def ok(data):
    return lambda number: msgpack.packb([1, number, None, {"Data": data, "EventId": 0}])


def frame(payload):
    return struct.pack("<I", len(payload)) + payload


def proto_answering(*replies):
    def do(connection):
        connection.recv(65536)
        connection.sendall(frame(b"\x08\x01\x8a\x02\x02\x10\x07"))
        connection.recv(65536)
        for reply in replies:
            connection.sendall(reply)
        connection.recv(1)

    return do


@pytest.fixture
def plugin(tmp_path):
    """Return a function that makes a plugin of a scripted server."""
    tmp_path.chmod(0o700)
    made = []

    def make(do, protocol=MSGPACK, **settings):
        path = tmp_path / f"s{len(made)}"
        script = Script(path, do) if do else None
        config = ServerConfig(
            name="p",
            query_cmd="unused",
            socket=str(path),
            **{"step_timeout": 0.2, "event_timeout": 0.5, "connect_timeout": 0.1, **settings},
        )
        group = ServerGroup([config], str(tmp_path))
        server = group.servers[0]
        info = PluginInfo("p", 1, "1.0", ("access",), {"fields": []})
        server._dump = Dump(protocol, (info,))
        found = remote_class(server, info)()
        found.bind(Runtime())
        found.configure()
        found.init_worker()
        made.append((found, script))
        found.script = script
        return found

    yield make
    for found, script in made:
        found.close()
        if script:
            script.close()


def run(plugin, **environ):
    x = type("X", (Exchange,), {"runtime": plugin.runtime})(
        {"REQUEST_METHOD": "GET", "HTTP_HOST": "h", **environ}, None
    )
    plugin.access(x)
    return x


FAULTS = {
    "closes at once": (lambda connection: None, MSGPACK, "the plugin server|no plugin server"),
    "half a message": (answering(b"\x94\x01"), MSGPACK, "in time"),
    "killed in mid-call": (
        lambda c: (read_call(c), c.sendall(msgpack.packb([1, 1, None, {"Id": 0}])), read_call(c)),
        MSGPACK,
        "closed the connection",
    ),
    # No memory is taken before the bytes come, and 16 MiB of them at most.
    "text of 2 GiB, a little": (answering(b"\xdb\x7f\xff\xff\xff"), MSGPACK, "in time"),
    "text of 2 GiB": (answering(b"\xdb\x7f\xff\xff\xff" + b"x" * 2**25), MSGPACK, "no MessagePack"),
    "list of 4 Gi items": (answering(b"\xdd\xff\xff\xff\xff"), MSGPACK, "no MessagePack"),
    "nested deeply": (answering(b"\x91" * 5000), MSGPACK, "no MessagePack|nested"),
    "wrong id": (answering(lambda n: ok("ret")(n + 7)), MSGPACK, "expected one to 2"),
    "invalid MessagePack": (answering(b"\xc1\xc1\xc1"), MSGPACK, "no MessagePack"),
    "no list": (answering(b"\x01"), MSGPACK, "no list"),
    "no event": (answering(lambda n: msgpack.packb([1, n, None, 5])), MSGPACK, "EventId"),
    "no step": (answering(ok({"Method": 5, "Args": []})), MSGPACK, "no step|Method"),
    "id that is no number": (
        lambda c: (read_call(c), c.sendall(msgpack.packb([1, 1, None, {"Id": "x"}])), c.recv(1)),
        MSGPACK,
        "expected an integer",
    ),
    "own error": (answering(lambda n: msgpack.packb([1, n, "boom", None])), MSGPACK, "said: boom"),
    "silent": (answering(b""), MSGPACK, "in time"),
    "silent from the start": (
        lambda connection: connection.recv(100000) and time.sleep(1),
        MSGPACK,
        "no instance",
    ),
    "a byte at a time": (
        lambda c: [(c.sendall(b"\xa0"), time.sleep(0.05)) for _ in range(30)],
        MSGPACK,
        "no list|in time",
    ),
    "frame of 2 GiB": (proto_answering(b"\xff\xff\xff\x7f"), PROTOBUF, "a frame of 2147483647 bytes"),
    "half a frame": (proto_answering(b"\x10\x00\x00\x00abc"), PROTOBUF, "in time"),
    "unlisted method": (proto_answering(frame(b"os.system"), frame(b"")), PROTOBUF, "no PDK method"),
    "bad arguments": (
        proto_answering(frame(b"kong.request.get_header"), frame(b"\x0a\x7f")),
        PROTOBUF,
        "longer than its message",
    ),
    "wrong sequence": (proto_answering(frame(b""), frame(b"\x08\x63")), PROTOBUF, "got an answer to call 99"),
    "closes in the event": (
        lambda c: (c.recv(999), c.sendall(frame(b"\x08\x01\x8a\x02\x02\x10\x07")), c.recv(999)),
        PROTOBUF,
        "closed the connection",
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(50)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_one_request_in_time(plugin, fault):
    do, protocol, text = FAULTS[fault]
    # The limits are short where they are what ends the call, and never reached where something else does.
    waits = "in time" in text or fault == "silent from the start"
    made = plugin(do, protocol, **{} if waits else {"step_timeout": 60, "event_timeout": 60})
    with pytest.raises(RemoteError, match=text):
        run(made)


def test_a_refused_connection_costs_what_connect_timeout_says(plugin):
    made = plugin(None)
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(RemoteError, match="no plugin server"):
            run(made)
        assert time.monotonic() - begun < 5


@pytest.mark.slow
def test_after_one_has_waited_others_do_not(plugin):
    made = plugin(None, connect_timeout=2.0)
    with pytest.raises(RemoteError):
        run(made)
    begun = time.monotonic()
    with pytest.raises(RemoteError):
        run(made)
    assert time.monotonic() - begun < 1.5


@pytest.mark.slow
def test_no_descriptor_is_left_after_many_faults(plugin):
    kinds = ["closes at once", "wrong id", "invalid MessagePack", "own error", "no event"]
    made = [plugin(FAULTS[kind][0], FAULTS[kind][1]) for kind in kinds]
    for one in made:
        with pytest.raises(RemoteError):
            run(one)
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(by_length(100, 1000)):
        with pytest.raises(RemoteError):
            run(made[turn % len(made)])
    # The scripted server's own threads may still be closing theirs.
    end = time.monotonic() + 5
    while abs(len(os.listdir("/proc/self/fd")) - before) > 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert abs(len(os.listdir("/proc/self/fd")) - before) <= 2


def test_notifications_are_skipped(plugin):
    made = plugin(answering(lambda n: msgpack.packb([2, "serverPid", 5]) + ok("ret")(n)))
    run(made)


def test_an_unknown_instance_is_started_again_once(plugin):
    def do(connection):
        for _ in range(4):
            call = read_call(connection)
            if call[2] == "plugin.StartInstance":
                connection.sendall(msgpack.packb([1, call[1], None, {"Id": 3}]))
            else:
                connection.sendall(msgpack.packb([1, call[1], "no plugin instance #3", None]))

    made = plugin(do)
    with pytest.raises(RemoteError, match="no plugin instance"):
        run(made)
    assert made.server.counts["retries"] == 1


def test_an_exit_of_the_plugin_is_raised_and_the_connection_kept(plugin):
    step = ok({"Method": "kong.response.exit", "Args": [401, "no"]})
    made = plugin(answering(step, ok("ret")))
    with pytest.raises(Exit) as caught:
        run(made)
    assert (caught.value.status, caught.value.body) == (401, b"no")
    run(made)
    assert made.script.connections == 1


def test_a_failed_call_is_told_as_step_error(plugin):
    seen = []

    def reply(number):
        return ok({"Method": "kong.no.such", "Args": []})(number)

    def do(connection):
        started = read_call(connection)
        connection.sendall(msgpack.packb([1, started[1], None, {"Id": 0}]))
        connection.sendall(reply(read_call(connection)[1]))
        call = read_call(connection)
        seen.append(call)
        connection.sendall(ok("ret")(call[1]))
        connection.recv(1)

    run(plugin(do))
    assert seen[0][2] == "plugin.StepError"
    assert "not a function that plugin servers may call" in seen[0][3][0]["Data"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (f'{{"a": {10**30}}}', {"a": 1e30}),
        (f'{{"a": -{10**400}}}', {"a": float("-inf")}),
        ('{"a": "\\ud800"}', {"a": "?"}),
    ],
    ids=["beyond 64 bits", "beyond any number", "half a character"],
)
def test_a_body_that_messagepack_cannot_say_is_told_all_the_same(plugin, body, told):
    seen = []

    def do(connection):
        for data in ({"Id": 0}, {"Data": {"Method": "kong.request.get_body", "Args": []}, "EventId": 0}):
            connection.sendall(msgpack.packb([1, read_call(connection)[1], None, data]))
        seen.append(read_call(connection))
        connection.sendall(ok("ret")(seen[0][1]))
        connection.recv(1)

    request = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    run(plugin(do), **request, **{"wsgi.input": io.BytesIO(body.encode())})
    assert seen[0][2:] == ["plugin.Step", [{"EventId": 0, "Data": told}]]


def test_a_value_nested_too_deep_is_told_as_step_error():
    deep = []
    for _ in range(5000):
        deep = [deep]
    sent = []
    replies = [ok({"Method": "kong.request.get_body", "Args": []})(1), ok("ret")(2)]
    wire = SimpleNamespace(send=lambda data, end: sent.append(data), receive=lambda: replies.pop(0))
    MsgPackRPC(wire).event(0, "access", lambda method, arguments: deep, 0.0)
    step = [0, 2, "plugin.StepError", [{"EventId": 0, "Data": "the value is nested too deep to be sent"}]]
    assert msgpack.unpackb(sent[1]) == step


@pytest.mark.slow
def test_a_socket_of_anybody_in_an_open_folder_is_refused(plugin, tmp_path):
    made = plugin(answering(ok("ret")))
    tmp_path.chmod(0o777)
    with pytest.raises(RemoteError, match="other users can write to"):
        run(made)
    tmp_path.chmod(0o700)


def test_what_happens_to_a_server_is_logged_by_its_weight_and_restarts_are_counted(tmp_path, caplog):
    group, runtime = ServerGroup([], str(tmp_path)), Runtime()
    group.logger, group.events = runtime.logger, runtime.events
    caplog.set_level("INFO")
    for text, event in (("ended", "trouble"), ("started again", "restart"), ("hello", "")):
        group._said("s", 7, text, event)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "[s:7] ended"),
        ("INFO", "[s:7] started again"),
        ("INFO", "[s:7] hello"),
    ]
    taken = listening(runtime.events)
    assert taken == [("pluginserver_restarts", "", 1)]
