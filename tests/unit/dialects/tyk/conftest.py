"""APIs whose plugins are texts, in front of a real upstream."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from tests.support.stub import Asked, Stub, Told, stub

HEADERS = [
    ("Connection", "close"),
    ("Content-Type", "application/json"),
    ("Set-Cookie", "a=1"),
    ("X-One", "1"),
    ("Set-Cookie", "b=2"),
]


def echo(asked: Asked) -> Told:
    """Answer with the request as JSON, and with a header of several values."""
    seen = {
        "method": asked.method,
        "target": asked.target,
        "headers": dict(asked.headers),
        "body": asked.body.decode("latin-1"),
    }
    return Told(201, HEADERS, json.dumps(seen).encode())


@pytest.fixture
def upstream() -> Iterator[Stub]:
    with stub(echo) as server:
        yield server


@pytest.fixture
def log(caplog):
    """What the gateway logs; ``log.text``."""
    caplog.set_level(logging.DEBUG, logger="plugmw")
    return caplog


@pytest.fixture
def api(tmp_path, upstream) -> Callable[..., dict[str, Any]]:
    """Return a definition: ``api(text, pre=["A", "B"], auth_check="C", use_keyless=False)``.

    ``text`` is what ``plugin.py`` in the folder ``tmp_path`` holds; the hooks are its functions.
    """

    def make(text: str = "", **fields: Any) -> dict[str, Any]:
        (tmp_path / "plugin.py").write_text(text, encoding="utf-8")
        section: dict[str, Any] = {"driver": "goplugin"}
        for kind in ("pre", "post_key_auth", "post", "response"):
            section[kind] = [hook(name) for name in fields.pop(kind, ())]
        name = fields.pop("auth_check", None)
        section["auth_check"] = hook(name) if name else {}
        proxy = {"listen_path": "/api/", "target_url": f"http://127.0.0.1:{upstream.port}/base"}
        return {
            "name": "my api",
            "api_id": "id1",
            "org_id": "org1",
            "active": True,
            "use_keyless": True,
            "proxy": {**proxy, "strip_listen_path": True, **fields.pop("proxy", {})},
            "custom_middleware": {**section, **fields.pop("custom_middleware", {})},
            **fields,
        }

    def hook(name: Any) -> Any:
        return {"name": name, "path": str(tmp_path / "plugin.so")} if isinstance(name, str) else name

    return make


@pytest.fixture
def serve(api) -> Callable[..., Client]:
    """Return a client of a gateway: as ``api``, and the gateway's ``app`` and ``options``."""

    def start(
        text: str = "", app: Any = None, options: dict[str, Any] | None = None, **fields: Any
    ) -> Client:
        return Client(Gateway.from_tyk(app, api(text, **fields), **(options or {})), use_cookies=False)

    return start


def headers_seen(answer: Any) -> dict[str, str]:
    """Return the request headers that the upstream got."""
    seen: dict[str, str] = answer.json["headers"]
    return seen


def write(path: Path, data: Any) -> Path:
    """Write a JSON file; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path
