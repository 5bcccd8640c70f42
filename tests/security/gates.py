"""One gateway with authentication of every kind, behind gunicorn of every kind, asked from bare sockets.

    def test_s0_nobody(gate):
        assert gate.ask("/key", "apikey: wrong").status == 401

Every route below is named after the plugin on it; the app says what it got, as JSON.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64encode
from email.utils import formatdate
from typing import Any

from tests.support import raw
from tests.support.servers import Server
from tests.support.tokens import LATER, RSA, SECRET, pem, token
from tests.support.wire import WORKERS as WORKERS

KEY = "key-0123456789abcdef"
OTHER_KEY = "key-of-somebody-else"
HMAC_SECRET = "hmac-0123456789abcdef"
PASSWORD = "password-0123456789"
LONG = 200_000

CONSUMERS = [
    {
        "username": "alice",
        "acls": [{"group": "staff"}],
        "keyauth_credentials": [{"key": KEY}],
        "basicauth_credentials": [{"username": "alice", "password": PASSWORD}],
        "hmacauth_credentials": [{"username": "alice", "secret": HMAC_SECRET}],
        "jwt_secrets": [
            {"key": "key", "secret": SECRET},
            {"key": "rsa", "algorithm": "RS256", "rsa_public_key": pem(RSA)},
            {"key": "pem", "secret": pem(RSA)},
        ],
        "oauth2_credentials": [
            {
                "name": "shop",
                "client_id": "shop",
                "client_secret": "s",
                "redirect_uris": ["https://a.example/"],
            }
        ],
    },
    {"username": "bob", "keyauth_credentials": [{"key": OTHER_KEY}]},
]
#: By route: its plugins.
PLUGINS: dict[str, list[dict[str, Any]]] = {
    "jwt": [{"name": "jwt", "config": {"claims_to_verify": ["exp"], "cookie_names": ["jwt"]}}],
    "hmac": [
        {
            "name": "hmac-auth",
            "config": {
                "validate_request_body": True,
                "enforce_headers": ["date", "@request-target", "digest"],
                "algorithms": ["hmac-sha256"],
            },
        }
    ],
    "strict": [{"name": "hmac-auth", "config": {"strict": True, "clock_skew": 60}}],
    "key": [{"name": "key-auth", "config": {"key_in_body": True}}],
    "basic": [{"name": "basic-auth"}],
    "oauth2": [{"name": "oauth2", "config": {"enable_client_credentials": True, "global_credentials": True,
                                             "accept_http_if_already_terminated": True}}],
    "cors": [
        {"name": "ip-restriction", "config": {"deny": ["127.0.0.1"]}},
        {"name": "cors", "config": {"origins": ["https://shop.example"]}},
    ],
}  # fmt: skip


def document() -> dict[str, Any]:
    """Return the configuration."""
    return {
        "store": "memory://",
        "trusted": ["127.0.0.1"],
        "consumers": CONSUMERS,
        "routes": [{"name": name, "paths": [f"/{name}"]} for name in PLUGINS],
        "plugins": [{**entry, "route": name} for name, entries in PLUGINS.items() for entry in entries],
    }


SERVED = """
import hashlib, json
from plugmw import Gateway

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    told = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
    told["body"] = hashlib.sha256(body).hexdigest()
    sent = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(sent)))])
    return [sent]

app = Gateway(app, "gateway.json")
"""


class Gate:
    """The gateway on one kind of worker."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def ask(self, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> raw.Answer:
        """Send one request whose header lines are exactly these."""
        return raw.get(self.server.port, path, *headers, method=method, body=body)

    def statuses(self, path: str, requests: dict[str, tuple[str, ...]]) -> dict[str, int]:
        """Ask with each of these header lines; return the statuses by name."""
        return {name: self.ask(path, *lines).status for name, lines in requests.items()}


def start(folder: Any, gunicorn: Any, worker_class: str) -> Gate:
    """Start the gateway; lines and headers may be as long as a test wants, so that plugmw sees them."""
    (folder / "gateway.json").write_text(json.dumps(document()), encoding="utf-8")
    args = [*WORKERS[worker_class], "--limit-request-line", "0", "--limit-request-field_size", str(LONG)]
    return Gate(gunicorn(SERVED, worker_class=worker_class, args=["--chdir", str(folder), *args]))


def bearer(text: str) -> str:
    return f"Authorization: Bearer {text}"


def good_token(**claims: Any) -> str:
    return token({"iss": "key", "exp": LATER, **claims})


def basic(user: str, password: str) -> str:
    return f"Authorization: Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def http_date(offset: float = 0) -> str:
    return formatdate(time.time() + offset, usegmt=True)


def digest_line(body: bytes) -> str:
    return f"Digest: SHA-256={b64encode(hashlib.sha256(body).digest()).decode()}"


def signed(target: str, *lines: str, secret: str = HMAC_SECRET) -> str:
    """Sign a target (``get /hmac``; none if empty) and header lines."""
    pairs = [line.partition(": ") for line in lines]
    texts = [f"@request-target: {target}"] if target else []
    texts += [f"{name.lower()}: {value}" for name, _, value in pairs]
    covered = " ".join(text.partition(": ")[0] for text in texts)
    made = b64encode(hmac.digest(secret.encode(), "\n".join(texts).encode(), "sha256")).decode()
    return (
        f'Authorization: hmac username="alice", algorithm="hmac-sha256", headers="{covered}", '
        f'signature="{made}"'
    )
