"""Shapes of plain data: keys in whatever case they are written."""

from __future__ import annotations

from plugmw.documents.shapes import folded_get


def test_a_value_is_found_in_whatever_case_its_key_is_and_the_later_of_two_counts():
    data = {"Bundle": 1, "bundle": 2, "plugin\N{LATIN SMALL LETTER LONG S}": 3}
    assert [folded_get(data, name) for name in ("bundle", "plugins", "none")] == [2, 3, None]
