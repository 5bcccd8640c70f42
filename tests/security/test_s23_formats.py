"""S23: nothing in the package brings data to life; exceptions to security rules are listed, with reasons.

A new ``noqa: S...`` in the package makes the first test fail: it is added here by who has thought about it.
"""

from __future__ import annotations

import ast
import functools
import re
import tracemalloc
from pathlib import Path

import msgpack
import pytest

import plugmw
from plugmw import ConfigError, Gateway
from plugmw.dialects.kong.servers.msgpack_rpc import MsgPackRPC
from plugmw.dialects.kong.servers.protobuf import Malformed, read_value, sized
from plugmw.dialects.kong.servers.protobuf_rpc import ProtoBufRPC
from plugmw.dialects.kong.servers.wire import MAX_MESSAGE, Garbled, Late
from plugmw.dialects.krakend.encoding import DecodeError, decode
from plugmw.documents.yaml_reader import parse_yaml
from tests.support.sources import statements, trees

ROOT = Path(plugmw.__file__).parent
SOURCES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}


@functools.cache
def calls():
    """Return (name of the module, call, name of what is called) for every call in the package."""
    return [
        (name, node, ast.unparse(node.func))
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


A_COMMAND = "the command is the configuration's or plugmw's own; a list, without a shell"
A_NAME = "the name of a place, or a message, not a secret"
A_CHANCE = "a choice or a sample, not a secret"
PLUGIN_CODE = "code that the configuration names"
#: (file, rule) -> (how often, why).
EXCEPTIONS = {
    ("bundles/vendoring.py", "S603"): (1, A_COMMAND),
    ("kernel/chain.py", "S102"): (1, "plugmw's own text, made from entries' numbers"),
    ("contrib/jwt/plugin.py", "S105"): (1, A_NAME),
    ("contrib/oauth2/plugin.py", "S105"): (2, A_NAME),
    ("contrib/zipkin/plugin.py", "S311"): (1, A_CHANCE),
    ("dialects/kong/servers/dump.py", "S603"): (1, A_COMMAND),
    ("dialects/kong/servers/folders.py", "S108"): (1, "made with mode 0700, its owner checked"),
    ("dialects/kong/servers/supervisor_client.py", "S603"): (1, A_COMMAND),
    ("dialects/kong/servers/supervisor/child.py", "S603"): (1, A_COMMAND),
    ("dialects/krakend/backends.py", "S311"): (1, A_CHANCE),
    ("dialects/prest/building.py", "S603"): (1, A_COMMAND),
    ("dialects/prest/isolation.py", "S603"): (1, A_COMMAND),
    ("dialects/tyk/python/loading.py", "S102"): (1, PLUGIN_CODE),
    ("loading/imports.py", "S102"): (1, PLUGIN_CODE),
    ("telemetry/statsd_lines.py", "S311"): (1, A_CHANCE),
    ("wsgi/keys.py", "S105"): (1, A_NAME),
}
_NOQA = re.compile(
    r"#\s*(?:ruff:\s*)?noqa(?::\s*(?P<rules>[A-Z]+[0-9]+(?:[, ]+[A-Z]+[0-9]+)*))?", re.IGNORECASE
)


def exceptions(text):
    """Return the security rules that a source is excepted from; "all" for a noqa that names none."""
    found = []
    for noqa in _NOQA.finditer(text):
        rules = re.findall("[A-Z]+[0-9]+", noqa["rules"] or "") or ["all"]
        found += [rule for rule in rules if rule == "all" or re.fullmatch("S[0-9]+", rule)]
    return found


def test_s23_every_exception_to_a_security_rule_has_a_reason():
    found: dict[tuple[str, str], int] = {}
    for name, path in SOURCES.items():
        for rule in exceptions(path.read_text(encoding="utf-8")):
            found[name, rule] = found.get((name, rule), 0) + 1
    assert found == {place: count for place, (count, _) in EXCEPTIONS.items()}


def test_s23_an_exception_is_found_however_it_is_written():
    text = "a  # noqa\nb  # noqa: E501\nc  # NOQA:S301\nd  # noqa: SIM110, S314 (why)\n# ruff: noqa: S102"
    assert exceptions(text) == ["all", "S301", "S314", "S102"]


def test_s23_the_rules_are_on_for_the_whole_package():
    text = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    select = re.search(r"^select = (\[.*\])$", text, re.MULTILINE)
    ignored = re.search(r"^ignore = (\[.*?^\])", text, re.MULTILINE | re.DOTALL)
    assert '"S"' in select[1]
    assert not re.search(r'"S[0-9]*"', ignored[1])
    assert not re.search(r'^"plugmw.*"S', text, re.MULTILINE)


#: What makes objects, or code, of data.
LIVE = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle", "joblib"}


def imported(tree):
    for node in statements(tree.body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.slow
def test_s23_no_module_imports_a_live_format():
    found = {(name, one) for name, tree in trees().items() for one in imported(tree)}
    found |= {
        (name, one.value)
        for name, call, called in calls()
        if called.endswith("import_module")
        for one in call.args
        if isinstance(one, ast.Constant)
    }
    assert ("wsgi/keys.py", "typing") in found
    assert not [(name, one) for name, one in found if str(one).partition(".")[0] in LIVE]


def evaluates(call, called):
    """Say whether a call evaluates text, makes objects of YAML, or starts a shell."""
    shell = any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in call.keywords)
    return (
        called in ("eval", "builtins.eval", "os.system", "os.popen")
        or shell
        or re.search(r"\byaml\.(unsafe_|full_)?load(_all)?$", called) is not None
        or re.search(r"(^|\.)(Unsafe|Full)Loader$|\byaml\.C?Loader$", called) is not None
    )


@pytest.mark.slow
def test_s23_nothing_is_evaluated_no_yaml_object_made_and_no_shell_asked():
    found = [
        f"{name}:{call.lineno}: {ast.unparse(call)[:80]}"
        for name, call, called in calls()
        if evaluates(call, called)
    ]
    assert not found


#: Where certificates are not verified: each time because the configuration says so.
UNVERIFIED = {
    "contrib/ldap_auth/plugin.py": "verify_ldap_host",
    "telemetry/sinks/tcp.py": "tls_verify of tcp-log",
    "upstream/forwarding.py": "verify of a service, https_verify of azure-functions",
}


@pytest.mark.slow
def test_s23_tls_is_unverified_only_where_a_setting_says_so():
    marks = (
        "CERT_NONE",
        "_create_unverified_context",
        "check_hostname = False",
        "verify=False",
        "verify = False",
    )
    found = {
        name for name, path in SOURCES.items() if any(m in path.read_text(encoding="utf-8") for m in marks)
    }
    assert found == set(UNVERIFIED)


def test_s23_yaml_makes_plain_values_only(tmp_path):
    for text in (
        "!!python/object/apply:os.system ['id']",
        "!!python/name:os.system",
        "!!python/object/new:dict {}",
    ):
        with pytest.raises(ConfigError):
            parse_yaml(f"plugins: {text}", "gateway.yaml")
    (tmp_path / "gateway.yaml").write_text("plugins: !!python/object/apply:os._exit [3]")
    with pytest.raises(ConfigError):
        Gateway(lambda environ, start_response: [], str(tmp_path / "gateway.yaml"))


# -- MessagePack, protobuf, JSON, XML ------------------------------------------------------------------


class Wire:
    """A connection that says this and is silent then."""

    def __init__(self, *parts):
        self.parts = list(parts)

    def send(self, data, end):
        pass

    def receive(self):
        if not self.parts:
            raise Late
        return self.parts.pop(0)

    receive_more = receive


#: (what a server says, how the call ends).
MESSAGES = {
    "a list that says it is huge": (b"\xdd\xff\xff\xff\xff", Garbled),
    "a map that says it is huge": (b"\xdf\xff\xff\xff\xff", Garbled),
    "a text that says it is huge": (b"\xdb\xff\xff\xff\xff", (Garbled, Late)),
    "bytes that say they are huge": (b"\xc6\xff\xff\xff\xff", (Garbled, Late)),
    "deeper than a hundred lists": (b"\x94\x01\x01\xc0" + b"\x91" * 200 + b"\x00", Garbled),
    "deeper than the stack": (b"\x91" * 5000 + b"\x00", Garbled),
    "an object of its own": (msgpack.packb([1, 1, None, msgpack.ExtType(1, b"x")]), Garbled),
    "the byte that is never used": (b"\xc1", Garbled),
}


@pytest.mark.parametrize(("data", "ends"), MESSAGES.values(), ids=MESSAGES)
def test_s23_a_hostile_messagepack_is_refused_before_memory_is_taken(data, ends):
    call = MsgPackRPC(Wire(data))
    tracemalloc.start()
    try:
        with pytest.raises(ends):
            call.start("x", "{}", 1e9)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_s23_a_messagepack_that_goes_on_is_refused_at_the_limit():
    piece = b"\x00" * 65536
    wire = Wire(b"\xc6" + (MAX_MESSAGE + 1).to_bytes(4, "big"), *[piece] * (MAX_MESSAGE // len(piece) + 2))
    with pytest.raises(Garbled):
        MsgPackRPC(wire).start("x", "{}", 1e9)


FRAMES = {
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "a field cut short": b"\x0a\x05ab",
    "a number without end": b"\xff" * 11,
    "a group": b"\x0b" * 200,
    "a kind that is none": b"\x07",
}


@pytest.mark.parametrize("data", FRAMES.values(), ids=FRAMES)
def test_s23_a_hostile_protobuf_is_refused(data):
    with pytest.raises(Garbled):
        ProtoBufRPC(Wire(len(data).to_bytes(4, "little") + data)).start("x", "{}", 1e9)
    with pytest.raises(Malformed):
        read_value(data)


def test_s23_a_protobuf_is_not_followed_into_the_depth():
    data = b""
    for _ in range(2000):
        data = sized(6, sized(1, data))  # a list of one list
    with pytest.raises(Malformed):
        read_value(data)


@pytest.mark.parametrize("encoding", ["json", "xml", "rss", "safejson"])
def test_s23_a_hostile_answer_of_a_backend_is_no_recursion_and_no_entity(encoding):
    deep = (b"[" * 200_000, b'{"a":' * 200_000, b"<a>" * 200_000)
    for data in (*deep, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'):
        with pytest.raises(DecodeError):
            decode(encoding, data, False)
