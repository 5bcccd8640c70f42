"""The exchange that plugin servers log: as it was at its end, whatever others do to it later."""

from __future__ import annotations

import pytest

from plugmw.dialects.kong.pdk.rest import Ctx
from plugmw.dialects.kong.servers.log_phase import past
from plugmw.kernel import state
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Runtime
from plugmw.telemetry.log_entry import changes_of
from plugmw.wsgi import keys
from tests.support.wsgi import environ_of


def test_what_is_changed_later_is_not_in_the_copy():
    x = type("X", (Exchange,), {"runtime": Runtime()})(environ_of(), print)
    x.ctx["shared"] = 1
    x.state(Ctx)["plugin"] = {"own": 1}
    changes_of(x).append(("a", 1, "set"))
    x.add_header("X-A", "1")
    copied = past(x)
    x.ctx["shared"] = 2
    x.state(Ctx)["plugin"]["own"] = 2
    x.state(Ctx)["other"] = {}
    changes_of(x).clear()
    x.remove_header("X-A")
    assert copied.ctx == {"shared": 1}
    assert state.of(copied.environ, Ctx) == {"plugin": {"own": 1}}
    assert copied.environ[keys.RECORD_CHANGES] == [("a", 1, "set")]
    assert (copied.header_list, copied.request_id) == ([("X-A", "1")], x.request_id)
    assert "wsgi.input" not in copied.environ


def test_an_exchange_without_changes_has_none_in_its_copy_and_answers_no_more():
    x = type("X", (Exchange,), {"runtime": Runtime()})(environ_of(), print)
    copied = past(x)
    assert (copied.ctx, changes_of(copied)) == ({}, [])
    with pytest.raises(RuntimeError, match="the response has gone out"):
        copied._server("200 OK", [])
