"""Stress: what only shows when many do the same at once, or when something is taken away under them.

    python -m tests.stress

runs each part of :data:`tests.stress.running.PARTS` in a process of its own, with 32 threads at a switch
interval of a microsecond or with 200 greenlets. In the end no count is lost, no answer is of another, nothing
was used after it was closed, and nothing is left open. The short form is ``test_short.py``. Runs on a Python
without a global lock too, where it has no greenlets (``--kinds threads``).
"""
