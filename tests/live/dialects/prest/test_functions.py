"""Functions by URL, through the plain middleware, with servers and processes."""

from __future__ import annotations

import json

from tests.unit.dialects.prest.test_functions import DOCUMENT, TRAVERSALS
from tests.unit.dialects.prest.test_functions import traps as traps


def test_the_same_through_real_gunicorn(lib, traps, gunicorn):
    from tests.support.raw import get

    server = gunicorn(f"""
        from plugmw import Functions
        from tests.unit.dialects.prest.conftest import app
        app = Functions(app, {lib!r})
        """)
    assert json.loads(get(server.port, "/_PLUGIN/hello/Hello?abc=123").body) == DOCUMENT
    for target in TRAVERSALS:
        answer = get(server.port, target)
        assert (target, answer.status) == (target, 404)
        assert list(json.loads(answer.body)) == ["error"]
        assert answer.header("content-type") == "application/json"
    assert get(server.port, "/_PLUGIN/hello/Hello", method="HEAD").body == b""
    assert not traps.exists()
    assert str(lib) not in json.dumps([get(server.port, t).body.decode() for t in TRAVERSALS])
