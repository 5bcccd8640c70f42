"""What real plugin servers have in common, whatever language they are written in."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.pluginservers import PLUGINS, go_server, js_server, python_server, serving
from tests.support.waiting import until

SERVERS = {
    "go": lambda: go_server(PLUGINS / "go-traps"),
    "javascript": lambda: js_server(PLUGINS / "js", connect_timeout=15.0),
    "python": lambda: python_server("traps.py"),
}
#: What the plugin does that sends a request header back, both headers' names.
ECHOES = {"javascript": ("echo", "x-value", "x-echo"), "python": ("latin", "x-latin", "x-latin")}


@pytest.fixture(scope="module", params=SERVERS)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def served(language):
    with serving(SERVERS[language](), {"message": "from-config"}) as found:
        yield found


# Python's run one at a time: test_slow_log_handlers_hold_the_servers_lock_one_at_a_time.
@pytest.mark.parametrize("language", ["go", "javascript"], indirect=True)
def test_events_run_side_by_side(served):
    served.do("")
    begun = time.monotonic()
    threads = [threading.Thread(target=served.do, args=("sleep",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun < 2.0


@pytest.mark.parametrize("language", ECHOES, indirect=True)
def test_many_clients_at_once_get_their_own_answers(served, language):
    act, header, answered = ECHOES[language]

    def ask(number):
        values = [f"{number}-{turn}" for turn in range(30)]
        return [v for v in values if served.do(act, **{header: v}).headers.get(answered) != v]

    with ThreadPoolExecutor(16) as clients:
        assert [wrong for wrong in clients.map(ask, range(16)) if wrong] == []


def test_a_killed_server_leaves_its_socket_and_is_started_again(served):
    served.do("")
    path, pid = served.server.socket(), served.pid
    os.kill(pid, signal.SIGKILL)
    assert os.path.exists(path)
    assert until(lambda: served.do("").status_code == 200)
    assert served.pid != pid
