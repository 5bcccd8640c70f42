"""Plugins of the real kong-pdk for Python, in its three modes, and the traps that it is known for."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import pytest
from werkzeug.test import create_environ

from plugmw.concurrency.process import started_at
from plugmw.dialects.kong.servers import PluginServers
from plugmw.dialects.kong.servers.supervisor_client import owner_of_this
from plugmw.kernel.exchange import Exchange
from tests.support.pluginservers import PLUGINS, python_server, serving
from tests.support.waiting import until

MODES = [
    pytest.param((), id="threads"),
    pytest.param(("-g",), id="gevent"),
    pytest.param(("-m",), id="processes"),
]


@pytest.fixture(scope="module", params=MODES)
def served(request):
    with serving(python_server("traps.py", *request.param), {"message": "from-config", "limit": 3}) as found:
        yield found


def test_takes_name_priority_version_and_schema_from_the_dump():
    cls = PluginServers([python_server("traps.py")], PLUGINS).find("py-traps")
    assert (cls.name, cls.priority, cls.version) == ("py-traps", 7, "1.2.3")
    with pytest.raises(ValueError, match="limit: got 11: value should be between 1 and 10"):
        cls(limit=11)


def test_runs_the_access_phase_with_the_configuration(served):
    answer = served.do("nothing")
    assert answer.status_code == 200
    assert answer.headers["x-message"] == "from-config"
    assert answer.data == b"from the app"


def test_the_app_sees_what_the_plugin_set(served):
    assert served.do("service").status_code == 200
    assert served.seen[-1]["HTTP_X_FOR_APP"] == "given"
    assert served.seen[-1]["PATH_INFO"] == "/changed"


def test_exit_answers_instead_of_the_app(served):
    before = len(served.seen)
    answer = served.do("exit")
    assert (answer.status_code, answer.json, answer.headers["x-exit"]) == (403, {"message": "no"}, "yes")
    assert len(served.seen) == before
    assert served.do("nothing").status_code == 200


def test_error_answers_in_the_format_of_the_client(served):
    answer = served.do("error", accept="application/json")
    assert (answer.status_code, answer.json["message"]) == (429, "too many")


def test_an_exit_that_cannot_be_is_closed(served):
    assert served.do("bad_exit").status_code == 500


def test_shared_values_go_there_and_back(served):
    assert served.do("share").headers["x-shared"] == "{'a': [1, 2]}"


def test_header_values_that_are_no_utf_8_arrive_as_text(served):
    answer = served.client.get("/", headers=[("x-do", "latin"), ("x-latin", b"caf\xe9".decode("latin-1"))])
    assert answer.status_code == 200
    assert answer.headers["x-latin"].encode("latin-1") == "café".encode()


def test_only_listed_methods_can_be_called(served):
    assert "not a function that plugin servers may call" in served.do("unlisted").headers["x-err"]
    assert "not a function that plugin servers may call" in served.do("private").headers["x-err"]


def test_a_wrong_phase_reaches_the_plugin_as_an_error(served):
    assert "cannot be called in access phase" in served.do("phase").headers["x-err"]


def test_a_wrong_argument_reaches_the_plugin_as_an_error(served):
    assert "got dict, expected a string" in served.do("type").headers["x-err"]


def test_nil_and_err_reach_the_plugin_as_an_error(served):
    answer = served.client.post("/", headers={"x-do": "nil_err"}, data=b"x" * 9000)
    assert answer.headers["x-err"].startswith("None request body did not fit")


def test_raw_bodies_are_bytes_and_flags_are_empty_lists(served):
    answer = served.client.post("/", headers={"x-do": "body"}, data=b"\xff\x00")
    assert answer.headers["x-body"] == r"bytes b'\xff\x00'"
    assert served.do("query", "/?a=1&a=2&flag").headers["x-query"] == "[('a', ['1', '2']), ('flag', [])]"


def test_the_environment_is_explicit(served):
    names = set(served.do("environment").headers["x-environment"].split(","))
    assert names <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "KONG_PREFIX", "NUMBER"}


def test_the_supervisor_is_no_child_of_this_process(served):
    served.do("nothing")
    assert os.getpid() not in (parent_of(served.pid), parent_of(parent_of(served.pid)))
    assert owner_of_this() == os.getpid()
    assert started_at(os.getpid())


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


# -- traps: each needs a server of its own ------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_raise_before_the_first_call_costs_one_request_not_the_server(mode, tmp_path):
    flag = tmp_path / "raise"
    settings = python_server("traps.py", *mode, step_timeout=1.0, environment={"RAISE_FIRST": str(flag)})
    with serving(settings) as served:
        assert served.do("nothing").status_code == 200
        before = served.pid
        flag.touch()
        begun = time.monotonic()
        assert served.do("nothing").status_code == 500
        # Two tries of a second each, and not the ten of the default.
        assert time.monotonic() - begun < 9
        flag.unlink()
        # The lock inside of the server is held for ever: only another server answers again.
        assert until(lambda: served.do("nothing").status_code == 200)
        assert served.pid != before
        assert served.server.counts["timeouts"] >= 1


def test_a_raise_after_the_first_call_is_a_missed_deadline():
    with serving(python_server("traps.py", step_timeout=1.0)) as served:
        assert served.do("raise_later").status_code == 500
        assert until(lambda: served.do("nothing").status_code == 200)


def test_a_missed_deadline_is_open_where_the_entry_says_so():
    with serving(python_server("traps.py", step_timeout=0.5), on_error="open") as served:
        answer = served.do("silent")
        assert (answer.status_code, answer.data) == (200, b"from the app")


def test_a_missed_deadline_is_open_where_the_server_says_so():
    with serving(python_server("traps.py", step_timeout=0.5, on_error="open")) as served:
        assert served.do("silent").status_code == 200


def test_slow_log_handlers_hold_the_servers_lock_one_at_a_time():
    with serving(python_server("traps.py"), {"message": "slow log"}) as served:
        assert served.pid  # waits until it serves
        begun = time.monotonic()
        assert served.do("nothing").status_code == 200
        assert time.monotonic() - begun < 0.8, "the response waited for the log phase"
        time.sleep(0.1)
        begun = time.monotonic()
        assert served.do("nothing").status_code == 200
        # The trap itself: an unrelated access waits for the handler, but here never for several of them.
        assert 0.3 < time.monotonic() - begun < 1.9


def test_a_call_after_exit_leaves_a_thread_but_the_server_serves_on():
    with serving(python_server("traps.py")) as served:
        for _ in range(30):
            assert served.do("exit_then_call").status_code == 403
        assert int(served.do("threads").headers["x-threads"]) > 30
        assert served.do("nothing").status_code == 200


def test_instance_ids_do_not_survive_a_restart():
    settings = python_server("traps.py", environment={"NO_LOG": "1"})
    with serving(settings, {"message": "a"}, {"message": "b"}) as served:
        ask = [alone(plugin) for plugin in served.plugins]
        assert [ask[0]().headers["x-message"], ask[1]().headers["x-message"]] == ["a", "b"]
        ids = [plugin._instance[2] for plugin in served.plugins]
        assert ids == [0, 1]
        os.kill(served.pid, signal.SIGKILL)
        # b comes first this time, and gets the id that a had.
        assert ask[1]().headers["x-message"] == "b"
        assert served.plugins[1]._instance[2] == 0
        assert ask[0]().headers["x-message"] == "a"
        assert served.plugins[0]._instance[2] == 1


def alone(plugin):
    """Return a function that runs only one plugin object's access."""
    from werkzeug.test import Client

    from plugmw.kernel.chain import Compiled
    from plugmw.kernel.order import Entry, slots

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b""]

    client = Client(Compiled(slots([Entry(plugin)]), app, plugin.runtime).run)
    return lambda: client.get("/", headers={"x-do": "nothing"})


def test_a_killed_server_leaves_its_socket_and_is_waited_for():
    with serving(python_server("traps.py")) as served:
        served.do("nothing")
        path = served.server.socket()
        os.kill(served.pid, signal.SIGKILL)
        assert os.path.exists(path)
        assert served.do("nothing").status_code == 200
        assert served.server.counts["failures"] == 0


def test_the_servers_parent_lives_as_long_as_it_does():
    with serving(python_server("traps.py", "-g")) as served:
        pid = int(served.do("pid").headers["x-pid"])
        parent = parent_of(pid)
        assert parent != 1
        os.kill(parent, signal.SIGKILL)
        # The server ends with its supervisor, and this process starts both anew.
        until(lambda: not started_at(pid))
        assert until(lambda: served.do("pid").status_code == 200)


def test_a_server_that_ends_is_started_again_not_before_a_second(caplog):
    caplog.set_level(logging.INFO)
    with serving(python_server("traps.py")) as served:
        starts = [time.monotonic()]
        served.do("nothing")
        for _ in range(2):
            os.kill(served.pid, signal.SIGKILL)
            assert until(lambda: served.do("nothing").status_code == 200)
            starts.append(time.monotonic())
        assert starts[2] - starts[1] >= 0.9
        until(lambda: "ended with signal 9" in caplog.text)


def test_a_call_that_may_have_had_effects_is_not_tried_again():
    with serving(python_server("traps.py", environment={"NO_LOG": "1"})) as served:
        served.do("nothing")
        assert served.do("effect_then_die").status_code == 500
        assert served.server.counts["retries"] == 0


def test_a_dead_connection_is_tried_once_more():
    with serving(python_server("traps.py", environment={"NO_LOG": "1"})) as served:
        served.do("nothing")
        assert served.do("die").status_code == 500
        assert served.server.counts["retries"] == 1


def test_log_runs_after_the_response_with_what_was(caplog):
    caplog.set_level(logging.INFO)
    with serving(python_server("traps.py")) as served:
        served.do("share")
        until(lambda: "LOG 200 yes True {'a': [1, 2]} share" in caplog.text)


def test_the_oldest_log_event_is_dropped_and_counted():
    with serving(python_server("traps.py", log_entries=2)) as served:
        served.do("nothing")
        os.kill(served.pid, signal.SIGSTOP)
        try:
            for _ in range(10):
                served.plugin.put_log(ended_exchange(served.plugin))
            assert served.plugin._queue.dropped >= 7
        finally:
            os.kill(served.pid or 0, signal.SIGCONT)


def ended_exchange(plugin):
    """Return an exchange in its log phase."""
    made = type("Ended", (Exchange,), {"runtime": plugin.runtime})(create_environ("/"), None)
    made.phase, made.status_line, made.header_list = "log", "200 OK", [("X-App", "yes")]
    return made


def test_what_a_server_writes_is_drained_and_limited(caplog):
    caplog.set_level(logging.INFO)
    with serving(python_server("traps.py", environment={"FLOOD": "300000"})) as served:
        assert served.do("flood").status_code == 200
        until(lambda: "lines were dropped" in caplog.text)
        assert sum("xxxxx" in line for line in caplog.messages) < 2000
