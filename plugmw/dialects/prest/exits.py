"""What ``exit()`` in a library means that runs in this process: the process ends, with status 1.

gunicorn up to 26.0 takes status 3 or 4 of a worker for a failed start and stops as a whole, for all other
requests too; 1 makes it start another worker. A handler of the C library is asked when ``exit`` is called,
and knows whether it was from a call of ours. It is taken back when Python ends, after which it could not run.
``_exit``, and Go's ``os.Exit``, ask nobody: libraries that may do so belong in processes of their own.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from typing import Final

from plugmw.dialects.prest.abi import Call, Library, Reply


class _Here(threading.local):
    calling = False


_here: Final = _Here()
_CALLBACK: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
#: Names the handler to the C library; its address is nobody else's.
_OURS: Final = ctypes.c_char()
_lock: Final = threading.Lock()
_watching = False


def _on_exit(_: object) -> None:
    if _here.calling:
        os.write(2, b"plugmw: a native function called exit(); this process ends\n")
        os._exit(1)


#: For as long as the process lives.
_handler: Final = _CALLBACK(_on_exit)


def _watch() -> None:
    """Have the C library ask; only glibc and macOS let a handler be taken back."""
    global _watching
    with _lock:
        if _watching:
            return
        _watching = True
    libc = ctypes.CDLL(None)
    if sys.platform == "darwin" or hasattr(libc, "gnu_get_libc_version"):
        ours = ctypes.byref(_OURS)
        libc.__cxa_atexit(_handler, None, ours)
        atexit.register(libc.__cxa_finalize, ours)


class Watched:
    """A library of this process."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.name = library.name
        self.has = library.has
        _watch()

    def call(self, name: str, request: Call, most: int) -> Reply:
        """Call a function; if it calls ``exit``, this process ends with status 1."""
        before, _here.calling = _here.calling, True
        try:
            return self._library.call(name, request, most)
        finally:
            _here.calling = before
