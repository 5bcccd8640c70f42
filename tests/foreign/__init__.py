"""The test suites of frameworks, from their source distributions, with every app in them wrapped.

    .venv/bin/python -m tests.foreign                     # all suites under all chains
    .venv/bin/python -m tests.foreign werkzeug bottle     # these suites
    .venv/bin/python -m tests.foreign --chain log webob   # under this chain

Each suite runs once bare and once under each chain. Whatever passes bare and not wrapped is printed, and is
either a fault or listed with its reason in :mod:`tests.foreign.suites`; the exit status is 1 if anything else
fails, or if something that is listed does not fail any more. The distributions are fetched by pip, in the
versions installed, into the folder of ``--folder`` (by default a temporary one).
"""
