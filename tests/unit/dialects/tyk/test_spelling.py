"""Go's spelling of names."""

from __future__ import annotations

import copy

import pytest

from plugmw.dialects.tyk.spelling import Fields


def test_keys_are_attributes_in_either_spelling():
    fields = Fields(api_id="1", name="x")
    assert (fields.APIID, fields.ApiID, fields.api_id, fields["api_id"]) == ("1",) * 4
    fields.APIID = "2"
    assert fields == {"api_id": "2", "name": "x"}


def test_what_is_missing_is_none_and_can_be_set():
    fields = Fields()
    assert fields.Nothing is None
    fields.other = 1
    assert fields == {"other": 1}


def test_it_is_copied_as_a_mapping():
    assert copy.deepcopy(Fields(a=[1])) == {"a": [1]}
    with pytest.raises(AttributeError):
        Fields().__nothing__
