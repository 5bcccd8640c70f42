"""One suite of answers against the WSGI servers that people run: whatever the app sends, the client gets it.

Every server serves one process of :mod:`tests.servers.served`: each app bare, and under every kind of chain.
"""
