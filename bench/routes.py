"""What routing costs with 1, 100 and 1,000 routes: ``python -m bench.micro --routes``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench.driver import ENVIRON, bare, drive, measure, table

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

COUNTS = (1, 100, 1000)
PLACES = ("first", "middle", "last", "none")


def gateway(n: int) -> WSGIApplication:
    """Return a gateway with ``n`` routes, each with its own cors plugin."""
    from plugmw import Gateway

    app: WSGIApplication = Gateway(
        bare,
        {
            "routes": [{"name": f"r{i}", "paths": [f"/r{i}"]} for i in range(n)],
            "plugins": [
                {"name": "cors", "route": f"r{i}", "config": {"origins": [f"http://r{i}.test"]}}
                for i in range(n)
            ],
        },
    )
    return app


def path(n: int, place: str) -> str:
    """Return a path that the first, middle or last of ``n`` routes takes, or none of them."""
    return {"first": "/r0/x", "middle": f"/r{n // 2}/x", "last": f"/r{n - 1}/x", "none": "/nowhere"}[place]


def run(rounds: int, slice_ms: float) -> dict[str, Any]:
    """Prove that each request takes its own route, then time and print."""
    cells = {}
    for n in COUNTS:
        app = gateway(n)
        for place in PLACES:
            where = path(n, place)
            template = {**ENVIRON, "PATH_INFO": where, "RAW_URI": where}
            answer = drive(app, template)
            if place != "none":
                found = answer.values("Access-Control-Allow-Origin")
                expected = f"http://{where.split('/')[1]}.test"
                if answer.body != b"ok" or found != [expected]:
                    raise AssertionError(f"{n} routes, {where}: got {found}, expected {expected}")
            cells[n, place] = partial(drive, app, template)
    times = measure(cells, rounds, slice_ms)
    rows = [
        [
            f"{n} routes",
            *(times[n, place] for place in PLACES),
            *(times[n, place] / times[1, place] for place in PLACES),
        ]
        for n in COUNTS
    ]
    head = ["us a request", *PLACES, *(f"x {place}" for place in PLACES)]
    print(table(head, rows))
    return {"routes": [dict(zip(head, row, strict=True)) for row in rows]}
