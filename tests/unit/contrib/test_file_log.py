"""file-log: configuration, the file, and through an app; at the end real gunicorn and logrotate."""

from __future__ import annotations

import json
import os
import stat

import pytest
from werkzeug.test import Client

from plugmw import ConfigError, Entry
from plugmw.contrib.file_log import FileLog
from plugmw.testing import gateway, get

ROUTED = {
    "routes": [{"name": "route1", "paths": ["/"], "service": "svc1"}],
    "services": [{"name": "svc1"}],
}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "log")


def entries(path):
    with open(path, "rb") as file:
        data = file.read()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


# -- config -------------------------------------------------------------------------------------------

PATHS = ["/ovo*", "/ovo`", "/a%b", "/a&b", "/a\\b", " /ovo", "/ovo ", "a", "/a\0b", "\t/a"]


@pytest.mark.parametrize("path", PATHS)
def test_refuses_what_is_no_valid_filename(path):
    with pytest.raises(ConfigError, match=r"path: got .*not a valid filename"):
        FileLog(path=path)


@pytest.mark.parametrize("path", ["/tmp/a b.log", "ab", "/dev/stdout", "/tmp/é"])
def test_takes_a_path(path):
    FileLog(path=path)


BAD = {
    "no path": ({}, "path: missing, expected a string"),
    "an empty path": ({"path": ""}, "path: got ''"),
    "reopen": ({"path": "/a", "reopen": "yes"}, "reopen: got 'yes', expected a boolean"),
    "mode": ({"path": "/a", "mode": "999"}, "mode: got '999', expected an octal mode like 0640"),
    "a custom field": ({"path": "/a", "custom_fields_by_lua": []}, "custom_fields_by_lua: got"),
    "redacted header": ({"path": "/a", "redact_headers": ["a b"]}, r"redact_headers\[0\]: got 'a b'"),
    "redacted parameter": ({"path": "/a", "redact_query": "a"}, "redact_query: got 'a'"),
    "unknown": ({"path": "/a", "reopn": True}, 'unknown field "reopn"; did you mean "reopen"'),
}


@pytest.mark.parametrize(("config", "problem"), BAD.values(), ids=BAD)
def test_refuses(config, problem):
    with pytest.raises(ConfigError, match=problem):
        FileLog(**config)


# -- phases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reopen", [False, True])
def test_an_exchange_is_a_line(path, reopen):
    wrapped = gateway(FileLog(path=path, reopen=reopen))
    for number in range(3):
        get(wrapped, path=f"/{number}")
    found = entries(path)
    assert [entry["request"]["uri"] for entry in found] == ["/0", "/1", "/2"]
    assert found[0]["response"]["status"] == 200
    wrapped.stop()


def test_the_file_is_the_owners_alone_unless_said_otherwise(path):
    get(FileLog(path=path))
    get(FileLog(path=path + "2", mode="0644"))
    assert [stat.S_IMODE(os.stat(name).st_mode) for name in (path, path + "2")] == [0o600, 0o644]


def test_nothing_is_opened_before_the_first_entry(path):
    gateway(FileLog(path=path)).start()
    assert not os.path.exists(path)


def test_a_deleted_file_is_made_anew_with_reopen_and_has_no_earlier_entries(path):
    wrapped = gateway(FileLog(path=path, reopen=True))
    get(wrapped, path="/before")
    os.unlink(path)
    get(wrapped, path="/after")
    assert [entry["request"]["uri"] for entry in entries(path)] == ["/after"]


def test_a_moved_file_is_written_on_without_reopen(path):
    wrapped = gateway(FileLog(path=path))
    get(wrapped, path="/before")
    os.rename(path, path + ".1")
    get(wrapped, path="/after")
    assert not os.path.exists(path)
    assert len(entries(path + ".1")) == 2
    wrapped.stop()


def test_an_entry_with_reopen_closes_the_file_of_one_without(path):
    routes = [{"name": name, "paths": [f"/{name}"]} for name in "ab"]
    plugins = [Entry(FileLog(path=path, reopen=name == "b"), route=name) for name in "ab"]
    wrapped = gateway(*plugins, routes=routes)
    get(wrapped, path="/a")
    os.rename(path, path + ".1")
    get(wrapped, path="/b")
    get(wrapped, path="/a")
    assert [entry["request"]["uri"] for entry in entries(path)] == ["/b", "/a"]
    wrapped.stop()


def test_custom_fields(path):
    fields = {
        "new_field": "return 123",
        "nested.keys": "return 456",
        r"escape\.dots": "return 789",
        r"nested.escape\.dots": "return 135",
        "route": "return nil",
        "request.headers.foo": "return nil",
        "service.name": 'return "changed"',
    }
    wrapped = gateway(FileLog(path=path, custom_fields_by_lua=fields), **ROUTED)
    for _ in range(2):
        get(wrapped, headers={"Foo": "bar"}, environ={"REMOTE_ADDR": "127.0.0.1"})
    for entry in entries(path):
        assert entry["nested"] == {"keys": 456, "escape.dots": 135}
        assert (entry["new_field"], entry["escape.dots"], entry["client_ip"]) == (123, 789, "127.0.0.1")
        assert "route" not in entry
        assert "foo" not in entry["request"]["headers"]
        assert entry["service"]["name"] == "changed"
    assert wrapped.plan.services["svc1"].name == "svc1"


def test_a_forged_line_is_none(path):
    get(FileLog(path=path), path="/request?x=a%0A%7B%22forged%22%3Atrue%7D%0D%0A&y=%E2%80%A8z")
    with open(path, "rb") as file:
        data = file.read()
    assert data.isascii()
    assert data.count(b"\n") == 1
    query = json.loads(data)["request"]["querystring"]
    assert query == {"x": 'a\n{"forged":true}\r\n', "y": "\u2028z"}


UNWRITABLE = {
    "a folder": ("", "failed to open the file: Is a directory"),
    "in a missing folder": ("missing/log", "failed to open the file: No such file or directory"),
}


@pytest.mark.parametrize(("name", "reason"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_cannot_be_written_is_told_once_a_minute_and_the_answer_goes_out(tmp_path, name, reason, caplog):
    path = f"{tmp_path}/{name}"
    wrapped = gateway(FileLog(path=path, reopen=True))
    assert {get(wrapped).status_code for _ in range(20)} == {200}
    assert [record.getMessage() for record in caplog.records] == [f"{path}: {reason}. 1 entries were lost"]


def test_a_full_disk_is_told_and_the_answer_goes_out(caplog):
    wrapped = gateway(FileLog(path="/dev/full"))
    assert {get(wrapped).status_code for _ in range(20)} == {200}
    [record] = caplog.records
    assert "failed to write to the file: No space left on device" in record.getMessage()
    wrapped.stop()


def test_losses_are_told_with_their_number(path, caplog):
    plugin = FileLog(path="/dev/full")
    wrapped = gateway(plugin)
    for _ in range(3):
        get(wrapped)
    plugin._throttle.reset()
    get(wrapped)
    assert caplog.records[1].getMessage().endswith("3 entries were lost")
    wrapped.stop()


@pytest.mark.parametrize("device", ["/dev/null", "/dev/stdout"])
def test_a_device_is_a_file(device, capfd, caplog):
    wrapped = gateway(FileLog(path=device, reopen=True))
    get(wrapped)
    assert caplog.records == []
    assert bool(capfd.readouterr().out) == (device == "/dev/stdout")
    wrapped.stop()


def test_secrets_are_left_out(path):
    plugin = FileLog(path=path, redact_headers=["cookie"], redact_query=["token"])
    headers = {"Authorization": "Basic c2VjcmV0", "Cookie": "s=secret"}
    get(plugin, path="/?token=secret", headers=headers)
    with open(path) as file:
        assert "secret" not in (text := file.read())
        assert "c2VjcmV0" not in text


# -- through an app -----------------------------------------------------------------------------------


def test_an_app_that_raises_is_logged(path):
    def broken(environ, start_response):
        raise RuntimeError("no")

    wrapped = gateway(FileLog(path=path), app=broken)
    with pytest.raises(RuntimeError):
        get(wrapped)
    [entry] = entries(path)
    assert (entry["response"]["status"], entry["source"]) == (500, "kong")


def test_a_client_that_goes_away_is_logged_once(path):
    def stream(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    client = Client(gateway(FileLog(path=path), app=stream))
    answer = client.get("/", buffered=False)
    next(iter(answer.response))
    answer.close()
    [entry] = entries(path)
    assert entry["response"]["status"] == 200
