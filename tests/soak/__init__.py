"""The soak: many requests of every kind against real gunicorn, many threads and greenlets, large bodies.

    python -m tests.soak                             # all of it: a million requests, 1 GiB each way
    python -m tests.soak --requests 20000 --warm 5000 --mib 100 --turns 50
    python -m tests.soak --only soak --workers gevent --requests 333334

Needs gunicorn and gevent (``tools/environment.py dev``), 1 GB for temporary files, and /proc. Everything
runs on loopback; the servers and clients are processes of this command, which ends them.

``soak``: a gateway with plugins of its own in all phases and with bundled ones (:mod:`tests.soak.served`)
under gunicorn's sync, gthread and gevent, one after another, two workers each. Four processes send requests
over bare sockets (:mod:`tests.soak.kinds`): GET, POST, HEAD and OPTIONS, streams, files, chunked bodies,
answers that plugins give, failures of app and plugins in every phase and half-way, over connections that
stay and that are closed. A fifth of the requests is left at a random moment. What has to be so:

* every answer that was waited for is the right one, whole or detectably cut;
* each request that reached the app server is logged exactly once, by a plugin and by the bundled file-log,
  and each iterable of the app is closed exactly once (:mod:`tests.soak.ledger`);
* memory (RssAnon, within 4 MiB), file descriptors and threads of every worker are what they were after the
  warm-up (``--warm``, long enough for both workers to have had their part; no fewer than 5,000); the
  readings after each of ``--legs`` legs are printed.

``mix``: 32 threads that are switched every microsecond, then 200 greenlets, ask one gateway in one process
(:mod:`tests.soak.mixing`). Every answer says in headers, body and by way of the context whose it is.

``stream``: 1 GiB down, up, and up in chunks, in memory that does not grow (:mod:`tests.soak.streaming`).

The exit status is 0 if all is well; what is not is printed as ``WRONG: ...``. ``test_short.py`` is the same
in short, for every run of the tests.
"""
