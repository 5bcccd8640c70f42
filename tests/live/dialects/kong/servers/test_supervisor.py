"""The process that starts plugin servers: when it ends, and what it does while nobody is there."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from plugmw.dialects.kong.servers import supervisor_client
from plugmw.dialects.kong.servers.supervisor.loop import LINGER
from plugmw.dialects.kong.servers.supervisor_client import SupervisorClient
from tests.support.waiting import PATIENCE, until


@pytest.fixture
def clients(tmp_path):
    """Return a function that makes clients of one supervisor, each with what its servers said."""
    made = []

    def client(program):
        said = []
        spec = {
            "name": "s",
            "command": [sys.executable, "-c", program],
            "environment": {},
            "cwd": str(tmp_path),
            "prefix": None,
        }
        made.append(SupervisorClient([spec], str(tmp_path), lambda *line: said.append(line)))
        made[-1].start()
        return made[-1], said

    yield client
    for one in made:
        one.stop()


SLEEPS = "import time; time.sleep(1000)"


def started(said):
    return [pid for _, pid, text, _ in said if text.startswith("started")]


def test_it_ends_with_the_last_gateway_of_its_process(clients):
    one, said = clients(SLEEPS)
    pid = until(lambda: started(said))[0]
    other, _ = clients(SLEEPS)
    one.stop()
    # The other one is served by the same server.
    third, _ = clients(SLEEPS)
    third.stop()
    assert Path(f"/proc/{pid}").exists()
    other.stop()
    assert PATIENCE < LINGER
    until(lambda: not Path(f"/proc/{pid}").exists())
    until(lambda: not os.path.exists(one.folder))


def test_of_a_gunicorn_it_waits_for_another_worker_and_restarts_nothing_meanwhile(
    clients, monkeypatch, tmp_path
):
    monkeypatch.setattr(supervisor_client, "owner_of_this", os.getppid)
    log = tmp_path / "log"
    program = f"import time; open({str(log)!r}, 'a').write('x'); time.sleep(0.1)"
    one, said = clients(program)
    until(lambda: started(said))
    one.stop()
    # It ends by itself, and is started again by the next client only.
    until(lambda: not any(map(runs, started(said))))
    before = log.read_bytes()
    other, said_to_other = clients(program)
    until(lambda: started(said_to_other))
    until(lambda: len(log.read_bytes()) > len(before))
    assert one.folder == other.folder


def runs(pid):
    return Path(f"/proc/{pid}").exists()


def test_a_death_and_the_start_after_it_are_told_as_what_they_are(clients):
    _, said = clients(SLEEPS)
    pid = until(lambda: started(said))[0]
    os.kill(pid, signal.SIGKILL)
    again = until(lambda: started(said)[1:])[0]
    assert [line for line in said if line[3]] == [
        ("s", pid, said[1][2], "trouble"),
        ("s", again, "started again, the 1. time", "restart"),
    ]
    assert said[0] == ("s", pid, "started", "")
    assert said[1][2].startswith("ended with signal 9, next start in ")
