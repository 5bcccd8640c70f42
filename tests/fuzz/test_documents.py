"""Documents: plugmw's own and those of others, as text of each format and as plain data."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugmw.bundles.archive import Limits
from plugmw.bundles.bundles import unpack
from plugmw.bundles.manifest import Manifest, parse
from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import Plan, read_plan
from plugmw.dialects.kong.schema.lua_patterns import lua_pattern
from plugmw.dialects.kong.schema.tables import config_class
from plugmw.dialects.krakend.fields import seconds
from plugmw.dialects.prest.configuration import translate
from plugmw.documents import Document, load
from plugmw.documents.document import leaves_of, parse_place, render_place
from plugmw.documents.plain_data import plain
from plugmw.documents.translated import Options
from plugmw.errors import ConfigError, LoadError
from plugmw.schema import patterns
from plugmw.wsgi import templates
from tests.fuzz.budget import REFUSED, tried
from tests.fuzz.strategies import NUMBERS, blobs, texts, trees
from tests.support.bundles import bundle

#: Of sets in a pattern that may mean something else one day: for whoever wrote the pattern.
pytestmark = pytest.mark.filterwarnings("ignore:Possible:FutureWarning")

# -- files -------------------------------------------------------------------------------------------------

NATIVE = {
    "store": "memory://",
    "trusted": ["10.0.0.0/8", "unix:"],
    "max_request_body": 1000,
    "unrouted": "pass",
    "routes": [
        {
            "name": "a",
            "paths": ["/a", "~/b/(?P<id>[0-9]+)$"],
            "methods": ["GET"],
            "hosts": ["*.example"],
            "strip_path": True,
        },
        {"name": "b", "paths": ["/"], "headers": {"x-a": ["1"]}, "regex_priority": 2},
    ],
    "services": [{"name": "s", "url": "http://127.0.0.1:9/base", "retries": 1, "connect_timeout": 1}],
    "consumers": [{"username": "alice", "keyauth_credentials": [{"key": "k"}], "acls": [{"group": "g"}]}],
    "plugins": [
        {
            "name": "cors",
            "config": {"origins": ["https://a.example", "(.*)[.]b"], "max_age": 60, "credentials": True},
        },
        {"name": "rate-limiting", "route": "a", "config": {"minute": 5, "limit_by": "ip", "policy": "local"}},
        {"name": "key-auth", "route": "b", "config": {"key_names": ["apikey"], "anonymous": "alice"}},
        {"name": "request-transformer", "config": {"add": {"headers": ["x-a:$(headers.b or 'c')"]}}},
        {"name": "ip-restriction", "config": {"allow": ["10.0.0.0/8", "::1"]}, "on_error": "closed"},
        {"name": "bot-detection", "config": {"deny": ["a+b"]}, "when": {"methods": ["GET"]}},
        {
            "name": "http-log",
            "config": {"http_endpoint": "http://127.0.0.1:9/", "custom_fields_by_lua": {"a": "return 1"}},
        },
        {
            "name": "request-size-limiting",
            "before": ["cors"],
            "priority": 7,
            "config": {"allowed_payload_size": 1},
        },
    ],
}
PREST = """
pluginpath = "./lib"
context = "/api"
debug = false
[[pluginmiddlewarelist]]
file = "hello"
func = "Hello"
[jwt]
default = false
[http]
port = 3000
when = 2026-01-02T03:04:05Z
"""
ALIASES = "a: &a {b: [1, 2]}\nc: *a\nd:\n  <<: *a\n  e: 0x1F\n  f: 12:30\n  g: |\n   x\n"


@pytest.fixture(scope="module")
def folder(elsewhere):
    return elsewhere


def read(folder, extension, text):
    path = folder / f"gateway{extension}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    made = tried(load, str(path), refuses=ConfigError)
    if made is REFUSED:
        return None
    json.dumps(made.data, allow_nan=False)
    "".join(leaf for leaf in leaves_of(made.data) if isinstance(leaf, str)).encode()
    return made.data


SYNTAX = (
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\u0000",
    "\\ud800",
    "//",
    "${HOME}",
    "${NOBODY}",
    "null",
    "[" * 200,
    "1e999",
)


@given(texts(json.dumps(NATIVE), '{"a": {"b": [1, 2.5, null, true, "\\u00e9"]}}', words=SYNTAX))
def test_any_json_is_plain_data_or_refused(folder, text):
    read(folder, ".json", text)


@given(
    texts(
        yaml.safe_dump(NATIVE),
        ALIASES,
        "- a\n",
        "? [a]\n: b",
        words=("&a ", "*a", "<<: ", "!!str ", "- ", "|\n", ">-", "\n  ", "---\n", "%"),
    )
)
def test_any_yaml_is_plain_data_or_refused(folder, text):
    read(folder, ".yaml", text)


@given(
    texts(
        PREST,
        'a = {b = 1}\n[c."d.e"]\nf = 1_000\ng = inf',
        words=("[", "[[", "]]", "=", '"""', "'", "\n", "= {", "07:32:00", "nan"),
    )
)
def test_any_toml_is_plain_data_or_refused(folder, text):
    data = read(folder, ".toml", text)
    if data is not None:
        tried(translate, Document(data), Options(), {})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_plain_data_goes_there_and_back(folder, data):
    text = json.dumps(data)
    found = read(folder, ".json", text)
    if found is not None:
        assert found == data
    if found is not None and "\\u" not in text:
        assert read(folder, ".yaml", text) in (data, None)


@given(
    st.lists(
        st.integers(0, 10**9 - 1) | texts("a", "a.b", "x-y", '"', "[0]").filter(bool), min_size=1, max_size=4
    )
)
def test_a_place_goes_there_and_back(steps):
    text = tried(render_place, tuple(steps))
    assert tried(parse_place, text) == tuple(steps)


# -- gateways ----------------------------------------------------------------------------------------------

KONG = {
    "_format_version": "3.0",
    "services": [
        {
            "name": "s",
            "url": "http://127.0.0.1:9/base",
            "retries": 2,
            "routes": [
                {
                    "name": "r",
                    "paths": ["/a", "~/b/(?<id>\\d+)$"],
                    "methods": ["GET"],
                    "headers": {"x": ["1"]},
                    "strip_path": False,
                },
                {
                    "name": "q",
                    "hosts": ["a.example"],
                    "protocols": ["https"],
                    "https_redirect_status_code": 301,
                },
            ],
            "plugins": [{"name": "key-auth", "config": {"key_names": ["k"]}, "enabled": True}],
        }
    ],
    "consumers": [
        {
            "username": "a",
            "keyauth_credentials": [{"key": "k"}],
            "plugins": [{"name": "request-size-limiting"}],
        }
    ],
    "jwt_secrets": [{"consumer": "a", "key": "j", "secret": "s" * 40}],
    "plugins": [
        {"name": "rate-limiting", "config": {"minute": 5, "policy": "local"}, "route": "r"},
        {"name": "acl", "config": {"allow": ["g"]}, "service": {"name": "s"}},
    ],
}
KRAKEND = {
    "version": 3,
    "timeout": "3s",
    "host": ["http://users:8080"],
    "endpoints": [
        {
            "endpoint": "/users/{id}",
            "method": "GET",
            "output_encoding": "json",
            "timeout": "1m30s",
            "input_headers": ["X-A", "*"],
            "backend": [
                {
                    "url_pattern": "/u/{id}",
                    "host": ["app:"],
                    "encoding": "xml",
                    "mapping": {"a": "b"},
                    "target": "d",
                },
                {
                    "url_pattern": "/v",
                    "method": "POST",
                    "allow": ["a.b"],
                    "is_collection": True,
                    "group": "g",
                },
            ],
            "extra_config": {"plugin/req-resp-modifier": {"name": ["a"]}},
        }
    ],
    "extra_config": {
        "router": {
            "return_error_msg": True,
            "error_body": {"404": {"a": 1}},
            "trusted_proxies": ["10.0.0.0/8"],
        },
        "plugmw": {"strict": False},
    },
}
TYK = {
    "name": "api",
    "api_id": "1",
    "active": True,
    "use_keyless": False,
    "auth": {"auth_header_name": "X-Key", "use_param": True, "param_name": "k", "use_cookie": True},
    "proxy": {"listen_path": "/api/", "target_url": "http://127.0.0.1:9/", "strip_listen_path": True},
    "version_data": {
        "not_versioned": True,
        "versions": {
            "Default": {
                "name": "Default",
                "use_extended_paths": True,
                "extended_paths": {"hard_timeouts": [{"path": "/a", "method": "GET", "timeout": 3}]},
            }
        },
    },
    "custom_middleware": {
        "driver": "",
        "pre": [],
        "id_extractor": {
            "extract_from": "header",
            "extract_with": "regex",
            "extractor_config": {"header_name": "a", "regex_expression": "a+"},
        },
    },
    "global_rate_limit": {"rate": 1, "per": 1},
    "allowed_ips": ["10.0.0.1"],
    "config_data": {"a": 1},
    "plugmw": {"sessions": [{"key": "k", "rate": 1, "per": 1, "access_rights": {"1": {"api_id": "1"}}}]},
}
PREST_DATA = {
    "pluginpath": "./lib",
    "context": "/c",
    "pluginmiddlewarelist": [{"file": "a", "func": "B"}],
    "jwt": {"default": False},
    "pg": {"host": "h"},
}
DURATIONS = ("1h2m3s", "300ms", "-1s", "0", "1.5h", "9" * 400 + "h", "1e3s", "µs", ".s", "٣s")


def lenient(dialect):
    """Return how a dialect's documents are read here: what they name need not be there."""
    return Extras(dialect=dialect, options=Options(strict=False))


def planned(data, dialect):
    """Return the plan of a document as it would be read from a file, None if it is refused."""
    errors = []
    data = plain(data, None, errors)
    if errors or not isinstance(data, dict):
        return None
    made = tried(
        lambda: read_plan(Document(json.loads(json.dumps(data))), lenient(dialect)),
        refuses=ConfigError,
    )
    assert made is REFUSED or isinstance(made, Plan)
    return None if made is REFUSED else made


@pytest.mark.parametrize(
    ("data", "dialect"),
    [(NATIVE, None), (KONG, "kong"), (KRAKEND, "krakend"), (TYK, "tyk"), (PREST_DATA, "prest")],
    ids=["plugmw", "kong", "krakend", "tyk", "prest"],
)
def test_what_is_changed_here_is_good_before(data, dialect):
    assert read_plan(Document(json.loads(json.dumps(data))), lenient(dialect)).routes is not None


@given(
    trees(
        NATIVE,
        keys=("config", "name", "when", "service", "plugins"),
        values=("memory://x", "redis://a:b", "~(", "$("),
    )
)
def test_any_document_is_a_plan_or_refused(data):
    planned(data, None)


@given(
    trees(
        KONG,
        keys=("id", "tags", "service", "ca_certificates", "ttl", "upstreams"),
        values=("~(?<a", "3.0", {"name": "s"}, "{vault://env/nobody}"),
    )
)
def test_any_kong_file_is_a_plan_or_refused(data):
    planned(data, "kong")


@given(
    trees(
        KRAKEND,
        keys=("plugin", "tls", "qos/http-cache", "static", "proxy", "sequential"),
        values=(*DURATIONS, "{a", "/{}", "resp0_x"),
    )
)
def test_any_krakend_file_is_a_plan_or_refused(data):
    planned(data, "krakend")


@given(trees(TYK, keys=("id", "org_id", "jwt_source"), values=("regex", "xpath", "/a/{b}", "coprocess")))
def test_any_tyk_definition_is_a_plan_or_refused(data):
    planned(data, "tyk")


@given(trees(PREST_DATA, keys=("PluginPath", "jwt", "default"), values=("1", "t")))
def test_any_prest_file_is_a_plan_or_refused(data):
    planned(data, "prest")


# -- small languages ---------------------------------------------------------------------------------------


@given(texts(*DURATIONS, words=("h", "m", "s", "ms", "us", "µs", "ns", ".", "-", "+", *NUMBERS)))
def test_any_duration_is_a_number_or_refused(text):
    found = tried(seconds, text, refuses=ValueError)
    assert found is REFUSED or 0 <= found < float("inf")


@given(
    texts(
        "^%a+[%w_-]*$",
        "[^]]",
        "%d%.%d",
        "(a)-b?",
        "%b()",
        "%f[%w]",
        "[a-z]",
        words=("%", "[", "]", "^", "$", "-", "%a", "%S", "("),
    )
)
def test_any_lua_pattern_is_one_or_refused(text):
    found = tried(lua_pattern, text, refuses=ValueError)
    assert found is REFUSED or isinstance(found, patterns.Pattern)


@given(
    texts(
        "(a+)+b",
        "^/users/(?P<id>[0-9]{1,9})$",
        "(?i)a|b",
        "[a-z]*?",
        "(?:a|ab)(?=c)",
        words=("(", ")", "*", "+", "?", "{2,}", "|", "(?i)", "\\", "["),
    ),
    texts("a" * 40, "/users/7", "ab" * 500),
)
def test_a_pattern_that_is_taken_is_quick(pattern, text):
    # It is read once, when the configuration is: a longer one may take longer than a request may.
    pattern = pattern[:400]
    made = tried(patterns.compiled, pattern, "search", refuses=ValueError)
    assert (made is REFUSED) == (tried(patterns.problem, pattern, "search") is not None)
    if made is not REFUSED:
        tried(made.find, text[:64])


@given(
    texts(
        "a$(headers.host)b",
        "$(query_params.q or 'x')",
        "$(uri_captures['id'] or uri_captures[1])",
        '$( shared.a or "b" )',
        words=("$(", ")", " or ", "'", '"', "[", "]", "headers", "shared", "999999"),
    )
)
def test_any_template_is_one_or_refused(text):
    made = tried(templates.parse, text, refuses=ValueError)
    if made is not REFUSED:
        values = {"host": "$(headers.evil)", "q": "a\n", "id": "\udcff", 1: None}
        found = tried(made.render, lambda source, key: values.get(key), refuses=templates.Unrenderable)
        assert found is REFUSED or not re.search("[\r\n\0]", found)


SCHEMA = {
    "name": "p",
    "fields": [
        {"protocols": {"type": "set"}},
        {
            "config": {
                "type": "record",
                "fields": [
                    {"a": {"type": "string", "required": True, "match": "^%a+$", "default": "b"}},
                    {"n": {"type": "integer", "between": [1, 5], "default": 3}},
                    {
                        "l": {
                            "type": "array",
                            "elements": {"type": "string", "one_of": ["x", "y"]},
                            "len_min": 1,
                        }
                    },
                    {"m": {"type": "map", "keys": {"type": "string"}, "values": {"type": "number", "gt": 0}}},
                ],
                "entity_checks": [{"at_least_one_of": ["a", "n"]}],
            }
        },
    ],
}


@given(
    trees(
        SCHEMA,
        keys=("type", "fields", "elements", "match_any", "required", "uuid"),
        values=("foreign", "%", "record", "function"),
    )
)
def test_any_schema_table_is_a_class_or_refused(table):
    made = tried(config_class, "p", table, refuses=LoadError)
    assert made is REFUSED or isinstance(made, type)


# -- bundles: what tests/fuzz/test_bundles.py has not ----------------------------------------------

MANIFEST = {
    "file_list": ["a.py", "b/c.py"],
    "custom_middleware": {"driver": "python", "pre": [{"name": "A"}]},
    "checksum": "d4",
    "signature": "",
}


@given(trees(MANIFEST, keys=("file_list", "checksum"), values=("../a", "a.py", "C:\\a", "/etc/passwd", ".")))
def test_any_changed_manifest_is_one_or_refused(data):
    made = tried(parse, json.dumps(data).encode(), "m", refuses=LoadError)
    assert made is REFUSED or isinstance(made, Manifest)
    if made is not REFUSED:
        assert not any(name.startswith(("/", "..")) or "\\" in name for name in made.file_list)


BUNDLE = bundle({"a.py": b"A" * 50, "b.py": b"B"})
ZIP_PARTS = (
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"\x01\x00",
    b"../a.py",
)


@pytest.fixture(scope="module")
def fresh(folder):
    def make():
        fresh.count += 1
        made = folder / f"b{fresh.count}"
        made.mkdir()
        return made

    fresh.count = 0
    return make


@given(blobs(BUNDLE, parts=ZIP_PARTS))
def test_any_changed_bundle_is_one_or_refused(fresh, data):
    inner = fresh() / "inner"
    inner.mkdir()
    found = tried(unpack, data, inner, "a.zip", None, Limits(unpacked=10_000), refuses=(LoadError,))
    assert [path.name for path in inner.parent.iterdir()] == ["inner"]
    if found is not REFUSED:
        assert found.file_list == ("a.py", "b.py")
