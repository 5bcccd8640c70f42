"""S6, S7: however a path is spelt, what an app would serve behind a guard is not served without it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pytest

from plugmw import Gateway
from tests.security.frameworks import FRAMEWORKS, GUARDED
from tests.support.wsgi import environ_of, serve

SPELLINGS = 10_000

#: What may stand before the path, between two segments, and after it, instead of what is usual.
BEFORE = ["/", "//", "/.", "/..", "/x/..", "/files/..", "/public/../", "\\", "/;", "/%2e"]
BEFORE += ["/public/%2e%2e/.."]
BETWEEN = ["//", "///", "/./", "/%2e/", "/x/../", "/x/%2e%2e/", "%2f", "%2F", "%252f", "\\", "%5c", "/;a=b/"]
BETWEEN += [";x/", "/ /", "/%20/", "/%09/", "/%00/", "/..;/", "/x/..;/", "/%c0%af/", "%ef%bc%8f"]
AFTER = ["/", "//", ".", "..", "/.", "/..", "/x/..", ";", ";a=b", "%00", "%20", "%09", "%0a", "?", "#", "~"]
AFTER += ["%2e", "/%2e%2e/users", ".json", "%3f", "%23", "%25"]


def spellings(path: str, count: int) -> Iterator[str]:
    """Yield ways to write a path, the same in every run; few of them are the same to every app."""
    dice = random.Random(path)
    segments = path.strip("/").split("/")
    yield path
    for _ in range(count - 1):
        text = (dice.choice(BEFORE) if dice.random() < 0.25 else "") + "/"
        for place, segment in enumerate(segments):
            if place:
                text += dice.choice(BETWEEN) if dice.random() < 0.25 else "/"
            text += segment_of(segment, dice)
        yield text + (dice.choice(AFTER) if dice.random() < 0.35 else "")


def segment_of(segment: str, dice: random.Random) -> str:
    """Escape some characters of a segment, once or twice, or change their case."""
    kind = dice.random()
    if kind < 0.4:
        return segment
    if kind < 0.5:
        return segment.swapcase() if dice.random() < 0.5 else segment.capitalize()
    twice = "%25" if kind > 0.9 else "%"
    return "".join(f"{twice}{ord(c):02x}" if dice.random() < 0.4 else c for c in segment)


def asked(target: str, script: str = "") -> dict:
    """Return the environ that a server makes of a target."""
    path, _, query = target.partition("?")
    decoded = unquote_to_bytes(path.partition("#")[0].encode("latin-1", "replace")).decode("latin-1")
    return environ_of(decoded, SCRIPT_NAME=script, QUERY_STRING=query, RAW_URI=target)


class Guard:
    """A gateway that answers 403 on the guarded paths."""

    def __init__(self, app) -> None:
        routes = [{"name": f"r{n}", "paths": [path]} for n, path in enumerate(GUARDED)]
        entries = [
            {"name": "request-termination", "route": route["name"], "config": {"status_code": 403}}
            for route in routes
        ]
        self.app = Gateway(app, {"store": "memory://", "routes": routes, "plugins": entries})


@pytest.mark.parametrize("path", ["/admin/users", "/api/v1/secret"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_s6_no_spelling_of_a_guarded_path_reaches_its_view(framework, path):
    ran: list[str] = []
    app = FRAMEWORKS[framework](ran)
    guarded = Guard(app).app
    view = next(name for prefix, name in GUARDED.items() if path.startswith(prefix))
    reached, through = 0, []
    for target in spellings(path, SPELLINGS):
        ran.clear()
        serve(app, asked(target))
        reached += view in ran
        ran.clear()
        serve(guarded, asked(target))
        if view in ran:
            through.append(target)
    # The test means something: many spellings do lead to the view where nobody guards it.
    assert reached > SPELLINGS / 100
    assert through == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_s6_other_paths_are_still_served(framework):
    ran: list[str] = []
    guarded = Guard(FRAMEWORKS[framework](ran)).app
    for target in ("/", "/public/a", "/public/%41", "/files/a%20b"):
        serve(guarded, asked(target))
    assert ran == ["home", "public", "public", "files"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_s7_a_prefix_that_the_server_has_moved_to_script_name_changes_nothing(framework):
    ran: list[str] = []
    guarded = Guard(FRAMEWORKS[framework](ran)).app
    for script, path in (
        ("/admin", "/users"),
        ("/admin/users", ""),
        ("", "/admin/users"),
        ("/admin/", "/users"),
    ):
        found = serve(guarded, asked(path or "/", script))
        assert found.status.startswith("403"), (script, path)
    assert ran == []
