from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plugmw.errors import ConfigError
from plugmw.stores import open_store
from plugmw.stores.urls import redact

SECRET = "s3cret"

BAD = {
    "": "got '', expected memory://, file:///path, redis://host",
    "auto": "got 'auto', expected memory://",
    "memory": "got 'memory', expected memory://",
    "mysql://host": "got 'mysql://host', expected memory://",
    "memory://here": "expected memory:// or memory://[?]keys=100000",
    "memory:///path": "expected memory://",
    "memory://?keys=0": "expected keys to be a whole number above 0",
    "memory://?keys=many": "expected keys to be a whole number above 0",
    "memory://?size=9": "expected no option 'size', only: keys",
    "memory://#x": "expected no part after '#'",
    "file://relative/path": "expected file:///path/of/a/file",
    "file:///": "expected file:///path/of/a/file",
    "file:///a%00b": "expected file:///path/of/a/file",
    "file:///no/such/folder/counters": "'/no/such/folder' does not",
    "file:///tmp/counters?slots=-1": "expected slots to be a whole number above 0",
    "redis://host:port": "expected a host and a port number",
    "redis://host:99999": "expected a host and a port number",
    "redis://[::1": "expected a host and a port number",
    "redis://host/name": "expected redis://host:port/db with db a number",
    "redis://host/1/2": "expected redis://host:port/db",
    "redis://host?ssl_cert_reqs=none": "expected no option 'ssl_cert_reqs', only: prefix",
    "rediss://host?ssl_cert_reqs=maybe": "expected ssl_cert_reqs=required or none",
    "unix://": "expected unix:///path.sock",
    "unix://host/path.sock": "expected unix:///path.sock",
    "unix:///path.sock?db=x": "expected db to be a number",
}


@pytest.mark.parametrize(("url", "message"), BAD.items(), ids=[url or "empty" for url in BAD])
def test_a_bad_url_is_a_config_error(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_store(url)
    assert caught.value.path == "store"


SECRETIVE = [
    f"redis://user:{SECRET}@host:x/0",
    f"redis://user:{SECRET}/y@host/0",
    f"redis://user:{SECRET}#@host/0",
    f"redis://user:{SECRET}?@host/0",
    f"redis://user:[{SECRET}@host/0",
    f"redis://user:a@{SECRET}@host/name",
    f"redis://:{SECRET}@host/name",
    f"redis://host/name?password={SECRET}",
    f"redis:/user:{SECRET}@host",
    f"user:{SECRET}@host",
    f"reddis://user:{SECRET}@host",
    f"unix://user:{SECRET}@",
]


@pytest.mark.parametrize("url", SECRETIVE)
def test_an_error_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert SECRET not in str(caught.value) + repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["redis://u:p@h/0", "u:p@h/0", "redis://u:a@b:p@h/0?x=p", "redis:/u:\np@h/0"])
def test_redact_leaves_the_place_only(url: str) -> None:
    assert redact(url).endswith("***@h/0")


def test_redact_leaves_a_url_without_secrets_alone() -> None:
    assert redact("rediss://host:6379/0") == "rediss://host:6379/0"


def test_memory_takes_a_number_of_keys() -> None:
    store = open_store("memory://?keys=1")
    store.incr("a")
    with pytest.raises(Exception, match="is full: 1 keys"):
        store.incr("b")


def test_a_path_may_be_percent_encoded(tmp_path: Path) -> None:
    assert open_store(f"file://{tmp_path}/a%20b").url == f"file://{tmp_path}/a b"


def test_a_file_without_path_is_in_the_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert open_store("file://").url.startswith(f"file://{tmp_path}/plugmw-")


REDIS_URLS = {
    "redis://": "redis://localhost:6379/0",
    "redis://host": "redis://host:6379/0",
    f"redis://user:{SECRET}@host:7000/3": "redis://host:7000/3",
    f"rediss://:{SECRET}%40@host/": "rediss://host:6379/0",
    "redis://[::1]:7000": "redis://[::1]:7000/0",
    f"unix://user:{SECRET}@/run/a%20b.sock?db=2": "unix:///run/a b.sock?db=2",
}


@pytest.mark.parametrize(("url", "shown"), REDIS_URLS.items())
def test_a_redis_store_is_shown_without_secrets(url: str, shown: str) -> None:
    pytest.importorskip("redis")
    store = open_store(url)
    assert store.url == shown
    assert SECRET not in repr(store) + repr(vars(store))
    store.close()


def test_user_and_password_are_decoded() -> None:
    pytest.importorskip("redis")
    store = open_store("redis://us%3Aer:p%40ss%2F@host")
    given = store._client.connection_pool.connection_kwargs  # type: ignore[attr-defined]
    assert given["credential_provider"].get_credentials() == ("us:er", "p@ss/")
    store.close()


@pytest.mark.parametrize("url", ["redis://host", "rediss://host", "unix:///path.sock"])
def test_missing_redis_py_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "plugmw.stores.redis", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(
        ConfigError, match=r"redis-py is not installed, expected pip install 'plugmw\[redis\]'"
    ):
        open_store(url)


def test_missing_file_locks_name_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("file", "table", "tables", "values"):
        monkeypatch.delitem(sys.modules, f"plugmw.stores.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ConfigError, match=r"no file locks \(fcntl\), expected memory:// .* or redis://"):
        open_store("file:///tmp/counters")


LIGHT = """
import sys
import plugmw.stores
plugmw.stores.open_store("memory://")
print({"redis", "sqlite3", "mmap", "plugmw.stores.file", "plugmw.stores.redis"} & set(sys.modules))
"""


@pytest.mark.slow
def test_a_store_that_is_not_opened_is_not_imported(output: Callable[..., str]) -> None:
    assert output(LIGHT) == "set()"
