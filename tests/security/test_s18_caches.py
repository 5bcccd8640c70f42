"""S18: what is kept is kept for the one it is of, up to a number; queries are split on ``&`` only.

No plugin keeps answers (Kong's proxy-cache is not among them, Tyk's cache is left out, KrakenD's
``cache_ttl`` is a header for others), so there is no shared answer to poison: what is kept are look-ups and
verdicts.
"""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from werkzeug.test import Client

import plugmw
from plugmw import Gateway
from plugmw.auth.directories.cache import MISSING, Cache
from plugmw.auth.directories.callables import CallableDirectory
from plugmw.contrib.ldap_auth import plugin as ldap_auth
from plugmw.dialects.kong.pdk import cache as pdk_cache
from plugmw.dialects.krakend.forwarding import query_of
from plugmw.dialects.tyk.python import id_extractor
from plugmw.dialects.tyk.python.request import Changes
from plugmw.dialects.tyk.session import SessionState
from plugmw.kernel.identity import digest
from plugmw.sources.bundled import names
from plugmw.testing import gateway, hello_app
from plugmw.wsgi import forms

ROOT = Path(plugmw.__file__).parent

# -- bounded ---------------------------------------------------------------------------------------------

#: What functions remember: (file, function or what is wrapped) -> what the keys are.
REMEMBERED = {
    ("configuration/certificates.py", "_context"): "certificates of the configuration",
    (
        "contrib/bot_detection/plugin.py",
        "self._judge",
    ): "a User-Agent, cut to a length",
    ("contrib/jwt/plugin.py", "partial"): "a credential's algorithm and key, from the consumers",
    ("dialects/kong/schema/lua_patterns.py", "lua_pattern"): "patterns of schemas",
    ("dialects/prest/native.py", "_member"): "names of headers",
    ("dialects/tyk/rights.py", "_compiled"): "patterns of sessions",
    ("contrib/prometheus/exposition.py", "_key"): "names and labels of metrics, whose number is limited",
    ("kernel/chain_source.py", "compiled"): "texts of chains",
    ("kernel/chain_source.py", "source"): "shapes of chains",
    ("kernel/dry_run.py", "_install"): "nothing",
    ("wsgi/readings.py", "host_names"): "hosts of requests",
    ("auth/passwords.py", "_works"): "methods of hashes",
    ("routing/router.py", "_path_pattern"): "paths of routes",
    ("schema/pattern_cost.py", "_signs"): "classes of characters in patterns of the configuration",
    ("sources/bundled.py", "_modules"): "nothing",
    ("sources/entrypoints.py", "_points"): "nothing",
}


def remembering():
    """Yield (file, what is remembered, whether there is a limit)."""
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "functools" not in text:
            continue
        file = path.relative_to(ROOT).as_posix()
        tree = ast.parse(text)
        for node in ast.walk(tree):
            for one in getattr(node, "decorator_list", ()):
                kind = ast.unparse(one).removeprefix("functools.")
                if kind.partition("(")[0] in ("cache", "lru_cache"):
                    yield file, node.name, "None" not in kind and (kind != "cache" or not node.args.args)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Call):
                kind = ast.unparse(node.func).removeprefix("functools.")
                if kind.startswith("lru_cache("):
                    yield file, ast.unparse(node.args[0]).partition("(")[0], "None" not in kind


@pytest.mark.slow
def test_s18_what_functions_remember_is_limited_and_known():
    found = {(file, name): limited for file, name, limited in remembering()}
    assert [place for place, limited in found.items() if not limited] == []
    assert set(found) == set(REMEMBERED)


def test_s18_look_ups_of_consumers_are_kept_up_to_a_number():
    cache = Cache(most=3)
    for number in range(10):
        cache.put(f"there {number}", number, cache.generation)
        cache.put(f"not there {number}", None, cache.generation)
    assert [cache.get(f"there {number}") for number in (0, 6, 7, 9)] == [MISSING, MISSING, 7, 9]
    # Who guesses keys drives out guesses, not what is there.
    assert [cache.get(f"not there {number}") for number in (0, 9)] == [MISSING, None]


def test_s18_values_of_plugins_are_kept_up_to_a_number():
    cache = pdk_cache.Cache(most=3)
    for number in range(10):
        cache.get(f"key {number}", None, lambda number=number: number)
    assert [cache.probe(f"key {number}")[2] for number in (0, 6, 7, 9)] == [None, None, 7, 9]
    assert not cache._calls


def test_s18_sessions_of_tyk_are_kept_up_to_a_number(monkeypatch):
    monkeypatch.setattr(id_extractor, "MOST", 3)
    sessions = id_extractor.Sessions()
    for number in range(10):
        sessions.keep(f"id {number}", SessionState(id_extractor_deadline=100), Changes(), now=0)
    assert [sessions.get(f"id {number}", 0) is not None for number in (0, 6, 7, 9)] == [
        False,
        False,
        True,
        True,
    ]


def ldap(asked):
    """Return ldap-auth whose directory knows one pair."""
    plugin = ldap_auth.LDAPAuth(
        ldap_host="h", ldap_port=389, base_dn="dc=x", attribute="uid", start_tls=False
    )
    gateway(plugin)

    def bind(dn, password):
        asked.append((dn, password))
        return None if (dn, password) == ("uid=ann,dc=x", "b") else "no"

    plugin._bind = bind
    return plugin


def test_s18_answers_of_a_directory_are_kept_up_to_a_number_and_for_a_pair(monkeypatch):
    monkeypatch.setattr(ldap_auth, "MOST", 3)
    asked = []
    plugin = ldap(asked)
    x = SimpleNamespace(request_id="r")
    for pair in [
        ("ann", "b"),
        ("ann", "x"),
        ("an", "nb"),
        ("annb", ""),
        ("ann", "b"),
        ("ann", "b\n"),
        ("ann\nb", ""),
    ]:
        assert plugin._is_right(x, *pair) is (pair == ("ann", "b")), pair
    assert len(plugin._answers) == 3
    # What is kept does not hold the password.
    assert all(isinstance(key, bytes) and len(key) == 32 for key in plugin._answers)


# -- of one user -----------------------------------------------------------------------------------------


def test_s18_keys_of_kinds_and_names_do_not_collide():
    texts = ["", "a", "b", "a\0b", "\0", "key-auth", "consumer", "a:b", "\ud800"]
    kinds = ["consumer", "key-auth", "basic-auth", "jwt", "hmac-auth", "oauth2", "acl"]
    made = [digest(kind, text) for kind, text in itertools.product(kinds, texts)]
    assert len(set(made)) == len(made)


def test_s18_a_directory_never_answers_one_key_with_anothers_consumer():
    def find(kind, key):
        return {
            "id": f"id of {kind} {quote(key)}",
            "username": f"{kind} {quote(key)}",
            "keyauth_credentials": [{"key": key}],
        }

    directory = CallableDirectory(find)
    keys = ["a", "b", "ab", "a\0b", "id of key-auth a", "consumer"]
    for key in keys * 2:
        credential = directory.credential("key-auth", key)
        assert directory.consumer(credential.consumer_id).username == f"key-auth {quote(key)}"


@pytest.mark.parametrize("value", ["i:127.0.0.1", "127.0.0.1", "i:None", "c:alice", "k:", "p:/", "s:x"])
def test_s18_a_header_is_never_counted_as_somebody_else(value):
    config = {"hour": 1, "limit_by": "header", "header_name": "X-A"}
    app = Gateway(hello_app, {"store": "memory://", "plugins": [{"name": "rate-limiting", "config": config}]})
    client = Client(app)
    victim = {"REMOTE_ADDR": "127.0.0.1"}
    assert client.get("/", headers={"X-A": value}, environ_overrides=victim).status_code == 200
    assert client.get("/", headers={"X-A": value}, environ_overrides=victim).status_code == 429
    # Without the header it is the address that counts, and nobody has used that up.
    assert client.get("/", environ_overrides=victim).status_code == 200
    assert client.get("/", environ_overrides=victim).status_code == 429


# -- queries ---------------------------------------------------------------------------------------------

QUERY = "a=1;b=2&c=3;d"


def test_s18_queries_are_split_at_the_ampersand_alone():
    assert forms.read_pairs(QUERY) == [("a", "1;b=2"), ("c", "3;d")]
    assert forms.pair_values(QUERY, "b") == []
    assert forms.without_pair(QUERY, "b") == QUERY
    assert query_of({"QUERY_STRING": QUERY}, ["*"]) == {"a": ["1;b=2"], "c": ["3;d"]}


def test_s18_a_key_behind_a_semicolon_is_none():
    config = {
        "store": "memory://",
        "consumers": [{"username": "alice", "keyauth_credentials": [{"key": "k"}]}],
        "plugins": [{"name": "key-auth"}],
    }
    client = Client(Gateway(hello_app, config))
    assert client.get("/?x=1&apikey=k").status_code == 200
    for query in ("x=1;apikey=k", "apikey=k;x=1", "apikey=k;", ";apikey=k", "x=1%26apikey=k"):
        assert client.get(f"/?{query}").status_code == 401, query


def test_s18_no_query_is_read_in_another_way():
    """Python's own reader splits at ``&`` too, unless it is told otherwise."""
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "separator" not in text or "parse_qs" not in text, path
        assert 'split("[&;]"' not in text.replace("'", '"'), path


def test_s18_no_plugin_keeps_answers():
    assert not [name for name in names() if "cache" in name]
    krakend = {
        "version": 3,
        "endpoints": [
            {"endpoint": "/a", "cache_ttl": "300s", "backend": [{"host": ["app:"], "url_pattern": "/b"}]}
        ],
    }
    count = itertools.count()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"n": %d}' % next(count)]

    gateway_ = Gateway.from_krakend(app, krakend)
    answers = [Client(gateway_).get("/a", headers={"Authorization": str(number)}).json for number in range(3)]
    gateway_.stop()
    assert answers == [{"n": 0}, {"n": 1}, {"n": 2}]
