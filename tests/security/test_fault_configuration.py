"""Configurations that cannot be read, under load: the one in force stays, and the next good one is taken."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

from plugmw import Gateway
from plugmw.testing import hello_app
from tests.support.waiting import until
from tests.support.wsgi import environ_of, serve


def document(version):
    """Return a configuration that tells its version before the app and after it."""
    plugins = [
        {"name": "request-transformer", "config": {"add": {"headers": [f"X-Version:{version}"]}}},
        {"name": "response-transformer", "config": {"add": {"headers": [f"X-Out:{version}"]}}},
    ]
    return {"store": "memory://", "plugins": plugins}


def changed(**keys):
    return json.dumps({**document("bad"), **keys})


#: What is written, and what the line in the log tells of it beside the file's name.
BAD = {
    "half-written": (json.dumps(document("bad"), indent=1)[:80], r"gateway\.json:6: not JSON at column 4"),
    "empty": ("", "is empty"),
    "not JSON": ("plugins: [", "gateway.json:1: not JSON at column 1"),
    "not text": (b"\xff\xfe\x00", "expected UTF-8"),
    "unknown plugin": (changed(plugins=[{"name": "corss"}]), r'plugins\[0\]\.name: no plugin "corss"'),
    "unknown field": (changed(stroe="memory://"), 'unknown field "stroe"'),
    "wrong type": (changed(plugins=5), "plugins: got int, expected a list"),
    "wrong type within": (
        changed(plugins=[{"name": "rate-limiting", "config": {"minute": "many"}}]),
        r"plugins\[0\]\.config\.minute: got 'many'",
    ),
    "of a plugin's own check": (
        changed(plugins=[{"name": "rate-limiting", "config": {}}]),
        r"plugins\[0\]\.config: ",
    ),
}
REFUSED = "reload refused, the configuration in force stays: "


def write(path: Path, content: str | bytes | dict) -> None:
    """Write as an editor does that is in no hurry: not in one go."""
    data = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


# -- in process ---------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "gateway.json"
    write(path, document("1"))
    return path


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_configuration_is_told_in_one_line_with_its_place(path, bad, caplog):
    gateway = Gateway(hello_app, path, reload=False)
    content, line = BAD[bad]
    assert serve(gateway).header("X-Out") == "1"
    write(path, content)
    assert not gateway.reload()
    [record] = caplog.records
    text = record.getMessage()
    assert text.startswith(REFUSED)
    assert str(path) in text
    assert re.search(line, text), text
    assert "\n" not in text
    assert record.exc_info is None
    assert serve(gateway).header("X-Out") == "1"
    write(path, document("2"))
    assert gateway.reload()
    assert serve(gateway).header("X-Out") == "2"
    gateway.stop()


@pytest.mark.slow
def test_reloads_at_once_come_one_after_the_other_and_requests_see_one_each(path):
    """Two hundred in all, from two threads, while two others ask."""
    gateway = Gateway(hello_app, path, reload=False)
    serve(gateway)
    wrong, done, taken = [], threading.Event(), []

    def site(environ, start_response):
        headers = [("X-In", environ.get("HTTP_X_VERSION", ""))]
        start_response("200 OK", headers)
        return [b"ok"]

    gateway.app = site

    def client():
        while not done.wait(0.002):
            found = serve(gateway, environ_of("/"))
            seen = found.header("X-In"), found.header("X-Out")
            if found.raised or not found.status.startswith("200") or seen[0] not in (seen[1], None):
                wrong.append((found.status, seen, found.raised))

    def reloader(number):
        for turn in range(100):
            write(new := path.with_name(f"{number}.new"), document(f"{number}-{turn}"))
            new.replace(path)
            taken.append(gateway.reload())

    clients = [threading.Thread(target=client) for _ in range(2)]
    reloaders = [threading.Thread(target=reloader, args=(number,)) for number in range(2)]
    for thread in (*clients, *reloaders):
        thread.start()
    for thread in reloaders:
        thread.join()
    done.set()
    for thread in clients:
        thread.join()
    assert wrong == []
    assert taken == [True] * 200
    assert serve(gateway).header("X-Out") in ("0-99", "1-99")
    until(lambda: not len(gateway._draining))
    gateway.stop()
