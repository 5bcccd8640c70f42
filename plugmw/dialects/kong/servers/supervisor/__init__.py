"""The process that keeps plugin servers running: spawns, restarts, ends them, and passes their output on.

    python -I -S .../supervisor/__main__.py    with a specification as JSON on standard input

It is started by the first worker that needs it and shared by all workers of one server (see
:mod:`plugmw.dialects.kong.servers.supervisor_client`). It forks away from its parent, so that neither
gunicorn's arbiter nor a worker has it or a plugin server as a child. It ends when nobody is connected any
more. Only the standard library is used, so that it stays small.
"""
