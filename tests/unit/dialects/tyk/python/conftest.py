"""Bundles made of texts, served in front of an app that says what it got."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.dialects.tyk.python import python_hooks
from plugmw.dialects.tyk.stored import PolicyFields, RightFields
from plugmw.documents.translated import Options
from plugmw.kernel.order import Entry

#: The first lines of every plugin of Tyk's.
HEAD = "from tyk.decorators import *\nfrom gateway import TykGateway as tyk\n"
#: Priorities as far apart as the kinds are in Tyk's order.
BANDS = {"pre": 5000, "auth_check": 4000, "post_key_auth": 3000, "post": 2000, "response": 1000}


def echo(environ, start_response):
    """Answer with the request, as JSON, and with headers of several values."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    seen = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "body": body.decode("latin-1"),
        "headers": {k[5:]: v for k, v in environ.items() if k.startswith("HTTP_")},
    }
    data = json.dumps(seen).encode()
    start_response(
        "201 Created",
        [
            ("content-type", "application/json"),
            ("Content-Length", str(len(data))),
            ("ETag", '"1"'),
            ("Set-Cookie", "a=1"),
            ("X-One", "1"),
            ("Set-Cookie", "b=2"),
        ],
    )
    return [data]


def hooks_of(middleware: Any) -> dict[str, Any]:
    """Return a custom_middleware section for ``{"pre": "A", "post": ["B", "C"]}``."""
    made = {"driver": "python"}
    for kind, names in middleware.items():
        if kind == "auth_check":
            made[kind] = {"name": names}
        elif kind in BANDS:
            made[kind] = [
                {"name": n} if isinstance(n, str) else n
                for n in ([names] if isinstance(names, str) else names)
            ]
        else:
            made[kind] = names
    return made


@pytest.fixture
def log(caplog):
    """The logger of the hooks; ``log.text`` is what it wrote."""
    caplog.set_level(logging.DEBUG, logger="plugmw")
    return caplog


@pytest.fixture
def bundle(tmp_path) -> Callable[..., Path]:
    """Write a folder of files; a text alone is its ``middleware.py``."""
    counter = iter(range(1000))

    def write(files: str | dict[str, str]) -> Path:
        folder = tmp_path / f"bundle{next(counter)}"
        given = {"middleware.py": files} if isinstance(files, str) else files
        for name, text in given.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(HEAD + text if name.endswith(".py") and "/" not in name else text)
        return folder

    return write


def api(**fields: Any) -> SimpleNamespace:
    known = {"api_id": "7", "org_id": "1", "name": "Test", "config_data": {}, "bundle_hash": "abc"}
    gold = PolicyFields(org_id="1", access_rights={"7": RightFields()})
    return SimpleNamespace(**{**known, "policies": {"gold": gold}, **fields})


@pytest.fixture
def entries(bundle):
    """Return the entries for a bundle and its hooks."""

    def make(files: Any, options: Options | None = None, about: Any = None, names: Any = (), **hooks: Any):
        folder = files if isinstance(files, Path) else bundle(files)
        found = python_hooks(hooks_of(hooks), folder, names, about or api(), options or Options())
        return [
            Entry(plugin, instance=f"{kind}-{place}", priority=BANDS[kind] - place)
            for place, (kind, plugin) in enumerate(found)
        ]

    return make


@pytest.fixture
def serve(entries):
    """Return a test client for a gateway with a bundle's hooks."""

    def make(
        files: Any,
        app: Any = echo,
        compat: bool = False,
        config: Any = None,
        strict: bool | None = None,
        **more: Any,
    ) -> Client:
        made = entries(files, Options(compat=compat, strict=strict), **more)
        return Client(Gateway(app, {"store": "memory://", **(config or {})}, plugins=made))

    return make


def raw(data: bytes) -> dict[str, Any]:
    """Return client arguments for a body of bytes."""
    return {"input_stream": io.BytesIO(data), "content_length": len(data)}
