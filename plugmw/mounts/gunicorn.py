"""gunicorn's worker hooks: plugins start in each worker after the fork, and are closed when it ends.

    gunicorn -c python:plugmw.mounts.gunicorn app:app

or, in a ``gunicorn.conf.py`` of your own:

    from plugmw.mounts.gunicorn import *

A ``post_worker_init`` or ``worker_exit`` written below that line replaces the one from here; call this one
from it (``plugmw.mounts.gunicorn.post_worker_init(worker)``). Without the hooks everything works too: the
first request of each worker starts its plugins, and nothing closes them.

With ``certfile`` and ``keyfile`` gunicorn does TLS itself; its ``ssl_context`` hook then lets plugins with
the certificate phase, and the ``certificates`` of the gateway, choose by the name a client asks for.

gunicorn reads every name of this module that is one of its settings, so there are only the three hooks.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Final

__all__ = ["post_worker_init", "ssl_context", "worker_exit"]

#: Seconds for everything that is closed at worker exit, beside the ``shutdown_timeout`` of what waits to be
#: sent; the master kills what takes longer than its own graceful_timeout (30 by default), of which running
#: requests have had their part by then.
STOP_DEADLINE: Final = 5.0


def post_worker_init(worker: Any) -> None:
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


def worker_exit(server: Any, worker: Any) -> None:
    """Send what waits for log servers, and close the plugins and stores of this worker, all at once.

    That takes at most ``shutdown_timeout`` and :data:`STOP_DEADLINE` seconds.
    """
    if worker.pid != os.getpid():
        return  # gunicorn calls this in the master too, for a worker that was already gone
    instances = _instances()
    seconds = STOP_DEADLINE + max((each.runtime.queues.patience for each in instances), default=0.0)
    threads = [
        # Daemons, so that a close() that hangs cannot keep the process alive.
        threading.Thread(target=_stop, args=(instance, worker.log), name="plugmw-stop", daemon=True)
        for instance in instances
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    left = sum(thread.is_alive() for thread in threads)
    if left:
        worker.log.warning("plugmw: %s not closed within %g s, left as they are", left, seconds)


def ssl_context(config: Any, default_ssl_context_factory: Any) -> Any:
    """Return gunicorn's own context, which asks the gateways of this worker at each handshake.

    What goes wrong in that leaves the handshake with gunicorn's own certificate.
    """
    import ssl

    def chosen(connection: Any, server_name: str | None, context: ssl.SSLContext) -> None:
        from plugmw.certificates import Hello, choose

        try:
            found = choose(Hello(server_name, connection), _instances())
            if found is not None:
                connection.context = found
        except Exception:
            logging.getLogger("plugmw").exception("plugmw: cannot choose a certificate")

    made = default_ssl_context_factory()
    made.sni_callback = chosen
    return made


def _stop(instance: Any, log: Any) -> None:
    try:
        instance.stop()
    except Exception:
        log.exception("plugmw: cannot stop %r", instance)


def _instances() -> list[Any]:
    # Imported here, in the worker: the master that reads this module keeps what it imports over a HUP.
    from plugmw.worker import Worker

    return list(Worker.instances)
