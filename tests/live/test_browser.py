"""A real browser across two origins: Chromium sends preflights, cors answers, gunicorn serves."""

from __future__ import annotations

import html
import json
import re
import subprocess

import pytest

from tests.support.servers import require_program

API = """
    from plugmw import Gateway

    seen = []

    def site(environ, start_response):
        if environ["PATH_INFO"] != "/seen":
            seen.append(f"{{environ['REQUEST_METHOD']}} {{environ['PATH_INFO']}}")
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Open", "1"), ("X-Closed", "2")])
        return [",".join(seen).encode() if environ["PATH_INFO"] == "/seen" else b"hello"]

    app = Gateway(site, {{
        "store": "memory://",
        "routes": [{{"name": "closed", "paths": ["/closed"]}}],
        "consumers": [{{"username": "alice", "keyauth_credentials": [{{"key": "k1"}}]}}],
        "plugins": [
            {{"name": "cors", "config": {{
                "origins": [{origin!r}],
                "methods": ["GET", "PUT"],
                "headers": ["apikey", "X-Custom"],
                "exposed_headers": ["X-Open"],
                "credentials": {credentials},
            }}}},
            {{"name": "key-auth", "route": "closed"}},
        ],
    }})
"""
PAGE = """
    PAGE = b'''<!doctype html><title>t</title><link rel="icon" href="data:,"><pre id="out">waiting</pre>
    <script>
    const url = new URLSearchParams(location.search).get("api");
    const calls = {
      "get": ["/get", {}],
      "put": ["/put", {method: "PUT", headers: {"X-Custom": "1"}, body: "x"}],
      "unlisted method": ["/delete", {method: "DELETE"}],
      "unlisted header": ["/header", {headers: {"X-Other": "1"}}],
      "cookies": ["/cookies", {credentials: "include"}],
      "key": ["/closed", {headers: {"apikey": "k1"}}],
      "wrong key": ["/closed", {headers: {"apikey": "k2"}}],
    };
    (async () => {
      const out = {};
      for (const [name, [path, options]] of Object.entries(calls)) {
        try {
          const answer = await fetch(url + path, options);
          out[name] = [answer.status, answer.headers.get("X-Open"), answer.headers.get("X-Closed")];
        } catch (error) { out[name] = error.name; }
      }
      document.getElementById("out").textContent = JSON.stringify(out);
    })();
    </script>'''

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(PAGE)))])
        return [PAGE]
"""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=20000",
    "--dump-dom",
)
GOOD = [200, "1", None]
REFUSED = "TypeError"
LISTED = {
    "get": GOOD,
    "put": GOOD,
    "unlisted method": REFUSED,
    "unlisted header": REFUSED,
    "key": GOOD,
    "wrong key": [401, None, None],
}


def results(page: str, api: str, folder: object) -> dict[str, object]:
    """Open a page in a new browser; return what its calls gave."""
    command = [require_program("chromium"), *FLAGS, f"--user-data-dir={folder}", f"{page}/?api={api}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


def seen(api: str) -> list[str]:
    import requests

    return requests.get(f"{api}/seen", timeout=20).text.split(",")


@pytest.mark.parametrize("credentials", [False, True], ids=["without cookies", "with cookies"])
def test_a_listed_origin_may_do_what_is_listed(gunicorn, tmp_path, credentials):
    page = gunicorn(PAGE, worker_class="gthread", args=["--threads", "4"])
    api = gunicorn(
        API.format(origin=page.url, credentials=credentials), worker_class="gthread", args=["--threads", "4"]
    )
    expected = {**LISTED, "cookies": GOOD if credentials else REFUSED}
    assert results(page.url, api.url, tmp_path / "profile") == expected
    # What a preflight refused has not been sent; the app never saw a preflight either.
    assert seen(api.url) == ["GET /get", "PUT /put", "GET /cookies", "GET /closed"]


def test_another_origin_may_do_nothing(gunicorn, tmp_path):
    page = gunicorn(PAGE, worker_class="gthread", args=["--threads", "4"])
    api = gunicorn(
        API.format(origin="https://shop.test", credentials=False),
        worker_class="gthread",
        args=["--threads", "4"],
    )
    found = results(page.url, api.url, tmp_path / "profile")
    assert found == {**dict.fromkeys(LISTED, REFUSED), "cookies": REFUSED}
    # Simple requests are sent all the same: it is their answers that the page may not read.
    assert seen(api.url) == ["GET /get", "GET /cookies"]
