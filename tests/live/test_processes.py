"""One start per worker, and answers that are never mixed, under real gunicorn."""

from __future__ import annotations

import threading

import pytest

from tests.support import raw

SOURCE = """
    import os, time
    from plugmw import Entry, Gateway
    from tests.support.plugins import made

    def init_worker():
        time.sleep(0.05)
        os.write(1, f"INIT {os.getpid()}\\n".encode())

    def echo(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["PATH_INFO"].encode()
        time.sleep(0.001)
        yield b"!"

    def access(x):
        x.ctx["path"] = x.path
        x.add_header("X-Path", x.path)

    def body_filter(x, chunk, eof):
        time.sleep(0)
        return chunk + (x.ctx["path"].encode() if eof else b"")

    def odd(path):
        return path[-1] in "13579"

    app = Gateway(echo, {"store": "memory://"}, plugins=[
        made("a", 3, init_worker=init_worker, access=access, log=lambda x: None),
        made("b", 2, body_filter=body_filter),
        Entry(made("c", access=lambda x: x.add_header("X-Odd", x.path)), when=lambda x: odd(x.path)),
    ])
"""


def clients(port, count=16, turns=10):
    """Send requests from many threads at once; return what was wrong."""
    wrong = []
    barrier = threading.Barrier(count)

    def client(n):
        barrier.wait()
        for turn in range(turns):
            path = f"/{n}/{turn}"
            answer = raw.get(port, path)
            odd = path if path[-1] in "13579" else None
            found = answer.body, answer.header("x-path"), answer.header("x-odd")
            if found != (f"{path}!{path}".encode(), path, odd):
                wrong.append((path, answer.raw))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


CASES = {
    "sync": ("sync", []),
    "sync, preloaded": ("sync", ["--preload"]),
    "gthread": ("gthread", ["--threads", "8"]),
    "gthread, preloaded": ("gthread", ["--threads", "8", "--preload"]),
    "gevent": ("gevent", []),
    # Locks made before the fork are not gevent's: a greenlet that waits must not stop the others.
    "gevent, preloaded": ("gevent", ["--preload"]),
}


@pytest.mark.parametrize(("worker_class", "args"), CASES.values(), ids=CASES)
def test_plugins_start_once_in_every_worker_and_answers_are_not_mixed(gunicorn, worker_class, args):
    server = gunicorn(SOURCE, workers=2, worker_class=worker_class, args=args)
    assert clients(server.port) == []
    started = [int(line.split()[1]) for line in server.log().split("\n") if line.startswith("INIT ")]
    assert len(started) == len(set(started))
    assert set(started) <= set(server.worker_pids())
    assert started
