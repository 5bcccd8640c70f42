"""The wire format: the reference's bytes, and everything that is no message."""

from __future__ import annotations

import math

import pytest

from plugmw.dialects.kong.servers.messages import METHODS, RPC_RETURN
from plugmw.dialects.kong.servers.protobuf import (
    Field,
    Malformed,
    decode,
    encode,
    read_struct,
    read_value,
    sized,
    varint,
    write_struct,
    write_value,
)


def test_reads_the_bytes_of_a_real_start_instance():
    data = b"\x08\x01\x8a\x02\x0f\x0a\x08go-hello\x10\x07\x20\xe9\x07"
    assert decode(RPC_RETURN, data)["status"] == {"name": "go-hello", "id": 7, "started": 1001}


def test_reads_the_arguments_of_real_calls():
    assert METHODS["kong.request.get_header"][0](b"\x0a\x04host") == ["host"]
    assert METHODS["kong.response.set_header"][0](b"\x0a\x03x-a\x12\x03\x1a\x01b") == ["x-a", "b"]
    assert METHODS["kong.response.exit"][0](b"\x08\x93\x03\x12\x02no") == [403, b"no", None]


@pytest.mark.parametrize("value", ["b", "", "é", "x" * 200, 5, None, ["a"], True], ids=repr)
@pytest.mark.parametrize("key", ["x-a", "é", "k" * 130])
def test_every_key_and_value_is_read(key, value):
    data = sized(1, key.encode()) + sized(2, write_value(value))
    assert METHODS["kong.response.set_header"][0](data) == [key, value]
    assert METHODS["kong.request.get_header"][0](sized(1, key.encode())) == [key]


VALUES = [None, True, False, 0, 1.5, -3, "", "é", [], {}, {"a": [1, "b", None, {"c": True}]}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_go_there_and_back(value):
    assert read_value(write_value(value)) == value


def test_a_number_too_large_for_a_double_is_infinite():
    assert [read_value(write_value(value)) for value in (10**400, -(10**400))] == [math.inf, -math.inf]


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31 - 1, -1, -(2**31)])
def test_integers_go_there_and_back(number):
    message = {1: Field("v", "int")}
    assert decode(message, encode(message, {"v": number})) == {"v": number}


def test_structs_go_there_and_back():
    value = {"a": ["x", "y"], "b": "z"}
    assert read_struct(write_struct(value)) == value


def test_maps_and_repeated_fields_go_there_and_back():
    message = {1: Field("names", "bytes", repeated=True), 2: Field("named", "", map_of="bytes")}
    values = {"names": [b"", b"x"], "named": {"k": b"v", "": b""}}
    assert decode(message, encode(message, values)) == values


def test_unknown_fields_are_skipped():
    data = varint(9 << 3) + varint(5) + b"\x0a\x01x" + sized(77, b"abc")
    assert decode({1: Field("v", "string")}, data) == {"v": "x"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x0a", id="no length"),
        pytest.param(b"\x0a\x05ab", id="cut off"),
        pytest.param(b"\xff" * 11, id="varint too long"),
        pytest.param(b"\x00\x01", id="field 0"),
        pytest.param(b"\x0b", id="group"),
        pytest.param(b"\x08\x01", id="wrong type"),
        pytest.param(b"\x0a\x01\xff", id="no UTF-8"),
    ],
)
def test_refuses_what_is_no_message(data):
    with pytest.raises(Malformed):
        decode({1: Field("v", "string")}, data)


def test_refuses_what_is_nested_too_deep():
    data = b""
    for _ in range(300):
        data = sized(6, sized(1, data))
    with pytest.raises(Malformed, match="nested"):
        read_value(data)


def test_every_method_can_be_written_an_absent_result():
    for name, (_, write) in METHODS.items():
        assert isinstance(write(None), bytes), name
