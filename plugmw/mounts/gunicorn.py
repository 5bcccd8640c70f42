"""gunicorn's worker hooks: plugins start in each worker after the fork, and are closed when it ends.

    gunicorn -c python:plugmw.mounts.gunicorn app:app

or, in a ``gunicorn.conf.py`` of your own:

    from plugmw.mounts.gunicorn import *

A ``post_worker_init`` or ``worker_exit`` written below that line replaces the one from here; call this one
from it (``plugmw.mounts.gunicorn.post_worker_init(worker)``). Without the hooks everything works too: the
first request of each worker starts its plugins, and nothing closes them.

With ``certfile`` and ``keyfile`` gunicorn does TLS itself; its ``ssl_context`` hook then lets plugins with
the certificate phase, and the ``certificates`` of the gateway, choose by the name a client asks for.

SIGHUP makes gunicorn replace its workers. Here the app and its configuration are first loaded in a child of
the master; when that fails, the workers that run stay, where gunicorn alone would end.

No header of a request says where the app is mounted: gunicorn takes SCRIPT_NAME from peers in
``forwarded_allow_ips``, loopback by default, where proxies pass on what clients send. That is switched off by
``forwarder_headers``; for a proxy that sets it itself write ``forwarder_headers = "SCRIPT_NAME"`` below the
import. The environment variable SCRIPT_NAME of the server says the same without a header.

gunicorn reads every name of this module that is one of its settings, so there are only these five.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from plugmw.concurrency.deadline import Deadline
from plugmw.telemetry.queues import Queues

if TYPE_CHECKING:
    import ssl

    from plugmw.kernel.worker import Worker

__all__ = ["forwarder_headers", "post_worker_init", "ssl_context", "when_ready", "worker_exit"]

#: The headers that gunicorn takes for more than headers: none.
forwarder_headers: Final = ""
#: Seconds for everything that is closed at worker exit, beside the ``shutdown_timeout`` of what waits to be
#: sent; the master kills what takes longer than its own graceful_timeout (30 by default), of which running
#: requests have had their part by then.
STOP_DEADLINE: Final = 5.0
#: Seconds in which the app must have loaded for a SIGHUP to be followed.
LOAD_DEADLINE: Final = 60.0


# What is used of gunicorn's classes, which have no types.


class _Log(Protocol):
    def error(self, message: str, *args: object) -> None: ...
    def warning(self, message: str, *args: object) -> None: ...
    def exception(self, message: str, *args: object) -> None: ...


class _App(Protocol):
    callable: object

    def reload(self) -> None: ...
    def wsgi(self) -> object: ...


class _Arbiter(Protocol):
    app: _App
    log: _Log
    reload: Callable[[], None]


class _Config(Protocol):
    workers: int


class _GunicornWorker(Protocol):
    pid: int
    cfg: _Config
    log: _Log


def when_ready(server: _Arbiter) -> None:
    """Make SIGHUP leave the running workers alone when new ones could not start."""
    reload = server.reload

    def checked() -> None:
        if _loads(server):
            reload()
        else:
            server.log.error("plugmw: reload refused, the running workers stay; see the lines above")

    server.reload = checked


def _loads(server: _Arbiter) -> bool:
    """Say whether the app can be loaded as a new worker would do it, tried in a child."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        _load_and_report(server, writable)
    os.close(writable)
    try:
        ready, _, _ = select.select([readable], [], [], LOAD_DEADLINE)
        report = os.read(readable, 1) if ready else b""
    finally:
        os.close(readable)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        # The server's own handler may have been faster.
        os.waitpid(pid, 0)
    return report == b"1"


def _load_and_report(server: _Arbiter, writable: int) -> None:
    """Be the child: never returns."""
    try:
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        server.app.reload()
        server.app.callable = None
        server.app.wsgi()
        os.write(writable, b"1")
    except BaseException:
        server.log.exception("plugmw: the app cannot be loaded")
    finally:
        # 0 whatever happened: the server takes other codes for those of a worker.
        os._exit(0)


def post_worker_init(worker: _GunicornWorker) -> None:
    """Start every gateway and stand-alone plugin of the app in this worker.

    Never raises: an exception here would end the worker with status 3 and with it the whole server. What
    could not be started is tried again by the first request.
    """
    for instance in _instances():
        try:
            # As gunicorn fills wsgi.multiprocess, which the store `auto` is decided by.
            instance.start(multiprocess=worker.cfg.workers > 1)
        except Exception:
            worker.log.exception("plugmw: cannot start %r; its first request tries again", instance)


def worker_exit(server: _Arbiter, worker: _GunicornWorker) -> None:
    """Send what waits for log servers, and close the plugins and stores of this worker, all at once.

    That takes at most ``shutdown_timeout`` and :data:`STOP_DEADLINE` seconds.
    """
    if worker.pid != os.getpid():
        return  # gunicorn calls this in the master too, for a worker that was already gone
    instances = _instances()
    seconds = STOP_DEADLINE + max((Queues.of(each.runtime).patience for each in instances), default=0.0)
    threads = [
        # Daemons, so that a close() that hangs cannot keep the process alive.
        threading.Thread(target=_stop, args=(instance, worker.log), name="plugmw-stop", daemon=True)
        for instance in instances
    ]
    for thread in threads:
        thread.start()
    deadline = Deadline.after(seconds)
    for thread in threads:
        thread.join(deadline.left())
    left = sum(thread.is_alive() for thread in threads)
    if left:
        worker.log.warning("plugmw: %s not closed within %g s, left as they are", left, seconds)


def ssl_context(config: object, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return gunicorn's own context, which asks the gateways of this worker at each handshake.

    What goes wrong in that leaves the handshake with gunicorn's own certificate.
    """

    def choose_context(
        connection: ssl.SSLSocket | ssl.SSLObject, server_name: str | None, context: ssl.SSLContext
    ) -> None:
        from plugmw.configuration.certificates import Hello, choose

        try:
            chosen = choose(Hello(server_name, connection), _instances())
            if chosen is not None:
                connection.context = chosen
        except Exception:
            logging.getLogger("plugmw").exception("plugmw: cannot choose a certificate")

    own = default_ssl_context_factory()
    own.sni_callback = choose_context
    return own


def _stop(instance: Worker, log: _Log) -> None:
    try:
        instance.stop()
    except Exception:
        log.exception("plugmw: cannot stop %r", instance)


def _instances() -> list[Worker]:
    # Imported here, in the worker: the master that reads this module keeps what it imports over a HUP.
    from plugmw.kernel.worker import Worker

    return list(Worker.instances)
