"""Plugins of the real go-pdk over ProtoBuf, and the traps that it is known for."""

from __future__ import annotations

import logging
import os
import subprocess
import time

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.sockets import has_news
from plugmw.dialects.kong.servers.pool import connect
from plugmw.dialects.kong.servers.protobuf_rpc import ProtoBufRPC
from plugmw.dialects.kong.servers.wire import Closed, Wire
from tests.support.pluginservers import PLUGINS, go_binary, go_server, serving
from tests.support.waiting import until

SOURCE = PLUGINS / "go-traps"


@pytest.fixture(scope="module")
def served():
    with serving(go_server(SOURCE), {"message": "from-config", "limit": 3, "list": ["a"]}) as found:
        yield found


@pytest.fixture
def own():
    """A server of its own, for what kills it."""
    with serving(go_server(SOURCE, step_timeout=1.5), {"message": "own"}) as found:
        found.do("")
        yield found


def test_takes_name_priority_version_and_schema_from_the_dump(served):
    cls = type(served.plugin)
    assert (cls.name, cls.priority, cls.version) == ("go-traps", 9, "2.0")
    with pytest.raises(ValueError, match="limit: got -1: value should be between 0 and 2147483648"):
        cls(limit=-1)


def test_runs_the_access_phase_with_the_configuration(served):
    assert served.do("").headers["x-message"] == "from-config"


def test_shared_values_go_there_and_back(served):
    assert served.do("shared").headers["x-shared"] == "map[a:[1 b <nil> true]] <nil>"


def test_nobody_is_an_empty_consumer(served):
    assert served.do("consumer").headers["x-consumer"] == "<nil>"


def test_memory_statistics_have_the_dicts_that_go_looks_into(served):
    assert served.do("memory").headers["x-memory"] == "{{0 0} {0 0}} 1 true <nil>"


def test_a_call_that_comes_after_its_request_acts_on_no_other(own):
    assert own.do("late").status_code == 200
    idle = own.plugin.server.pool()._idle
    until(lambda: has_news(idle[-1].wire.sock))
    late = idle[-1]
    assert "x-late" not in own.do("").headers
    assert late.wire.sock.fileno() == -1


def test_a_body_over_the_limit_is_an_error_in_the_plugin(served):
    answer = served.client.post("/", headers={"x-do": "body"}, data=b"x" * 9000)
    assert answer.headers["x-body"].startswith("0 request body did not fit")
    assert served.client.post("/", headers={"x-do": "body"}, data=b"abc").headers["x-body"] == "3 <nil>"


def test_a_header_that_would_split_the_response_is_closed(served):
    answer = served.do("bad")
    assert answer.status_code == 500
    assert "x-split" not in answer.headers


def test_a_call_in_a_wrong_phase_is_closed(served):
    assert served.do("phase").status_code == 500
    assert served.do("").status_code == 200


def test_log_lines_arrive(served, caplog):
    caplog.set_level(logging.WARNING)
    served.do("log")
    assert "from go 1.5" in caplog.text


def test_two_megabytes_pass(served):
    assert served.do("big").status_code == 200
    assert served.seen[-1]["CONTENT_LENGTH"] == "2000000"


def test_a_panic_ends_the_server_and_only_that_request(own):
    pid = own.pid
    assert own.do("panic").status_code == 500
    assert own.server.counts["retries"] == 1
    assert until(lambda: own.do("").status_code == 200)
    assert own.pid != pid


def test_an_instance_that_was_dropped_is_started_again(own):
    # CloseInstance drops what is older than a minute; here it drops the one that is in use.
    sock, _ = connect(own.server.socket(), 5.0)
    ProtoBufRPC(Wire(sock, 5.0)).stop(own.plugin._instance[2], Deadline.after(5))
    sock.close()
    assert own.do("").headers["x-message"] == "own"
    assert own.server.counts["retries"] == 1


def test_a_connection_is_given_up_after_exit(own):
    instance = own.plugin._instance
    for _ in range(5):
        answer = own.do("exit")
        assert (answer.status_code, answer.data, answer.headers["x-exit"]) == (403, b"no", "yes")
    assert own.do("").status_code == 200
    # The server is the same, and so is the instance.
    assert own.plugin._instance == instance
    assert own.server.counts["retries"] == 0


def test_a_flag_in_the_query_is_an_empty_list(served):
    assert served.do("query", "/?a=1&a=2&flag").headers["x-query"] == "map[a:[1 2] flag:[]] <nil>"


def test_a_socket_path_that_is_too_long_ends_the_server_with_status_0(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    program = str(go_binary(SOURCE))
    done = subprocess.run([program, "-kong-prefix", str(folder)], capture_output=True, timeout=20)
    assert done.returncode == 0
    assert b"bind: invalid argument" in done.stderr


def test_our_own_folders_are_short(own):
    assert len(own.server.socket()) < 100


def test_a_killed_server_leaves_its_socket(own):
    path = own.server.socket()
    os.kill(own.pid, 9)
    with pytest.raises(OSError, match="refused"):
        until(lambda: not close(connect(path, 1.0)[0]), 0.5)
    assert own.do("").status_code == 200


def close(sock):
    sock.close()
    return True


def test_an_unknown_instance_closes_the_connection(own):
    sock, _ = connect(own.server.socket(), 5.0)
    with pytest.raises(Closed):
        ProtoBufRPC(Wire(sock, 5.0)).event(12345, "access", lambda *_: None, Deadline.after(5))
    sock.close()


def test_a_silent_handler_is_killed_and_started_again(own):
    pid = own.pid
    begun = time.monotonic()
    assert own.do("silent").status_code == 500
    # Not the ten seconds of the default.
    assert time.monotonic() - begun < 9.0
    # Other requests may still be answered by the one that is about to be killed.
    assert until(lambda: own.pid != pid)
    assert until(lambda: own.do("").status_code == 200)
