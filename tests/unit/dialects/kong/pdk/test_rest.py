"""The smaller parts of the PDK."""

from __future__ import annotations

import os
import uuid

import pytest

from plugmw.dialects.kong import kong
from plugmw.kernel.order import Entry
from tests.support.kong import during, plugin, through

ROUTED = {
    "routes": [{"name": "r", "paths": ["/"], "service": "s", "id": "7"}],
    "services": [{"name": "s"}],
}


def test_shared_is_one_dict_for_all_plugins_and_private_one_for_each():
    seen = []

    def first(config):
        kong.ctx.shared["a"] = 1
        kong.ctx.plugin["b"] = 2

    def second(config):
        seen.append((kong.ctx.shared["a"], dict(kong.ctx.plugin)))

    def log(config):
        seen.append(kong.ctx.plugin["b"])

    through(plugin("one", 20, rewrite=first, log=log), plugin("two", 10, access=second))
    assert seen == [(1, {}), 2]


def test_outside_of_requests_there_is_no_context():
    assert (kong.ctx.shared, kong.ctx.plugin) == (None, None)


def test_route_and_service_are_tables():
    route = during("access", kong.router.get_route, config=ROUTED)
    assert (route["id"], route["name"], route["service"]) == ("7", "r", {"name": "s"})
    assert during("access", kong.router.get_service, config=ROUTED)["name"] == "s"
    assert during("access", kong.router.get_route) is None
    assert during("access", kong.router.get_service) is None


@pytest.mark.parametrize(
    ("address", "wanted"), [("10.1.2.3", True), ("11.0.0.1", False), ("nonsense", False)]
)
def test_an_address_may_be_trusted(address, wanted):
    assert during("access", kong.ip.is_trusted, address, config={"trusted": ["10.0.0.0/8"]}) is wanted


def test_the_node_has_an_id_a_name_and_memory():
    assert uuid.UUID(kong.node.get_id())
    assert kong.node.get_id() == kong.node.get_id()
    assert kong.node.get_hostname()
    stats = kong.node.get_memory_stats("M", 0)
    empty = {"allocated_slabs": 0, "capacity": 0}
    assert stats["lua_shared_dicts"] == {"kong": empty, "kong_db_cache": empty}
    found = stats["workers_lua_vms"][0]
    assert found["pid"] == os.getpid()
    assert found["http_allocated_gc"] > 1
    with pytest.raises(ValueError, match="invalid unit 'x'"):
        kong.node.get_memory_stats("x")


def test_an_entry_has_an_id_of_its_own():
    ids = []

    def access(config):
        ids.append(kong.plugin.get_id())

    one, two = plugin("tester", access=access), plugin("tester", access=access)
    through(Entry(one), config=ROUTED)
    through(Entry(two, route="r"), config=ROUTED)
    through(Entry(plugin("tester", access=access)), config=ROUTED)
    assert ids[0] == ids[2] != ids[1]
    assert kong.plugin.get_id() is None


def test_tables_are_made_cleared_and_merged():
    table = kong.table.merge({"a": 1, "b": 1}, None, {"b": 2})
    assert table == {"a": 1, "b": 2}
    kong.table.clear(table)
    assert table == kong.table.new(1, 2) == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{vault://env/my-secret}", ("s3cret", None)),
        ("{vault://env/other}", (None, "OTHER is not set")),
        ("{vault://aws/x}", (None, "vault aws is not known; only env is built in")),
        ("plain", (None, "not a reference")),
        (5, (None, "not a reference")),
    ],
)
def test_vault_references_are_looked_up_in_the_environment(text, wanted, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "s3cret")
    monkeypatch.delenv("OTHER", raising=False)
    assert kong.vault.get(text) == wanted


def test_vault_references_are_told_apart_and_taken_apart(monkeypatch):
    monkeypatch.setenv("A", "1")
    assert kong.vault.is_reference("{vault://env/a}")
    assert not kong.vault.is_reference("a")
    found = {"name": "env", "resource": "a", "key": "b"}
    assert kong.vault.parse_reference("{vault://env/a/b}") == (found, None)
    config = {"k": "old", "j": "old", "$refs": {"k": "{vault://env/a}", "j": "{vault://x/a}"}}
    assert kong.vault.update(config) == {**config, "k": "1"}
    assert kong.vault.try_(lambda options: options, 5) == 5
    assert (kong.vault.flush(), kong.vault.warmup({})) == (None, None)


def test_what_has_no_counterpart_says_so():
    assert kong.nginx.get_subsystem() == "http"
    assert kong.telemetry.log("p", {}, "t", "m") == (None, "Telemetry logging is disabled")
    assert kong.cluster.get_id() == (None, "not a cluster")
    assert kong.configuration == {}
    with pytest.raises(TypeError):
        kong.configuration["a"] = 1
    assert (kong.version, kong.version_num) == ("3.10.0", 3010000)
