"""Native functions under real gunicorn: loaded after the fork, crashes, reloads of the worker, its end."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.native import HELLO_BODY, built
from tests.support.waiting import until

SOURCE = """
    from plugmw import Gateway

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"app"]

    config = {"path": %r, "isolate": %r, "timeout": 3.0}
    app = Gateway(app, {"plugins": [{"name": "functions", "config": config}]})
"""
WORKERS = {
    "sync": {"workers": 2},
    "preload": {"workers": 2, "args": ["--preload"]},
    "gthread": {"workers": 2, "worker_class": "gthread", "args": ["--threads", "4"]},
    "gevent": {"workers": 2, "worker_class": "gevent"},
}


@pytest.fixture
def lib(tmp_path):
    for name in ("traps.c", "hello.go", "rusty.rs"):
        shutil.copy(built(name), tmp_path)
    return tmp_path


@pytest.fixture(params=[False, True], ids=["in process", "isolated"])
def isolate(request):
    return request.param


def get(server, path):
    return requests.get(f"{server.url}/_PLUGIN/{path}", timeout=20)


def processes_of(lib):
    """Return the worker processes that have libraries of a folder loaded."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(os.fsencode(f"{lib}/")) for word in words) and b"-I" in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("kind", WORKERS)
def test_two_workers_answer_in_every_language_and_end_as_they_should(gunicorn, lib, isolate, kind):
    server = gunicorn(SOURCE % (str(lib), isolate), **WORKERS[kind])

    def ask(number):
        name = ("traps", "hello", "rusty")[number % 3]
        answer = get(server, f"{name}/Hello?n={number}")
        told = answer.json()
        return answer.status_code, told["http_vars"]["file"] == name, told["url_query"]["n"] == [str(number)]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(60))) == {(200, True, True)}
    assert get(server, "traps/Hello?abc=123").content.replace(b"traps", b"hello") == HELLO_BODY
    assert get(server, "traps/Hello").headers["Content-Type"] == "application/json"
    assert server.stop() == 0
    until(lambda: not processes_of(lib))
    assert "Traceback" not in server.log()


def test_a_crash_in_an_isolated_library_is_one_500_and_no_worker_dies(gunicorn, lib):
    server = gunicorn(SOURCE % (str(lib), True))
    pids = server.worker_pids()
    for name in ("Crash", "Wild", "Exit"):
        answer = get(server, f"traps/{name}")
        assert (answer.status_code, answer.json()) == (500, {"error": "An unexpected error occurred"})
        assert get(server, "traps/Hello").status_code == 200
    assert get(server, "traps/Hang").status_code == 504
    assert get(server, "traps/Hello").status_code == 200
    assert server.worker_pids() == pids
    assert "its process ended with signal 11 (Segmentation fault)" in server.log()


def test_a_crash_in_the_process_ends_the_worker_and_gunicorn_starts_another(gunicorn, lib):
    server = gunicorn(SOURCE % (str(lib), False))
    pids = server.worker_pids()
    with pytest.raises(requests.ConnectionError):
        get(server, "traps/Wild")
    until(lambda: server.worker_pids() not in ([], pids))
    assert get(server, "traps/Hello").status_code == 200


@pytest.mark.parametrize("name", ["NoSuch", "system"])
def test_what_is_not_there_is_404_with_the_reason(gunicorn, lib, isolate, name):
    server = gunicorn(SOURCE % (str(lib), isolate))
    answer = get(server, f"traps/{name}")
    assert answer.status_code == 404
    assert answer.json() == {"error": f"plugin: symbol GET{name}Handler not found in plugin traps"}


def test_a_library_without_the_interface_is_404_and_the_log_says_what_is_missing(gunicorn, lib, isolate):
    shutil.copy(built("no_abi.c"), lib)
    server = gunicorn(SOURCE % (str(lib), isolate))
    answer = get(server, "no_abi/Hello")
    assert answer.status_code == 404
    reason = "plugin: symbol plugmw_abi and plugmw_free not found in plugin no_abi"
    assert answer.json() == {"error": reason}
    assert f"{lib}/no_abi.so: exports no plugmw_abi and plugmw_free, expected a library" in server.log()
