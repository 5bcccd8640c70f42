"""Microseconds of a function by URL beside a view that returns the same: ``python -m bench.functions``.

In process, with a query string and the JSON of prestd's example; every row is checked to answer the same
bytes. ``not a function`` is what a request for another path costs on its way to the app. ``in C`` and
``in Go`` are the sources of ``recipes/native-function``, where there are compilers for them. The second table
has the wall time of the same libraries called in the process and in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.driver import ENVIRON, bare, drive, measure, table

REQUEST = {**ENVIRON, "PATH_INFO": "/_PLUGIN/hello/Hello", "QUERY_STRING": "abc=123"}
SOURCE = """
import json

HTTPVars: dict = {}
URLQuery: dict = {}

def GETHelloHandler():
    resp = {"http_vars": HTTPVars, "url_query": URLQuery, "msg": "Hello plugin caller!"}
    return json.dumps(resp, separators=(",", ":"))

def GETRequestHandler(request):
    found = {name: request.GET.getall(name) for name in request.GET}
    http_vars = {"file": "hello", "func": "Hello"}
    resp = {"http_vars": http_vars, "url_query": found, "msg": "Hello plugin caller!"}
    return json.dumps(resp, separators=(",", ":"))
"""
MESSAGE = "Hello plugin caller!"
BODY = json.dumps(
    {"http_vars": {"file": "hello", "func": "Hello"}, "url_query": {"abc": ["123"]}, "msg": MESSAGE},
    separators=(",", ":"),
).encode()


def flask_view() -> Any:
    """Return a Flask app whose view answers what the function does."""
    import flask

    app = flask.Flask("bench")

    @app.get("/_PLUGIN/<file>/<func>")
    def hello(file: str, func: str) -> Any:
        query = flask.request.args.to_dict(flat=False)
        resp = {"http_vars": {"file": file, "func": func}, "url_query": query, "msg": MESSAGE}
        return flask.Response(json.dumps(resp, separators=(",", ":")), content_type="application/json")

    return app


SOURCES = Path(__file__).parents[1] / "recipes/native-function/lib/src"
NATIVE = {"in C": "hello_in_c.c", "in Go": "hello.go"}


def libraries(folder: str) -> dict[str, str]:
    """Compile what there are compilers for; return the folders of the libraries by name."""
    from plugmw.dialects.prest.building import build_all

    found = {}
    for name, source in NATIVE.items():
        lib = Path(folder, name)
        (lib / "src").mkdir(parents=True)
        shutil.copy(SOURCES / source, lib / "src" / f"hello{Path(source).suffix}")
        if build_all(lib):
            print(f"{name}: left out", file=sys.stderr)
        else:
            found[name] = str(lib)
    return found


def prove(cells: dict[str, Callable[[], Any]]) -> None:
    """Raise unless all answer the same."""
    for name, call in cells.items():
        answer = call()
        if answer.body != BODY or answer.values("Content-Type") != ["application/json"]:
            raise AssertionError(f"{name}: got {answer.status} {answer.body!r}")


def isolated(native: dict[str, str], rounds: int, count: int = 200) -> list[list[object]]:
    """Return the microseconds of wall time of a call in the process and in another one, in turns."""
    from plugmw import Functions

    rows: list[list[object]] = []
    for name, lib in native.items():
        apps = [Functions(bare, lib), Functions(bare, lib, isolate=True)]
        prove({f"{name}, {app}": partial(drive, app, REQUEST) for app in apps})
        times: list[list[float]] = [[], []]
        for _ in range(rounds):
            for app, taken in zip(apps, times):
                begun = time.perf_counter()
                for _ in range(count):
                    drive(app, REQUEST)
                taken.append((time.perf_counter() - begun) / count * 1e6)
        here, there = map(statistics.median, times)
        rows.append([f"function {name}", here, there, there / here])
        for app in apps:
            app.stop()
    return rows


def build(folder: str, native: dict[str, str]) -> dict[str, Callable[[], object]]:
    """Return what is timed by its name, each proved to answer the same."""
    from plugmw import Functions, Gateway

    Path(folder, "hello.py").write_text(SOURCE, encoding="utf-8")
    functions = Functions(bare, folder)
    entry = {"name": "functions", "config": {"path": folder}}
    requested = {**REQUEST, "PATH_INFO": "/_PLUGIN/hello/Request"}
    cells = {
        "Flask view": partial(drive, flask_view(), REQUEST),
        "function, globals": partial(drive, functions, REQUEST),
        "function, request": partial(drive, functions, requested),
        "function in a gateway": partial(drive, Gateway(bare, {"plugins": [entry]}), REQUEST),
    }
    for name, lib in native.items():
        cells[f"function {name}"] = partial(drive, Functions(bare, lib), REQUEST)
    prove(cells)
    return {"bare app": partial(drive, bare), "not a function": partial(drive, functions, ENVIRON), **cells}


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.functions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="times that every row is visited")
    parser.add_argument("--slice", type=float, default=15.0, help="milliseconds of one visit")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        native = libraries(folder)
        times = measure(build(folder, native), options.rounds, options.slice)
        apart = isolated(native, options.rounds)
    flask = times["Flask view"] - times["bare app"]
    added = [
        [name, spent, spent - times["bare app"], (spent - times["bare app"]) / flask]
        for name, spent in times.items()
    ]
    print(table(["request", "us", "over the bare app us", "x Flask view"], added))
    print()
    print(table(["wall time", "in process us", "isolated us", "x"], apart))
    if options.json:
        text = json.dumps({"python": sys.version, "us": times, "isolated": apart}, indent=1)
        Path(options.json).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
