"""Analytics plugins."""

from __future__ import annotations

import pytest

from tests.support.stub import Stub

#: What the plugin below was given.
RECORDS = []
PLUGIN = """
from tests.unit.dialects.tyk.test_analytics import RECORDS

def Record(record):
    record.APIKey = "hidden"
    RECORDS.append(record)
"""


def analytics(tmp_path, name="Record", path="plugin.so"):
    return {"enable": True, "plugin_path": str(tmp_path / path), "func_name": name}


@pytest.fixture
def recorded(serve, tmp_path):
    """Ask an API with the plugin once; return the record."""

    def ask(path="/api/x", headers=None, **fields):
        environ = {"REMOTE_ADDR": "127.0.0.1"}
        client = serve(PLUGIN, analytics_plugin=analytics(tmp_path), **fields)
        RECORDS.clear()
        client.get(path, headers=headers or {}, environ_overrides=environ).close()
        (record,) = RECORDS
        return record

    return ask


def test_a_record_has_what_tyk_records(recorded):
    record = recorded("/api/a%20b?q=1", headers={"User-Agent": "me", "Content-Length": "x"})
    assert record.ContentLength == 0
    assert (record.method, record.Path, record.RawPath) == ("GET", "/api/a b", "/api/a%20b")
    assert (record.response_code, record.ResponseCode) == (201, 201)
    assert (record.APIName, record.APIID, record.OrgID) == ("my api", "id1", "org1")
    assert (record.UserAgent, record.IPAddress, record.Host) == ("me", "127.0.0.1", "localhost")
    assert record.TimeStamp.tzinfo is not None
    assert (record.Year, record.Month, record.Day, record.Hour) == record.TimeStamp.timetuple()[:4]
    assert 0 <= record.Latency.Upstream <= record.Latency.Total == record.RequestTime
    assert record["api_key"] == "hidden"


def test_errors_are_recorded_too(recorded):
    record = recorded(use_keyless=False)
    assert (record.ResponseCode, record.Alias, record.Tags) == (401, "", [])


def test_a_record_tells_the_session(recorded):
    sessions = [{"key": "t", "alias": "alice", "tags": ["a"], "oauth_client_id": "c1"}]
    record = recorded(use_keyless=False, plugmw={"sessions": sessions}, headers={"Authorization": "t"})
    assert (record.Alias, record.Tags, record.OauthID) == ("alice", ["a"], "c1")


def test_a_plugin_that_fails_is_logged_and_the_answer_goes_out(serve, log, tmp_path):
    text = "def Record(record):\n    1 / 0\n"
    answer = serve(text, analytics_plugin=analytics(tmp_path)).get("/api/x")
    assert answer.status_code == 201
    answer.close()
    assert log.text.count("analytics:Record failed") == 1


def test_a_plugin_that_is_not_there_is_told_at_load_and_the_api_works(serve, log, upstream: Stub, tmp_path):
    client = serve("", analytics_plugin=analytics(tmp_path, path="none.so"))
    assert "analytics:Record hook cannot be used" in log.text
    answer = client.get("/api/x")
    answer.close()
    assert (answer.status_code, len(upstream.asked)) == (201, 1)
