"""Plugins of the real kong-pdk for JavaScript, and the traps that it is known for."""

from __future__ import annotations

import socket

import msgpack
import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.process import started_at
from plugmw.dialects.kong.servers.msgpack_rpc import MsgPackRPC
from plugmw.dialects.kong.servers.pool import connect
from plugmw.dialects.kong.servers.wire import Wire
from tests.support.pluginservers import PLUGINS, js_server, serving
from tests.support.waiting import until


@pytest.fixture(scope="module")
def served():
    with serving(js_server(PLUGINS / "js", connect_timeout=15.0), {"message": "from-config"}) as found:
        yield found


def test_runs_the_access_phase_with_the_configuration(served):
    assert (served.plugin.name, served.plugin.priority) == ("js-traps", 5)
    assert served.do("").headers["x-message"] == "from-config"


def test_exit_answers_instead_of_the_app(served):
    answer = served.do("exit")
    assert (answer.status_code, answer.json, answer.headers["x-exit"]) == (403, {"message": "no"}, "yes")


def test_an_error_of_the_pdk_is_thrown_in_the_plugin(served):
    assert "cannot be called in access phase" in served.do("error").headers["x-err"]


def test_a_raise_ends_the_phase_and_the_request_goes_on(served):
    assert served.do("raise").status_code == 200


def test_queries_are_lists(served):
    assert served.do("query", "/?a=1&a=2&flag").headers["x-query"] == '{"a":["1","2"],"flag":[]}'


def test_two_mebibytes_pass(served):
    assert served.do("big").status_code == 200
    assert served.seen[-1]["CONTENT_LENGTH"] == "2000000"


def test_a_split_message_kills_the_server_so_each_is_one_write():
    with serving(js_server(PLUGINS / "js", connect_timeout=15.0)) as served:
        served.do("")
        pid = served.pid
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(served.server.socket())
            message = msgpack.packb([0, 1, "plugin.GetStatus", []])
            # Two messages in one write: what a pipelining client would do.
            raw.sendall(message + message)
            until(lambda: not started_at(pid))
        assert until(lambda: served.do("").status_code == 200)


def test_an_undefined_phase_says_ret(served):
    served.do("")
    sock, _ = connect(served.server.socket(), 5.0)
    rpc = MsgPackRPC(Wire(sock, 5.0))
    end = Deadline.after(5)
    rpc.event(rpc.start("js-traps", "{}", end), "no_such_phase", lambda method, arguments: None, end)
    sock.close()
