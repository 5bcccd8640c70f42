"""Where log entries go: files, TCP, datagrams, syslog, HTTP.

What a queue sends by has ``send(batch)``, as :class:`plugmw.telemetry.queue.Queue` wants it, and
``close()``. It opens nothing before it is used, and is used by the threads of one queue.
"""
