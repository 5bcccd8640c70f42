"""Microseconds that each bundled plugin adds to a request on its usual way: ``python -m bench.plugins_hot``.

A valid credential, a limit that is not reached, an address that is listed: the request passes and the app
answers. In process, over the bare app; the row ``gateway`` is what a Gateway with one plugin that does
nothing adds, which the first plugin of a chain pays and the others do not. ``request-termination`` is timed
as the answer itself. Left out: oauth2 and ldap-auth, which need a peer, and plugins that send somewhere.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import sys
import tempfile
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.driver import ENVIRON, bare, drive, measure, table

KEY = "correct-horse-battery-staple"
SECRET = "a-secret-of-more-than-thirty-two-bytes"
CONSUMERS = [
    {
        "username": "alice",
        "acls": [{"group": "staff"}],
        "keyauth_credentials": [{"key": KEY}],
        "basicauth_credentials": [{"username": "alice", "password": KEY}],
        "hmacauth_credentials": [{"username": "alice", "secret": SECRET}],
        "jwt_secrets": [{"key": "alice", "secret": SECRET}],
    }
]
LIMIT = {"minute": 10**9, "hour": 10**9}
FUNCTIONS = {"packages": ["bench"], "access": ["bench.plugins_hot:nothing"]}

#: Headers that tell that a plugin did its work, where the status does not.
PROOFS = {
    "cors": ["Access-Control-Allow-Origin"],
    "rate-limiting": ["RateLimit-Remaining"],
    "response-ratelimiting": ["X-RateLimit-Limit-video-minute"],
    "response-transformer": ["X-A"],
    "correlation-id": ["X-Correlation-ID"],
    "the chain of five": ["Access-Control-Allow-Origin", "RateLimit-Remaining", "X-A", "X-Correlation-ID"],
}


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token() -> str:
    """Return a token for jwt."""
    claims = {"iss": "alice", "exp": int(time.time()) + 86_400}
    signed = ".".join(_text(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{_text(hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256))}"


def signed() -> dict[str, str]:
    """Return the headers of a request that is signed for hmac-auth."""
    date = formatdate(usegmt=True)
    signature = base64.b64encode(hmac.digest(SECRET.encode(), f"date: {date}".encode(), "sha256")).decode()
    fields = f'username="alice", algorithm="hmac-sha256", headers="date", signature="{signature}"'
    return {"HTTP_AUTHORIZATION": f"hmac {fields}", "HTTP_DATE": date}


def cases() -> dict[str, tuple[list[dict[str, Any]], dict[str, str]]]:
    """Return for each row the entries of its chain and what its request has."""
    keyed = {"HTTP_APIKEY": KEY}
    alone: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "pre-function": (FUNCTIONS, {}),
        "ip-restriction": ({"allow": ["127.0.0.0/8", "10.0.0.0/8"]}, {}),
        "bot-detection": ({}, {}),
        "cors": ({"origins": ["https://shop.example"]}, {"HTTP_ORIGIN": "https://shop.example"}),
        "jwt": ({"claims_to_verify": ["exp"]}, {"HTTP_AUTHORIZATION": f"Bearer {token()}"}),
        "key-auth": ({}, keyed),
        "basic-auth": (
            {},
            {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"alice:{KEY}".encode()).decode()},
        ),
        "hmac-auth": ({"clock_skew": 86_400}, signed()),
        "request-size-limiting": ({}, {"CONTENT_LENGTH": "2"}),
        "rate-limiting": (LIMIT, {}),
        "response-ratelimiting": ({"limits": {"video": LIMIT}}, {}),
        "request-transformer": ({"add": {"headers": ["X-A:1"]}, "remove": {"headers": ["X-B"]}}, {}),
        "response-transformer": ({"add": {"headers": ["X-A:1"]}, "remove": {"headers": ["X-B"]}}, {}),
        "request-termination": ({"status_code": 503, "message": "later"}, {}),
        "correlation-id": ({"echo_downstream": True}, {}),
        "post-function": (FUNCTIONS, {}),
    }
    made = {name: ([{"name": name, "config": config}], more) for name, (config, more) in alone.items()}
    made["key-auth, acl"] = ([{"name": "key-auth"}, {"name": "acl", "config": {"allow": ["staff"]}}], keyed)
    five = ("key-auth", "rate-limiting", "cors", "correlation-id", "response-transformer")
    chain = [entry for name in five for entry in made[name][0]]
    made["the chain of five"] = (chain, {**keyed, **made["cors"][1]})
    return made


def nothing(x: Any) -> None:
    """Be called by pre-function and post-function."""


def build(folder: str) -> dict[str, Callable[[], object]]:
    """Build every row and prove that its request goes the usual way."""
    from plugmw import Gateway, Plugin
    from plugmw.auth.directories import open_directory

    class Nothing(Plugin):
        name, priority = "nothing", 0

        def access(self, x: Any) -> None:
            """Do nothing."""

    rows: dict[str, Callable[[], object]] = {
        "bare": partial(drive, bare),
        "gateway": partial(drive, Gateway(bare, {"store": "memory://"}, plugins=[Nothing()])),
    }
    store = f"file://{folder}/counters"
    for name, (entries, more) in cases().items():
        if name == "jwt" and not find_spec("jwt"):
            print("jwt: PyJWT is not installed, left out", file=sys.stderr)
            continue
        config = {"store": store, "consumers": CONSUMERS, "plugins": entries}
        rows[name] = proved(name, Gateway(bare, config), more)
    # The same key in a table: what the check for changes costs.
    with_table = open_directory(f"sqlite://{folder}/consumers.db")
    with_table.add(CONSUMERS[0])
    app = Gateway(bare, {"store": store}, plugins=[{"name": "key-auth"}], consumers=with_table)
    rows["key-auth, sqlite"] = proved("key-auth, sqlite", app, {"HTTP_APIKEY": KEY})
    return rows


def proved(name: str, app: Any, more: dict[str, str]) -> Callable[[], object]:
    """Return the call to time, after it was seen to do what it should."""
    template = {**ENVIRON, **more}
    expected = "503" if name == "request-termination" else "200"
    answer = drive(app, template)
    if answer.status[:3] != expected:
        raise AssertionError(f"{name}: got {answer.status} {answer.body!r}, expected {expected}")
    missing = [header for header in PROOFS.get(name, ()) if not answer.values(header)]
    if missing:
        raise AssertionError(f"{name}: no {missing} in {answer.headers}")
    if any(word in name for word in ("auth", "jwt")):
        without = drive(app, {key: value for key, value in template.items() if key not in more})
        if without.status[:3] != "401":
            raise AssertionError(f"{name}: got {without.status} without a credential, expected 401")
    return partial(drive, app, template)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.plugins_hot", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="times that every row is visited")
    parser.add_argument("--slice", type=float, default=15.0, help="milliseconds of one visit")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        times = measure(build(folder), options.rounds, options.slice)
    added = {name: spent - times["bare"] for name, spent in times.items() if name != "bare"}
    rows = [[name, spent, spent - added["gateway"]] for name, spent in added.items()]
    print(f"bare app: {times['bare']:.2f} us a request\n")
    print(table(["plugin", "added us", "over an empty gateway us"], rows))
    if options.json:
        text = json.dumps({"python": sys.version, "bare_us": times["bare"], "added_us": added}, indent=1)
        Path(options.json).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
