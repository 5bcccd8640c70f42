"""Every field that an original knows is read, an error or a warning, and so is every key that it does not."""

from __future__ import annotations

import json

import pytest

from plugmw.documents.document import Place, render_place
from tests.unit.dialects.known_fields import SMALLEST, UNHEARD_OF, Row, document, outcome, rows, told

#: Thousands of documents are read.
pytestmark = pytest.mark.slow

#: Mappings whose keys are the user's: names, ids, headers, free data, what plugins get.
FREE: dict[str, set[str]] = {
    "tyk": {"auth_configs", "versions", "config_data", "meta", "extractor_config", "meta_data", "policies"}
    | {"access_rights", "oauth_keys"},
    "krakend": {"mapping", "error_body", "404", "405", "plugin/http-server", "plugin/req-resp-modifier"},
    "kong": {"headers"},
    "kong-plugins": {"headers", "custom_fields_by_lua", "limits", "x"},
    "prest": set(),
}


@pytest.mark.parametrize("dialect", SMALLEST)
def test_what_becomes_of_each_field_is_what_the_table_says(dialect):
    different = [
        (row.field, found, (row.outcome, row.said))
        for row in rows(dialect)
        if (found := outcome(dialect, row)) != (row.outcome, row.said)
    ]
    assert different == [], "python -m tests.unit.dialects.known_fields writes the tables anew"


@pytest.mark.parametrize("dialect", SMALLEST)
def test_each_field_of_a_table_is_read_or_told(dialect):
    table = rows(dialect)
    assert {row.outcome for row in table} <= {"read", "warning", "error"}
    assert len({(row.field, row.needs) for row in table}) == len(table)


def holders(dialect: str) -> dict[Place, Row]:
    """Return the mappings that fields which are read stand in, each with a field that shows it.

    What is disabled is not looked into.
    """
    found: dict[Place, Row] = {}
    for row in rows(dialect):
        *above, name = row.place
        is_free = FREE[dialect] & {str(step) for step in above[-1:]}
        if row.outcome == "read" and isinstance(name, str) and name != "disabled" and not is_free:
            found.setdefault(tuple(above), row)
    return found


@pytest.mark.parametrize("dialect", SMALLEST)
def test_a_key_that_nobody_knows_is_told_wherever_it_stands(dialect):
    silent = []
    for place, row in holders(dialect).items():
        unheard_of = (*place, UNHEARD_OF)
        data = document(dialect, row, **{render_place(unheard_of): "x"})
        if not any(where == unheard_of for _, where, _ in told(dialect, data)):
            silent.append(render_place(unheard_of))
    assert silent == []


def test_a_field_that_is_told_is_not_taken_for_one_that_is_read():
    row = Row(UNHEARD_OF, json.dumps("x"), "", "", "")
    assert [outcome(dialect, row)[0] for dialect in SMALLEST] == [
        *("error", "error", "warning", "warning", "warning")
    ]
