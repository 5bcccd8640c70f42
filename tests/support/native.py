"""Native libraries from real toolchains, built once per machine and source.

library = open_library(built("traps.c"))
answer = library.GETHelloHandler(request(), *HELLO)
"""

from __future__ import annotations

import functools
import io
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from plugmw.dialects.prest.building import build_all
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Runtime
from tests.support.fetched import alone, cache
from tests.support.servers import ROOT, missing, require_program
from tests.support.wsgi import environ_of

SOURCES = ROOT / "tests/live/dialects/prest/native/sources"
COMPILERS = {".c": "cc", ".go": "go", ".rs": "rustc"}
#: The globals of the documented request, and what its functions answer.
HELLO: tuple[dict[str, str], dict[str, list[str]]] = ({"file": "hello", "func": "Hello"}, {"abc": ["123"]})
HELLO_BODY = (
    b'{"http_vars":{"file":"hello","func":"Hello"},"url_query":{"abc":["123"]},"msg":"Hello plugin caller!"}'
)


@functools.cache
def built(source: str, folder: Path = SOURCES) -> Path:
    """Return the library made from one source file; skips the test where there is no compiler for it."""
    path = folder / source
    require_program(COMPILERS[path.suffix])
    lib = cache() / f"native-{path.parent.parent.name}-{path.stem}-{path.suffix[1:]}"
    with alone(lib.name):
        (lib / "src").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, lib / "src")
        problems = build_all(lib, logging.getLogger("tests.native"), deadline=600)
    if problems:
        missing(f"{source} was not built: {problems[0]}")
    return lib / f"{path.stem}.so"


def request(method: str = "GET", path: str = "/_PLUGIN/hello/Hello", body: bytes = b"", **extra: Any) -> Any:
    """Return an exchange in its access phase."""
    made = type("Made", (Exchange,), {"runtime": Runtime()})
    extra = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), **extra}
    return made(environ_of(path, method, **extra), None)  # type: ignore[arg-type]


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
