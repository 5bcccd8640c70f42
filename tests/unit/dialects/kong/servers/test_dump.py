"""What query commands print."""

from __future__ import annotations

import json
import sys

import pytest

from plugmw.dialects.kong.servers.dump import MSGPACK, PROTOBUF, query, read
from plugmw.errors import LoadError

PLUGIN = {
    "Name": "p",
    "Phases": ["access", "log"],
    "Priority": 1,
    "Version": "1.0.0",
    "Schema": {"fields": []},
}


def dump(**changes):
    return json.dumps([{**PLUGIN, **changes}])


def test_a_list_is_messagepack():
    found = read("s", dump())
    assert (found.protocol, found.plugins[0].name, found.plugins[0].phases) == (
        MSGPACK,
        "p",
        ("access", "log"),
    )


def test_an_object_names_its_protocol_and_socket():
    text = json.dumps({"Protocol": PROTOBUF, "SocketPath": "/x/p.socket", "Plugins": [PLUGIN]})
    found = read("s", text)
    assert (found.protocol, found.socket) == (PROTOBUF, "p.socket")


def test_an_object_without_protocol_is_messagepack():
    assert read("s", json.dumps({"Plugins": [PLUGIN]})).protocol == MSGPACK


def test_the_last_line_that_is_json_counts():
    assert read("s", f"DEBG - starting\n[1]]\n{dump(Name='q')}\nbye\n").plugins[0].name == "q"


def test_json_over_several_lines_is_read_too():
    assert read("s", json.dumps([PLUGIN], indent=2)).plugins[0].name == "p"


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        pytest.param("", "printed no JSON", id="nothing"),
        pytest.param("hello", "printed no JSON", id="no json"),
        pytest.param("[]", "Plugins: got", id="no plugin"),
        pytest.param(
            '{"Protocol": "MsgPack:2", "Plugins": [{}]}', "Protocol: got 'MsgPack:2'", id="protocol"
        ),
        pytest.param("[5]", "expected a plugin's Name", id="no object"),
        pytest.param(dump(Name="../x"), r"Name: got '\.\./x'", id="name"),
        pytest.param(dump(Priority="1"), "Priority: got '1', expected an integer", id="priority text"),
        pytest.param(dump(Priority=1.5), "Priority: got 1.5", id="priority fraction"),
        pytest.param(dump(Priority=True), "Priority: got True", id="priority bool"),
        pytest.param(dump(Version=None), "Version: got None, expected a version like", id="no version"),
        pytest.param(dump(Version="1.2.3.4"), "Version: got '1.2.3.4'", id="version of four"),
        pytest.param(dump(Phases=["body_filter"]), "Phases: got 'body_filter'", id="phase"),
        pytest.param(dump(Phases=[]), "Phases: got", id="no phases"),
        pytest.param(dump(Schema=None), "Schema: got None", id="schema"),
    ],
)
def test_refuses(printed, text):
    with pytest.raises(LoadError, match=text):
        read("pluginserver s", printed)


@pytest.mark.slow
def test_runs_the_command_and_keeps_its_other_output_apart(tmp_path):
    code = f"import sys; print('noise', file=sys.stderr); print({dump()!r})"
    assert query("s", [sys.executable, "-c", code], {}, str(tmp_path), 20).plugins[0].name == "p"


@pytest.mark.slow
def test_a_command_that_fails_is_told_with_its_last_words(tmp_path):
    code = "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"
    with pytest.raises(LoadError, match="status 3: no such thing"):
        query("s", [sys.executable, "-c", code], {}, str(tmp_path), 20)


@pytest.mark.slow
def test_a_command_that_hangs_is_ended(tmp_path):
    with pytest.raises(LoadError, match=r"no answer within 0\.2 s"):
        query("s", ["sleep", "60"], {"PATH": "/usr/bin:/bin"}, str(tmp_path), 0.2)


def test_a_missing_program_is_told(tmp_path):
    with pytest.raises(LoadError, match="cannot run '/nowhere/at/all'"):
        query("s", ["/nowhere/at/all"], {}, str(tmp_path), 1)
